"""AdamW and Muon for weights that compute in bfloat16: float32 masters, clipping, an average.

bfloat16 has 8 bits of precision, too few to add small steps to: the optimiser keeps a float32 copy
of every weight and rounds it into the model after each step.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class MasterOptimizer:
    """AdamW (arXiv 1711.05101) on float32 copies of a module's parameters.

    The parameters in `hidden` are updated by Muon instead, at the step size of AdamW (arXiv
    2502.16982): matrices between hidden states, alone or stacked. Matrices are decayed, vectors
    (norms, biases) are not. `ema_decay` is the share that the exponential moving average of the
    weights keeps at each step, less at first, so that the weights of the start are soon forgotten;
    see `use_average`.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        hidden: Iterable[nn.Parameter] = (),
        weight_decay: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.95),
        max_norm: float = 1.0,
        ema_decay: float = 0.999,
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.masters = [p.detach().float().clone() for p in self.parameters]
        self.average = [m.clone() for m in self.masters]
        self.max_norm, self.ema_decay, self.num_steps = max_norm, ema_decay, 0
        is_hidden = set(map(id, hidden))
        pairs = list(zip(self.parameters, self.masters, strict=True))
        others = [master for parameter, master in pairs if id(parameter) not in is_hidden]
        self.hidden = [master for parameter, master in pairs if id(parameter) in is_hidden]
        self.matrices = [matrix for master in self.hidden for matrix in _unstacked(master)]
        groups = [
            {"params": [m for m in others if m.ndim > 1], "weight_decay": weight_decay},
            {"params": [m for m in others if m.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, betas=betas, fused=True)
        ]
        if self.matrices:
            self.optimizers.append(
                torch.optim.Muon(
                    self.matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
                )
            )

    @torch.no_grad()
    def step(self, lr: float) -> float:
        """One step with the gradients in the module, which are then dropped. Returns their norm."""
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = nn.utils.clip_grad_norm_(self.masters, self.max_norm)
        gradients = [g for master in self.hidden for g in _unstacked(master.grad)]
        for matrix, gradient in zip(self.matrices, gradients, strict=True):
            matrix.grad = gradient
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            if math.isfinite(norm):
                optimizer.step()
        _copy(self.masters, self.parameters)
        self.num_steps += 1
        # At most a tenth of all steps back, as (1 + n) / (10 + n) in TensorFlow's moving average.
        decay = min(self.ema_decay, (1 + self.num_steps) / (10 + self.num_steps))
        for average, master in zip(self.average, self.masters, strict=True):
            average.lerp_(master, 1 - decay)
        return float(norm)

    @torch.no_grad()
    def use_average(self) -> None:
        """Puts the averaged weights into the module."""
        _copy(self.average, self.parameters)

    def state_dict(self) -> dict[str, Any]:
        return {
            "masters": self.masters,
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "num_steps": self.num_steps,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        _copy(state["masters"], self.masters)
        _copy(state["average"], self.average)
        _copy(self.masters, self.parameters)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.num_steps = state["num_steps"]


def _unstacked(tensor: Tensor | None) -> tuple[Tensor, ...]:
    """The matrices in a matrix or a stack of them, as views."""
    assert tensor is not None
    return (tensor,) if tensor.ndim == 2 else tensor.unbind()


def _copy(source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
    for old, new in zip(target, source, strict=True):
        old.copy_(new)


def warmup_stable_decay(step: int, *, peak: float, warmup: int, total: int, decay: int) -> float:
    """Learning rate at a step: linear warm-up, constant, then a fall to 0 in the last steps.

    The fall is 1 - sqrt (arXiv 2405.18392); a run can be prolonged from any step before it.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - (total - decay)) / max(decay, 1)
    return peak * (1 - max(progress, 0.0) ** 0.5)


def warmup_cosine(step: int, *, peak: float, warmup: int, total: int, floor: float = 0.02) -> float:
    """Learning rate at a step: linear warm-up, then half a cosine down to `floor * peak`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1.0)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))
