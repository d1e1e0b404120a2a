"""One step of everybody: sequences in, the next id of each out, in one call of the transformer.

Lays the new tokens of all rows out as one flat batch, embeds them (words, image codes, seen
pictures), and turns the hidden states of each row's last token into a choice. Everything that the
device needs is sent before the forward pass; the one wait is for the chosen ids. Keeps nothing
between steps but the cache.
"""

# N new tokens of all rows, R rows, D width, B seen pictures, I tokens of one, M = B * I

import torch
from torch import Tensor

from janus.engine.groups import form_groups
from janus.engine.request import Row, Sequence
from janus.model.cache import Rows
from janus.model.model import JanusModel


class Runner:
    def __init__(
        self, model: JanusModel, *, num_slots: int, length: int, placeholder_id: int
    ) -> None:
        self.model = model
        self.cache = model.language_model.new_cache(num_slots, length)
        self.placeholder_id = placeholder_id

    @property
    def device(self) -> torch.device:
        return self.model.language_model.embed_tokens.weight.device

    @torch.inference_mode()
    def step(self, sequences: list[Sequence]) -> list[tuple[Sequence, int]]:
        """Each sequence with its next id. Changes no sequence: a failed step may be repeated."""
        rows = lay_out(sequences)
        batch = Rows(
            counts=tuple(row.count for row in rows),
            starts=tuple(row.position for row in rows),
            slots=tuple(row.slot for row in rows),
            device=self.device,
        )
        last_R = batch.last_R
        groups = form_groups(sequences, rows, self.device)
        hidden_ND = self.model(self._embed(rows), batch, self.cache)
        hidden_RD = hidden_ND[last_R]
        chosen = [group.choose(self.model, hidden_RD) for group in groups]
        ids = torch.cat(chosen).tolist()
        return list(zip((s for group in groups for s in group.sequences), ids, strict=True))

    def _embed(self, rows: list[Row]) -> Tensor:
        """Inputs of the transformer, [N, D]: image codes, which come first, then words."""
        codes = [row.tokens.ids[0] for row in rows if row.drawn]
        words = [token for row in rows if not row.drawn for token in row.tokens.ids]
        codes_N = torch.tensor(codes, dtype=torch.long, device=self.device)
        words_N = torch.tensor(words, dtype=torch.long, device=self.device)
        hidden_ND = torch.cat([self.model.embed_image(codes_N), self.model.embed_text(words_N)])
        pixels = [row.tokens.pixels for row in rows if row.tokens.pixels is not None]
        if pixels:
            places_M = torch.tensor(self._placeholders(rows), dtype=torch.long, device=self.device)
            seen_BID = self.model.see(torch.cat(pixels).to(self.device))
            hidden_ND[places_M] = seen_BID.flatten(0, 1)
        return hidden_ND

    def _placeholders(self, rows: list[Row]) -> list[int]:
        """Where, among the N tokens, seen pictures stand."""
        places, start = [], 0
        for row in rows:
            if row.tokens.pixels is not None:
                ids = row.tokens.ids
                places += [start + i for i, token in enumerate(ids) if token == self.placeholder_id]
            start += row.count
        return places


def lay_out(sequences: list[Sequence]) -> list[Row]:
    """All rows in the order of the batch: image codes, single words, then whole prompts."""
    rows = [row for sequence in sequences for row in sequence.rows()]
    return sorted(rows, key=lambda row: (row.count > 1, not row.drawn))
