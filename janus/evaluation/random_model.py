"""Models of published sizes with random weights: as fast and as large as the real ones.

What a step costs depends on shapes and number types only, so that speed can be measured without a
download. What such a model draws or says means nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

import torch
from torch import Tensor, nn

from janus.config import JanusConfig, TransformerConfig
from janus.errors import UsageError
from janus.model.loading import KEPT_IN_FLOAT32, WithoutInitialisation
from janus.model.model import JanusModel
from janus.model.quantized import (
    pack_bfloat16,
    pack_convolutions,
    pack_quantized,
    packed_parts,
)
from vision.config import CodebookConfig, VisionConfig

_PRO_1B = JanusConfig(
    transformer=TransformerConfig(), vision=VisionConfig(), codebook=CodebookConfig()
)
_PRO_7B = JanusConfig(
    transformer=TransformerConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=30,
        num_attention_heads=32,
        num_key_value_heads=32,
    ),
    vision=VisionConfig(projection_dim=4096),
    codebook=CodebookConfig(projection_dim=4096, image_token_embed_dim=4096),
)
SIZES: Mapping[str, JanusConfig] = MappingProxyType(
    {"janus-1.3b": _PRO_1B, "janus-pro-1b": _PRO_1B, "janus-pro-7b": _PRO_7B}
)
STD = 0.02
NUM_DIFFERENT = 1 << 20  # random numbers, which are repeated: drawing billions takes long


def size_named(name: str) -> JanusConfig:
    """Raises `UsageError` with the names there are."""
    if name not in SIZES:
        raise UsageError(f"There is no size {name!r}.", f"Use {', '.join(SIZES)}.")
    return SIZES[name]


def random_model(
    config: JanusConfig,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
    quantize: str | None = None,
    packed: bool = True,
) -> JanusModel:
    """Built on its device directly in its number type; on a CPU packed layer by layer, if `packed`.

    The same numbers each time, whatever becomes of them. Raises `UsageError` for an unknown
    quantization.
    """
    with torch.device("meta"), WithoutInitialisation():
        model = JanusModel(config)
    numbers = STD * torch.randn(NUM_DIFFERENT, generator=torch.Generator().manual_seed(0))
    numbers = numbers.to(device, dtype)

    def fill(part: str) -> None:
        for name, module in model.get_submodule(part).named_modules(prefix=part):
            _fill(module, name, numbers)

    model.eval().requires_grad_(False)
    parts = packed_parts(model)
    for name, module in model.named_modules():
        if not name.startswith(tuple(parts)):
            _fill(module, name, numbers)
    if packed:
        pack_convolutions(model)
    if quantize is not None:
        return pack_quantized(model, quantize, prepare=fill)
    for name in parts:
        fill(name)
    return pack_bfloat16(model) if packed else model


def _fill(module: nn.Module, path: str, numbers: Tensor) -> None:
    """Gives the module's own tensors their memory: norms are ones, biases and buffers zeros.

    No two matrices are equal, or an engine might read one of them for both.
    """
    for name, tensor in list(module.named_parameters(recurse=False)):
        filled = numbers.new_full(tensor.shape, float(name != "bias"))
        if tensor.ndim > 1:
            own = numbers.roll(crc32(f"{path}.{name}".encode()) % len(numbers))
            for piece in filled.view(-1).split(len(own)):
                piece.copy_(own[: len(piece)])
        setattr(module, name, nn.Parameter(filled, requires_grad=False))
    for name, tensor in list(module.named_buffers(recurse=False)):
        kept = torch.float32 if name in KEPT_IN_FLOAT32 else numbers.dtype
        setattr(module, name, numbers.new_zeros(tensor.shape, dtype=kept))
