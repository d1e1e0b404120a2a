"""The convolutional blocks that the VQ encoder and decoder share.

Residual block, single-head attention over the grid, down- and upsampling by two
(the VQGAN blocks of arXiv 2012.09841 as LlamaGen, arXiv 2406.06525, uses them).
Attribute names are the checkpoint's.
"""

# B pictures, C channels, h w height and width of a feature map

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


def silu(x: Tensor) -> Tensor:
    """In place where nothing has to be remembered: new memory costs more than the arithmetic."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class ResBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nin_shortcut = (
            nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None
        )

    def forward(self, x_BChw: Tensor) -> Tensor:
        h_BChw = self.conv1(silu(self.norm1(x_BChw)))
        h_BChw = self.conv2(silu(self.norm2(h_BChw)))
        x_BChw = x_BChw if self.nin_shortcut is None else self.nin_shortcut(x_BChw)
        return h_BChw + x_BChw if torch.is_grad_enabled() else h_BChw.add_(x_BChw)


class AttentionBlock(nn.Module):
    """Every place of the grid attends to every place, with one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x_BChw: Tensor) -> Tensor:
        h_BChw = self.norm(x_BChw)
        q, k, v = (conv(h_BChw).flatten(2).mT[:, None] for conv in (self.q, self.k, self.v))
        out = F.scaled_dot_product_attention(q, k, v)
        return x_BChw + self.proj_out(out[:, 0].mT.unflatten(-1, x_BChw.shape[-2:]))


class MiddleBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = AttentionBlock(channels)
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x_BChw: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x_BChw)))


class Level(nn.Module):
    """Residual blocks at one resolution, with attention after each at the lowest one."""

    def __init__(self, in_channels: int, out_channels: int, depth: int, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResBlock(in_channels if i == 0 else out_channels, out_channels) for i in range(depth)
        )
        self.attn = nn.ModuleList(AttentionBlock(out_channels) for _ in range(depth * attention))
        self.downsample: Downsample | None = None
        self.upsample: Upsample | None = None

    def forward(self, x_BChw: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x_BChw = block(x_BChw)
            if self.attn:
                x_BChw = self.attn[i](x_BChw)
        resample = self.downsample or self.upsample
        return x_BChw if resample is None else resample(x_BChw)


class Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x_BChw: Tensor) -> Tensor:
        # One pixel on the right and below only, as the checkpoints were trained.
        return self.conv(F.pad(x_BChw, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_BChw: Tensor) -> Tensor:
        return self.conv(F.interpolate(x_BChw, scale_factor=2.0, mode="nearest"))
