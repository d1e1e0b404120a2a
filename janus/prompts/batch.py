"""A prompt as the model takes it: token ids, and the pictures that belong to its placeholders."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Ids of one row, and the pixels [P, 3, S, S] of its P pictures in order of appearance.

    Each picture stands in the ids as a run of `num_image_tokens` placeholder ids.
    """

    ids: tuple[int, ...]
    pixels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def unconditional(self, pad_id: int) -> "Prompt":
        """The row that guidance steers away from: all but the first and last id become padding.

        As the checkpoints were trained: the padding is attended to like any token.
        """
        pads = (pad_id,) * (len(self.ids) - 2)
        return Prompt((*self.ids[:1], *pads, *self.ids[1:][-1:]))
