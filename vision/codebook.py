"""VQ codebook: ids <-> unit-length codes.

Codes are L2-normalised at every look-up, in both directions (arXiv 2110.04627, "factorized and
L2-normalized codes"); the raw table is never seen by the decoder.
"""

# B pictures, c width of a code, h w grid of codes, K codes

import torch.nn.functional as F
from torch import Tensor, nn


class Codebook(nn.Module):
    """A table of K codes on the unit sphere."""

    def __init__(self, num_embeddings: int, embed_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_embeddings, embed_dim)

    def unit_codes(self) -> Tensor:
        """All codes, normalised: [K, c]."""
        return F.normalize(self.embedding.weight, dim=-1)

    def lookup(self, ids_Bhw: Tensor) -> Tensor:
        """Ids [B, h, w] -> unit-length codes [B, c, h, w]."""
        codes_Bhwc = F.normalize(self.embedding(ids_Bhw), dim=-1)
        # Convolutions keep the order in memory of what they are given, and on a CPU the backward
        # pass of a group norm takes 30 times as long where the channels come last.
        return codes_Bhwc.permute(0, 3, 1, 2).contiguous()

    def nearest(self, latents_Bchw: Tensor) -> Tensor:
        """Ids [B, h, w] of the codes at the smallest angle to each latent [B, c, h, w]."""
        # On the unit sphere the nearest code is the one with the largest dot product, and the
        # length of the latent does not change which one that is.
        return (latents_Bchw.permute(0, 2, 3, 1) @ self.unit_codes().mT).argmax(dim=-1)
