"""Rotary position embedding: positions in, rotated queries and keys out.

Plain (arXiv 2104.09864) or stretched by YaRN (arXiv 2309.00071), over all of a head or its first
part, on halves (Llama) or on neighbouring pairs (DeepSeek).
"""

# N tokens, H heads, d width of a head, e rotated numbers of it, f = e / 2 frequencies

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.config import TransformerConfig, YarnConfig
from janus.model.native.elementwise import rotate, suits


@dataclass(frozen=True, slots=True)
class Rotation:
    """The angles of N tokens, ready to be applied in every layer."""

    cos_N1e: Tensor  # of each angle, then once more
    sin_N1e: Tensor  # of each angle negated, then as it is

    def halves(self, x_NHd: Tensor) -> Tensor:
        """Rotates number i with number i + e / 2; what lies beyond e passes."""
        num_rotated = self.cos_N1e.shape[-1]
        is_whole = x_NHd.shape[-1] == num_rotated
        if is_whole and suits(x_NHd, self.cos_N1e, self.sin_N1e, width=num_rotated // 2):
            return rotate(x_NHd, self.cos_N1e, self.sin_N1e)
        x_NHe, rest = x_NHd[..., :num_rotated], x_NHd[..., num_rotated:]
        first, second = x_NHe.chunk(2, dim=-1)
        turned_NHe = x_NHe * self.cos_N1e + torch.cat([second, first], dim=-1) * self.sin_N1e
        return torch.cat([turned_NHe, rest], dim=-1) if rest.shape[-1] else turned_NHe

    def pairs(self, x_NHd: Tensor) -> Tensor:
        """Rotates number 2i with number 2i + 1. The result is in the order of `halves`."""
        return self.halves(torch.cat([x_NHd[..., 0::2], x_NHd[..., 1::2]], dim=-1))


def rotation(config: TransformerConfig, positions_N: Tensor, dtype: torch.dtype) -> Rotation:
    """The rotation of tokens at these positions; angles are computed in float32."""
    frequencies_f, amplitude = _frequencies(config, positions_N.device)
    angles_N1f = (positions_N.float()[:, None] * frequencies_f)[:, None]
    cos_N1f, sin_N1f = angles_N1f.cos() * amplitude, angles_N1f.sin() * amplitude
    cos_N1e, sin_N1e = torch.cat([cos_N1f, cos_N1f], -1), torch.cat([-sin_N1f, sin_N1f], -1)
    return Rotation(cos_N1e.to(dtype), sin_N1e.to(dtype))


def softmax_scale(config: TransformerConfig, head_dim: int) -> float:
    """1 / sqrt(head_dim), times YaRN's mscale squared where the config asks for it."""
    if config.yarn is None or not config.yarn.mscale_all_dim:
        return head_dim**-0.5
    return head_dim**-0.5 * _mscale(config.yarn.factor, config.yarn.mscale_all_dim) ** 2


def _frequencies(config: TransformerConfig, device: torch.device) -> tuple[Tensor, float]:
    if config.latent_attention is not None:
        num_rotated = config.latent_attention.qk_rope_head_dim
    else:
        num_rotated = int(config.head_dim * config.partial_rotary_factor)
    exponents_f = torch.arange(0, num_rotated, 2, device=device).float() / num_rotated
    frequencies_f = 1.0 / config.rope_theta**exponents_f
    if config.yarn is None:
        return frequencies_f, 1.0
    return _yarn(frequencies_f, config.yarn, config.rope_theta, num_rotated)


def _yarn(
    frequencies_f: Tensor, yarn: YarnConfig, theta: float, num_rotated: int
) -> tuple[Tensor, float]:
    """Slow frequencies divided by the factor, fast ones kept, a ramp between (section 3.2)."""

    def dimension_of(rotations: float) -> float:
        turns = yarn.original_max_position_embeddings / (rotations * 2 * math.pi)
        return num_rotated * math.log(turns) / (2 * math.log(theta))

    low = max(math.floor(dimension_of(yarn.beta_fast)), 0)
    high = min(math.ceil(dimension_of(yarn.beta_slow)), num_rotated - 1)
    steps_f = torch.arange(len(frequencies_f), device=frequencies_f.device).float()
    ramp_f = ((steps_f - low) / max(high - low, 0.001)).clamp(0, 1)
    stretched_f = frequencies_f / yarn.factor * ramp_f + frequencies_f * (1 - ramp_f)
    if yarn.mscale and yarn.mscale_all_dim:
        amplitude = _mscale(yarn.factor, yarn.mscale) / _mscale(yarn.factor, yarn.mscale_all_dim)
    else:
        amplitude = _mscale(yarn.factor, 1.0)
    return stretched_f, amplitude


def _mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0
