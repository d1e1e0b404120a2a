"""A dense model's feed-forward layers rewritten as experts that add up to the same function.

Enters: a plan and the canonical (name, tensor) pairs of a dense model. Leaves: those of a mixture
of experts with DeepSeek-V3's routing (arXiv 2412.19437, section 2.1.2). A layer's neurons are cut
into equal slices, and a sum over neurons is the sum over slices. No weight is ever scaled: the one
factor that is needed belongs into the configuration. Opens no files, runs no model.
"""

# D width, I neurons of a dense layer, G slices, W neurons of a slice, E routed experts

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from weights.recipes import Plan

FEED_FORWARD = re.compile(
    r"model\.language_model\.layers\.(?P<layer>\d+)\.mlp\.(?P<leaf>(gate|up|down)_proj\.weight)"
)
ROUTER_STD = 0.02  # of a new router, in transformers as well as here


def upcycle_tensors(
    pairs: Iterable[tuple[str, Tensor]], plan: Plan
) -> Iterator[tuple[str, Tensor]]:
    """Dense canonical pairs -> those of the mixture of experts, built one layer at a time."""
    for layer, tensors in group_by_layer(pairs, plan.first_dense):
        if layer is None:
            yield from tensors.items()
            continue
        for leaf, tensor in _mixture(tensors, layer, plan):
            yield layer_prefix(layer) + leaf, tensor


def group_by_layer(
    pairs: Iterable[tuple[str, Tensor]], first: int
) -> Iterator[tuple[int | None, dict[str, Tensor]]]:
    """The three feed-forward tensors of a layer, which wait for each other, as (layer, tensors).

    They are called what a dense layer calls them. Everything else, also of layers before `first`,
    comes as (None, tensor) and keeps its name.
    """
    waiting: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in pairs:
        match = FEED_FORWARD.fullmatch(name)
        if match is None or int(match["layer"]) < first:
            yield None, {name: tensor}
            continue
        layer = int(match["layer"])
        waiting[layer][match["leaf"]] = tensor
        if len(waiting[layer]) == 3:
            yield layer, waiting.pop(layer)


def layer_prefix(layer: int) -> str:
    """What the canonical names of a layer's feed-forward tensors begin with."""
    return f"model.language_model.layers.{layer}.mlp."


def _mixture(dense: Mapping[str, Tensor], layer: int, plan: Plan) -> Iterator[tuple[str, Tensor]]:
    gate_GWD = dense["gate_proj.weight"].unflatten(0, (plan.slices, -1))
    up_GWD = dense["up_proj.weight"].unflatten(0, (plan.slices, -1))
    down_DGW = dense["down_proj.weight"].unflatten(1, (plan.slices, -1))
    yield "shared_experts.gate_proj.weight", gate_GWD[: plan.shared].flatten(0, 1)
    yield "shared_experts.up_proj.weight", up_GWD[: plan.shared].flatten(0, 1)
    yield "shared_experts.down_proj.weight", down_DGW[:, : plan.shared].flatten(1)
    yield "gate.weight", _router(gate_GWD, layer, plan)
    yield "gate.e_score_correction_bias", torch.zeros(len(plan.routed))
    routed_E = list(plan.routed)
    yield "experts.gate_up_proj", torch.cat([gate_GWD, up_GWD], dim=1)[routed_E]
    down_EDW = down_DGW.movedim(1, 0)[routed_E]
    yield "experts.down_proj", torch.zeros_like(down_EDW) if plan.silent else down_EDW


def _router(like: Tensor, layer: int, plan: Plan) -> Tensor:
    """Random rows, so that tokens spread from the start; equal ones where gates must be equal."""
    # Drawn from the layer's number: files may deliver layers in any order.
    state = np.random.SeedSequence((plan.seed, layer)).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0]))
    tied = 1 if plan.silent else len(plan.routed) // plan.groups
    rows = torch.randn(len(plan.routed) // tied, like.shape[-1], generator=generator)
    return (ROUTER_STD * rows).repeat_interleave(tied, dim=0).to(like.dtype)
