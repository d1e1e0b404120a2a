"""A checkpoint folder of either published layout -> a model on its device, ready to run.

Tensors stream from the files into the model one by one, cast on the way; nothing is built twice.
A model to be quantized is so layer by layer, each before the next is read, and the parts that
drawing does not need stay in their file: it must not be overwritten while the model runs.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from janus.config import read_config
from janus.devices import choose_device, choose_dtype
from janus.errors import UsageError, WeightsMissingError
from janus.model.model import JanusModel
from janus.model.packed import PackedLinear
from janus.model.packed_vision import PackedProduct
from janus.model.quantized import (
    QUANTIZATIONS,
    RoundedExperts,
    check_quantization,
    pack_bfloat16,
    pack_convolutions,
    pack_quantized,
    packed_parts,
    round_part,
)
from janus.model.rounded import Rounded
from weights.files import Checkpoint
from weights.load import Loader

# A bias balances the experts in steps of 1e-3, finer than bfloat16 holds; a scale becomes what its
# kernel wants when it is packed.
KEPT_IN_FLOAT32 = ("e_score_correction_bias", "_scale")

# Of a quantized model these stay in their file until they are used: drawing needs none of them,
# but for a few rows of the last.
MAPPED = ("vision_model.", "aligner.", "vqmodel.encoder.", "language_model.embed_tokens.")


def load_model(
    folder: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    quantize: str | None = None,
) -> JanusModel:
    """Opens a checkpoint.

    One that `janus weights quantize` wrote is packed as it says. Raises `WeightsError` or
    `JanusError` where it is not a whole Janus, `UsageError` where it cannot be quantized so, or
    not for the device.
    """
    target = choose_device(device)
    if quantize is not None:
        check_quantization(quantize, target)
    checkpoint = Checkpoint.open(Path(folder))
    stored = stored_quantization(checkpoint.config)
    if stored is not None and quantize not in (None, stored):
        raise UsageError(f"{folder} is quantized to {stored} already.", "Leave --quantize out.")
    model = empty_model(checkpoint)
    if stored is not None and target.type != "meta":
        check_quantization(stored, target)
        quantize = stored
    loader = Loader(
        model.eval(),
        checkpoint,
        dtype=choose_dtype(dtype, target, num_parameters(model)),
        device=target,
        rename=our_name,
        keep_float32=KEPT_IN_FLOAT32,
    )
    if quantize is None:
        loader.load()
        pack_bfloat16(model.requires_grad_(False))
    else:
        parts = tuple(f"{name}." for name in packed_parts(model))
        loader.load(lambda name: name.startswith(MAPPED), mapped=True)
        loader.load(lambda name: not name.startswith((*MAPPED, *parts)))
        pack_quantized(
            model.requires_grad_(False),
            quantize,
            prepare=lambda part: loader.load(lambda name: name.startswith(f"{part}.")),
        )
    return pack_convolutions(model)


def empty_model(checkpoint: Checkpoint) -> JanusModel:
    """The model that a checkpoint describes, on the meta device, with the shapes that it stores."""
    config = read_config(checkpoint.config)
    with torch.device("meta"), WithoutInitialisation():
        model = JanusModel(config)
    stored = stored_quantization(checkpoint.config)
    if stored is not None:
        for part in packed_parts(model):
            round_part(model, part, stored)
    return model


def stored_quantization(config: Mapping[str, Any]) -> str | None:
    """What a `config.json` says that its weights are quantized to, None for whole ones.

    Raises `WeightsMissingError` for a way of others.
    """
    settings = config.get("quantization_config")
    if settings is None:
        return None
    for kind in QUANTIZATIONS:
        if settings == quantization_config(kind):
            return kind
    raise WeightsMissingError(
        f"These weights are quantized in a way that Janus does not read: {settings}.",
        "Use the unquantized model, and --quantize.",
    )


def quantization_config(kind: str) -> dict[str, Any]:
    """What `config.json` says of quantized weights."""
    return {"quant_method": "janus", "kind": kind}


class WithoutInitialisation(TorchFunctionMode):
    """Modules built inside keep their weights as they are allocated: all are read from files.

    On the meta device, where there is nothing to fill, torch's random initialisation would still
    import seconds' worth of Python.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def our_name(canonical: str) -> str:
    """transformers puts everything but the text head below `model.`; we do not."""
    return canonical.removeprefix("model.")


def canonical_name(ours: str) -> str:
    return ours if ours.startswith("lm_head.") else f"model.{ours}"


def num_parameters(model: torch.nn.Module) -> int:
    """Packed and rounded ones included."""
    kinds = (PackedLinear, PackedProduct, Rounded, RoundedExperts)
    packed = (m.num_weights for m in model.modules() if isinstance(m, kinds))
    return sum(parameter.numel() for parameter in model.parameters()) + sum(packed)
