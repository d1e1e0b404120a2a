"""Keeps the experts equally busy without a loss (arXiv 2408.15664).

Watches every router of a model while it trains. After a step, the selection bias of an expert that
had less than its share of the tokens grows by a fixed amount, and of one that had more it shrinks.
The load is kept apart by what the tokens were, to be reported.
"""

from collections import defaultdict
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from janus.model.moe import Router


class ExpertBalance:
    """Counts choices through forward hooks; `update` moves the biases and starts a new count."""

    def __init__(self, model: nn.Module, rate: float) -> None:
        self.rate, self.kind = rate, "text"
        self.routers = {n: m for n, m in model.named_modules() if isinstance(m, Router)}
        self.loads: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self._kinds_N: list[tuple[str, Tensor]] = []
        for name, router in self.routers.items():
            router.register_forward_hook(self._counter(name))

    @contextmanager
    def tokens(self, **masks_N: Tensor):
        """Says which of the tokens of the coming forward pass are of which kind."""
        self._kinds_N = list(masks_N.items())
        try:
            yield
        finally:
            self._kinds_N = []

    @torch.no_grad()
    def update(self) -> dict[str, float]:
        """Moves every bias; gives the busiest expert's load per kind, in multiples of its share."""
        figures: dict[str, float] = {}
        for name, router in self.routers.items():
            loads = self.loads.pop(name, {})
            if not loads:
                continue
            load_E = torch.stack(list(loads.values())).sum(dim=0)
            router.e_score_correction_bias += self.rate * (load_E.mean() - load_E).sign()
            for kind, kind_E in loads.items():
                peak = float(kind_E.max() / kind_E.mean().clamp(min=1e-9))
                figures[kind] = max(figures.get(kind, 0.0), round(peak, 2))
        return figures

    def _counter(self, name: str):
        def count(router: Router, _inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
            for kind, mask_N in self._kinds_N:
                counts_E = torch.bincount(
                    output[1][mask_N].flatten(), minlength=len(router.weight)
                ).float()
                loads = self.loads[name]
                loads[kind] = loads.get(kind, 0) + counts_E

        return count
