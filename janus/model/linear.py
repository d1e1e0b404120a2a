"""Several linear layers of the same input as one, which is read in one go."""

from typing import Any

import torch
from torch import nn

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
