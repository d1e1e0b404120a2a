"""The image head: hidden states in, scores of every code in the codebook out.

The text head is one matrix without bias and lives in the model itself.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from vision.config import CodebookConfig


class ImageHead(nn.Module):
    """Hidden states [..., D] -> image logits [..., num_embeddings]."""

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        self.proj_out = nn.Linear(config.image_token_embed_dim, config.projection_dim)
        self.vision_head = nn.Linear(config.projection_dim, config.num_embeddings)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.vision_head(F.gelu(self.proj_out(hidden)))
