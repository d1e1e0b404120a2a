"""Several linear layers of the same input as one, which is read in one go."""

from typing import TypeVar

import torch
from torch import nn

from janus.model.rounded import Rounded

Layer = TypeVar("Layer", nn.Linear, Rounded)


def join(*layers: Layer) -> Layer:
    """One layer, of the kind of the given ones, whose outputs are theirs in their order."""
    first = layers[0]
    if isinstance(first, Rounded):
        return first.join(layers)
    weight = torch.cat([layer.weight.detach() for layer in layers])
    biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
    with torch.device("meta"):
        joined = nn.Linear(weight.shape[1], weight.shape[0], bias=bool(biases))
    joined.weight = nn.Parameter(weight, requires_grad=False)
    if biases:
        joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined
