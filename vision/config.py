"""Sizes of the two visual encoders, named as in `vision_config` and `vq_config` of a checkpoint.

The defaults are those of Janus-Pro-1B.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """The SigLIP vision transformer and its aligner (seeing)."""

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_channels: int = 3
    image_size: int = 384
    patch_size: int = 16
    mlp_ratio: float = 4.0
    layer_norm_eps: float = 1e-6
    projection_dim: int = 2048
    depth: int = 2  # linear layers of the aligner

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )

    @property
    def grid_size(self) -> int:
        """Patches along one side of the picture."""
        return self.image_size // self.patch_size

    @property
    def num_image_tokens(self) -> int:
        """Tokens of one picture, seen or drawn."""
        return self.grid_size**2


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookConfig:
    """The VQ tokenizer, the aligner of its codes and the image head (drawing)."""

    num_embeddings: int = 16384
    embed_dim: int = 8
    latent_channels: int = 256
    in_channels: int = 3
    out_channels: int = 3
    base_channels: int = 128
    channel_multiplier: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    projection_dim: int = 2048
    num_hidden_layers: int = 2  # linear layers of the aligner
    image_token_embed_dim: int = 2048  # width of the transformer

    def __post_init__(self) -> None:
        if self.base_channels % 32:
            raise ValueError(
                f"base_channels {self.base_channels} is not a multiple of 32, "
                "the number of groups in every GroupNorm"
            )

    @property
    def downsampling(self) -> int:
        """Pixels along one side of the square that one code stands for."""
        return 2 ** (len(self.channel_multiplier) - 1)
