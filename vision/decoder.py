"""VQ decoder: latents in, pixels out (drawing, last step)."""

# B pictures, L latent channels, h w grid of codes, H W pixels

from itertools import pairwise

from torch import Tensor, nn

from vision.blocks import Level, MiddleBlock, Upsample, group_norm, silu
from vision.config import CodebookConfig


class ImageDecoder(nn.Module):
    """Latents [B, L, h, w] -> pixels [B, 3, H, W], about [-1, 1] (not clipped)."""

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        widths = [config.base_channels * m for m in reversed(config.channel_multiplier)]
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.mid = MiddleBlock(widths[0])
        self.up = nn.ModuleList()
        for i, (before, width) in enumerate(pairwise([widths[0], *widths])):
            level = Level(before, width, config.num_res_blocks + 1, attention=i == 0)
            if i < len(widths) - 1:
                level.upsample = Upsample(width)
            self.up.append(level)
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.out_channels, 3, padding=1)

    def forward(self, latents_BLhw: Tensor) -> Tensor:
        hidden = self.mid(self.conv_in(latents_BLhw))
        for level in self.up:
            hidden = level(hidden)
        return self.conv_out(silu(self.norm_out(hidden)))
