"""Classifier-free guidance: the logits with and without the prompt in, guided logits out."""

# P pictures, K candidates

from torch import Tensor


def guide(cond_PK: Tensor, uncond_PK: Tensor, weight_P: Tensor) -> Tensor:
    """u + w (c - u) in float32, [P, K] (arXiv 2207.12598); where u is c, it is c to the bit."""
    cond_PK, uncond_PK = cond_PK.float(), uncond_PK.float()
    return uncond_PK + weight_P[:, None] * (cond_PK - uncond_PK)
