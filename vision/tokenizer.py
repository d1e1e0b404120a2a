"""VQ tokenizer: pixels -> ids (training, editing) and ids -> pixels (drawing).

The whole of the checkpoint's `vqmodel`: encoder, codebook and decoder. It says nothing about
which ids are likely; that is the transformer's image head.
"""

# B pictures, H W pixels, h w grid of codes, N = h * w, c width of a code

from itertools import pairwise

from torch import Tensor, nn

from vision.blocks import Downsample, Level, MiddleBlock, group_norm, silu
from vision.codebook import Codebook
from vision.config import CodebookConfig
from vision.decoder import ImageDecoder


class ImageTokenizer(nn.Module):
    """Pictures <-> a grid of code ids, `config.downsampling` pixels to a code."""

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config)
        self.quant_conv = nn.Conv2d(config.latent_channels, config.embed_dim, 1)
        self.quantize = Codebook(config.num_embeddings, config.embed_dim)
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.latent_channels, 1)
        self.decoder = ImageDecoder(config)

    def encode(self, pixels_B3HW: Tensor) -> Tensor:
        """Pixels in [-1, 1], [B, 3, H, W] -> ids [B, N] in raster order."""
        height, width = pixels_B3HW.shape[-2:]
        if height % self.config.downsampling or width % self.config.downsampling:
            raise ValueError(
                f"the sides of a picture must be multiples of {self.config.downsampling}, "
                f"got {height}x{width}"
            )
        return self.quantize.nearest(self.latents(pixels_B3HW)).flatten(1)

    def decode(self, ids_BN: Tensor) -> Tensor:
        """Ids [B, N] of a square grid, in raster order -> pixels [B, 3, H, W]."""
        side = int(ids_BN.shape[1] ** 0.5)
        if side * side != ids_BN.shape[1]:
            raise ValueError(f"{ids_BN.shape[1]} ids do not fill a square grid")
        return self.pixels(self.quantize.lookup(ids_BN.unflatten(1, (side, side))))

    def latents(self, pixels_B3HW: Tensor) -> Tensor:
        """Pixels -> latents before the codebook: [B, c, h, w]."""
        return self.quant_conv(self.encoder(pixels_B3HW.to(self.quant_conv.weight.dtype)))

    def pixels(self, codes_Bchw: Tensor) -> Tensor:
        """Unit-length codes [B, c, h, w] -> pixels [B, 3, H, W]."""
        return self.decoder(self.post_quant_conv(codes_Bchw))


class ImageEncoder(nn.Module):
    """Pixels [B, 3, H, W] -> latents [B, latent_channels, h, w]."""

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        widths = [config.base_channels * m for m in config.channel_multiplier]
        self.conv_in = nn.Conv2d(config.in_channels, config.base_channels, 3, padding=1)
        self.down = nn.ModuleList()
        for i, (before, width) in enumerate(pairwise([config.base_channels, *widths])):
            last = i == len(widths) - 1
            level = Level(before, width, config.num_res_blocks, attention=last)
            # Without residual blocks nothing changes the width before the next level.
            out = width if config.num_res_blocks else before
            if not last:
                level.downsample = Downsample(out)
            self.down.append(level)
        self.mid = MiddleBlock(out)
        self.norm_out = group_norm(out)
        self.conv_out = nn.Conv2d(out, config.latent_channels, 3, padding=1)

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        hidden = self.conv_in(pixels_B3HW)
        for level in self.down:
            hidden = level(hidden)
        return self.conv_out(silu(self.norm_out(self.mid(hidden))))
