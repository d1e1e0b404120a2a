"""MLP from visual features to the width of the shared transformer.

Used twice, with separate weights: for the patch features of a seen picture and for the code
embeddings of a drawn one. Linear, then (exact GELU, linear) for each further layer.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Aligner(nn.Module):
    """Features [..., in_features] -> [..., width]."""

    def __init__(self, in_features: int, width: int, depth: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, width)
        self.hidden_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.fc1(features)
        for layer in self.hidden_layers:
            hidden = layer(F.gelu(hidden))
        return hidden
