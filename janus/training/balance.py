"""Keeps the experts equally busy without a loss (arXiv 2408.15664).

Counts the choices of every router of a model while it trains. After a step, the selection bias of
an expert that had less than its share of the tokens grows by a fixed amount, and of one that had
more it shrinks.
"""

import torch
from torch import nn

from janus.model.expert_load import ExpertLoad


class ExpertBalance(ExpertLoad):
    """Counts the choices of forward passes; `update` moves the biases and starts a new count."""

    def __init__(self, model: nn.Module, rate: float) -> None:
        super().__init__(model)
        self.rate = rate

    @torch.no_grad()
    def update(self) -> dict[str, float]:
        """Moves every bias; gives the busiest expert's load per kind, in multiples of its share."""
        figures: dict[str, float] = {}
        for name, counts in self.counts.items():
            load_E = torch.stack(list(counts.values())).sum(dim=0).float()
            bias_E = self.routers[name].e_score_correction_bias
            bias_E += self.rate * (load_E.mean() - load_E).sign()
            for kind, counts_E in counts.items():
                peak = float(counts_E.max() / counts_E.float().mean().clamp(min=1e-9))
                figures[kind] = max(figures.get(kind, 0.0), round(peak, 2))
        self.counts.clear()
        return figures
