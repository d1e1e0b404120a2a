"""Several linear layers of the same input as one, which is read in one go."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from janus.model.rounded import Rounded


def join(*layers: Any) -> Any:
    """One layer whose outputs are those of the given ones in their order: all linear, or rounded.

    It is of the same kind.
    """
    if isinstance(layers[0], Rounded):
        return layers[0].join(layers)
    weight = torch.cat([layer.weight.detach() for layer in layers])
    biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
    with torch.device("meta"):
        joined = nn.Linear(weight.shape[1], weight.shape[0], bias=bool(biases))
    joined.weight = nn.Parameter(weight, requires_grad=False)
    if biases:
        joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined


def save_apart(module: nn.Module, joined: str, parts: Mapping[str, int]) -> None:
    """Puts a joined layer into the state dicts of `module` as its parts, as checkpoints name them.

    `parts` are their names and numbers of outputs.
    """
    module.register_state_dict_post_hook(partial(_separate, joined=joined, parts=parts))


def _separate(
    module: nn.Module,
    state: dict[str, Tensor],
    prefix: str,
    metadata: Any,
    *,
    joined: str,
    parts: Mapping[str, int],
) -> None:
    for kind in ("weight", "bias"):
        whole = state.pop(f"{prefix}{joined}.{kind}", None)
        if whole is not None:
            pieces = whole.split(list(parts.values()))
            # Copies: files of weights take no tensors that share memory.
            for name, piece in zip(parts, pieces, strict=True):
                state[f"{prefix}{name}.{kind}"] = piece.clone()
