"""How often each expert was chosen: counts by layer, expert and modality, and what follows.

Plain figures; neither models nor pictures are looked at.
"""

# L layers with experts, E routed experts of each

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MODALITIES = ("text", "seen", "drawn")
PAIRS = tuple(itertools.combinations(MODALITIES, 2))
STARVED = 1 / 4  # of the fair share


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routing:
    """Choices by modality, [L, E] each: a token counts `num_chosen` times in every layer.

    The padding that stands for the prompt in rows without guidance is text. A load is a share of
    the choices in multiples of the fair share 1/E, so that 1 is fair and 0 is dead.
    """

    model: str
    work: str
    layers: tuple[int, ...]
    num_chosen: int
    counts: dict[str, Tensor]
    shuffled: int | None = None  # the seed, if the routers were shuffled first

    @property
    def subject(self) -> str:
        if self.shuffled is None:
            return self.model
        return f"{self.model}, routers shuffled with seed {self.shuffled}"

    @property
    def num_experts(self) -> int:
        return self.counts["text"].shape[1]

    def num_tokens(self, modality: str) -> int:
        return int(self.counts[modality][0].sum()) // self.num_chosen

    def loads(self, modality: str) -> Tensor:
        """Load of every expert for one modality: [L, E]."""
        return _loads(self.counts[modality])

    def total_loads(self) -> Tensor:
        """Load of every expert over all tokens: [L, E]."""
        return _loads(torch.stack(list(self.counts.values())).sum(dim=0))

    def starved(self) -> list[tuple[int, int, float]]:
        """(layer, expert, load) of each expert below a quarter of the fair share of all tokens."""
        loads_LE = self.total_loads()
        places = (loads_LE < STARVED).nonzero().tolist()
        return [(self.layers[row], e, float(loads_LE[row, e])) for row, e in places]

    def distances(self, first: str, second: str) -> list[float]:
        """How differently two modalities use each layer: 0 is alike, 1 is no expert in common.

        The Jensen-Shannon distance of the two distributions over experts, to base 2.
        """
        p_LE, q_LE = (self.loads(name) / self.num_experts for name in (first, second))
        mean_L = _entropy((p_LE + q_LE) / 2)
        divergence_L = mean_L - (_entropy(p_LE) + _entropy(q_LE)) / 2
        return divergence_L.clamp(min=0).sqrt().tolist()

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        starved = [dict(zip(("layer", "expert", "load"), s, strict=True)) for s in self.starved()]
        return {
            "model": self.model,
            "shuffled_routers": self.shuffled,
            "work": self.work,
            "tokens": {name: self.num_tokens(name) for name in MODALITIES},
            "layers": list(self.layers),
            "experts": self.num_experts,
            "experts_per_token": self.num_chosen,
            "loads": {name: self.loads(name).tolist() for name in MODALITIES},
            "total_loads": self.total_loads().tolist(),
            "distances": {"-".join(pair): self.distances(*pair) for pair in PAIRS},
            "starved": starved,
        }


def _loads(counts_LE: Tensor) -> Tensor:
    return counts_LE / counts_LE.double().mean(dim=1, keepdim=True)


def _entropy(shares_LE: Tensor) -> Tensor:
    """In bits: [L]."""
    return torch.special.entr(shares_LE).sum(dim=1) / math.log(2)
