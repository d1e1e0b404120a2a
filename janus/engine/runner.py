"""One step of everybody: sequences in, the next ids of each out, in one call of the transformer.

Lays the new tokens of all rows out as one flat batch, embeds them (words, image codes, seen
pictures), and turns the hidden states at the end of each row into choices. Everything that the
device needs is sent before the forward pass; the one wait is for the chosen ids. Keeps nothing
between steps but the cache, and pictures that a piece of a prompt ends in.
"""

# N new tokens of all rows, D width

from itertools import islice

import torch
from torch import Tensor

from janus.engine.groups import form_groups
from janus.engine.request import Row, Sequence
from janus.engine.seen import SeenPictures
from janus.model.cache import Rows
from janus.model.model import JanusModel


class Runner:
    def __init__(
        self, model: JanusModel, *, num_slots: int, length: int, placeholder_id: int
    ) -> None:
        self.model = model
        self.cache = model.language_model.new_cache(num_slots, length)
        self.pictures = SeenPictures(model, placeholder_id)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @torch.inference_mode()
    def step(self, windows: dict[Sequence, int]) -> list[tuple[Sequence, list[int]]]:
        """Each sequence with what is chosen after its last id and after each guess in its window.

        Nothing is chosen where the prompt goes on.

        Changes no sequence: a failed step may be repeated.
        """
        rows = lay_out(windows)
        batch = Rows(
            counts=tuple(row.count for row in rows),
            starts=tuple(row.position for row in rows),
            slots=tuple(row.slot for row in rows),
            device=self.device,
        )
        self._make_room(rows)
        groups = form_groups(rows, self.device)
        hidden_ND = self.model(self._embed(rows), batch, self.cache)
        choices = [group.choose(self.model, hidden_ND) for group in groups]
        ids = iter(torch.cat(choices).tolist() if choices else ())
        chosen: dict[Sequence, list[int]] = {sequence: [] for sequence in windows}
        for member in (member for group in groups for member in group.members):
            chosen[member.sequence] = list(islice(ids, member.num_choices))
        return list(chosen.items())

    def _make_room(self, rows: list[Row]) -> None:
        """For whole prompts, when their first pieces come: with each piece, all would be copied."""
        read = [(row.slot, len(row.prompt)) for row in rows if row.prompt is not None]
        if read:
            slots, lengths = zip(*read, strict=True)
            self.cache.make_room(1 + max(slots), max(lengths))

    def _embed(self, rows: list[Row]) -> Tensor:
        """Inputs of the transformer, [N, D]: image codes, which come first, then words."""
        codes = [code for row in rows if row.drawn for code in row.ids]
        words = [token for row in rows if not row.drawn for token in row.ids]
        codes_N = torch.tensor(codes, dtype=torch.long, device=self.device)
        words_N = torch.tensor(words, dtype=torch.long, device=self.device)
        hidden_ND = torch.cat([self.model.embed_image(codes_N), self.model.embed_text(words_N)])
        self.pictures.put(hidden_ND, rows)
        return hidden_ND


def lay_out(windows: dict[Sequence, int]) -> list[Row]:
    """All rows in the order of the batch: image codes, then words.

    Equally many tokens stand together, and so do rows that begin and neighbouring slots: such rows
    attend at once.
    """
    rows = [row for sequence, window in windows.items() for row in sequence.rows(window)]
    # Codes the longest first, words the shortest first: single codes meet single words.
    return sorted(
        rows,
        key=lambda row: (
            not row.drawn,
            -row.count if row.drawn else row.count,
            row.position == 0,
            row.slot,
        ),
    )
