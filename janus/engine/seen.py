"""Pictures of prompts: their pixels in, and what the model sees put in their placeholders' stead.

A prompt may be read in pieces, and a piece may end inside a picture: what is seen of it is kept for
the next piece, so that every picture is looked at once.
"""

# N new tokens of all rows, D width, I tokens of a picture, M tokens of pictures among the new ones

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from janus.engine.request import Row
from janus.model.model import JanusModel
from janus.prompts.batch import Prompt

Picture = tuple[Prompt, int]  # by its number in the prompt


@dataclass(frozen=True, slots=True, eq=False)
class _Span:
    """What a row brings of pictures."""

    prompt: Prompt
    places: list[int]  # among the N tokens
    start: int  # of the first among all tokens of pictures of the prompt

    def pictures(self, size: int) -> list[Picture]:
        """Those that it shows a part of, where a picture has `size` tokens."""
        stop = self.start + len(self.places)
        return [(self.prompt, i) for i in range(self.start // size, -(-stop // size))]

    def is_end(self, size: int) -> bool:
        """Whether it ends together with a picture."""
        return (self.start + len(self.places)) % size == 0


class SeenPictures:
    def __init__(self, model: JanusModel, placeholder_id: int) -> None:
        self.model, self.placeholder_id = model, placeholder_id
        self._begun: dict[Picture, Tensor] = {}

    def put(self, hidden_ND: Tensor, rows: list[Row]) -> None:
        """Overwrites the inputs where pictures stand."""
        spans = self._spans(rows)
        if not spans:
            return
        size = self.model.config.num_image_tokens
        seen = self._see([picture for span in spans for picture in span.pictures(size)])
        places = [place for span in spans for place in span.places]
        parts_MD = []
        for span in spans:
            whole = torch.cat([seen[picture] for picture in span.pictures(size)])
            first = span.start % size
            parts_MD.append(whole[first : first + len(span.places)])
        places_M = torch.tensor(places, dtype=torch.long, device=hidden_ND.device)
        hidden_ND[places_M] = torch.cat(parts_MD)
        unfinished = [span.pictures(size)[-1] for span in spans if not span.is_end(size)]
        self._begun = {picture: seen[picture] for picture in unfinished}

    def _spans(self, rows: list[Row]) -> list[_Span]:
        spans, ends = [], accumulate(row.count for row in rows)
        for row, end in zip(rows, ends, strict=True):
            if row.prompt is not None and row.prompt.pixels is not None:
                before = row.prompt.ids[: row.position].count(self.placeholder_id)
                ids = enumerate(row.ids, end - row.count)
                places = [place for place, token in ids if token == self.placeholder_id]
                if places:
                    spans.append(_Span(row.prompt, places, before))
        return spans

    def _see(self, pictures: list[Picture]) -> dict[Picture, Tensor]:
        """What is seen of each, [I, D]; all that are new are looked at together."""
        new = [picture for picture in dict.fromkeys(pictures) if picture not in self._begun]
        if not new:
            return self._begun
        pixels = torch.stack([_pixels(picture) for picture in new])
        seen = self.model.see(pixels.to(self.model.device))
        return self._begun | dict(zip(new, seen, strict=True))


def _pixels(picture: Picture) -> Tensor:
    prompt, number = picture
    assert prompt.pixels is not None
    return prompt.pixels[number]
