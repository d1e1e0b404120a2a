"""How many tokens choose each routed expert, apart by what the tokens are.

Watches the routers of a model from outside, during the forward passes that it is told about: what
the model computes stays the same. Training evens these counts out, evaluation reports them.
"""

# N tokens, E routed experts

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from janus.model.moe import Router


class ExpertLoad:
    """`counts[router][kind]` are the choices of each expert so far, [E], by the router's name."""

    def __init__(self, model: nn.Module) -> None:
        self.routers = {n: m for n, m in model.named_modules() if isinstance(m, Router)}
        self.counts: dict[str, dict[str, Tensor]] = {}

    @contextmanager
    def tokens(self, **masks_N: Tensor) -> Iterator[None]:
        """Counts the forward passes inside; says which of their tokens are of which kind.

        Passes of other threads, which may use the same model meanwhile, are not counted.
        """
        own_thread = threading.get_ident()
        hooks = [
            router.register_forward_hook(partial(self._count, name, masks_N, own_thread))
            for name, router in self.routers.items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _count(
        self,
        name: str,
        masks_N: dict[str, Tensor],
        thread: int,
        router: Router,
        _inputs: tuple,
        output: tuple[Tensor, Tensor],
    ) -> None:
        if threading.get_ident() != thread:
            return
        _, chosen_NK = output
        counts = self.counts.setdefault(name, {})
        for kind, mask_N in masks_N.items():
            new_E = torch.bincount(chosen_NK[mask_N].flatten(), minlength=len(router.weight))
            counts[kind] = counts[kind] + new_E if kind in counts else new_E
