"""Several linear layers of the same input as one, which is read in one go."""

import torch
from torch import nn


def join(*linears: nn.Linear) -> nn.Linear:
    """One layer whose outputs are those of the given ones, in their order."""
    weight = torch.cat([linear.weight.detach() for linear in linears])
    biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
    with torch.device("meta"):
        joined = nn.Linear(weight.shape[1], weight.shape[0], bias=bool(biases))
    joined.weight = nn.Parameter(weight, requires_grad=False)
    if biases:
        joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined
