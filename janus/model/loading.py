"""A checkpoint folder of either published layout -> a model on its device, ready to run.

Tensors stream from the files into the model one by one, cast on the way; nothing is built twice.
"""

import os
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode

from janus.config import read_config
from janus.devices import choose_device, choose_dtype
from janus.model.model import JanusModel
from janus.model.quantized import (
    PackedLinear,
    pack_bfloat16,
    pack_convolutions,
    pack_quantized,
)
from weights.files import Checkpoint
from weights.load import load_into

# Balances the experts in steps of 1e-3, finer than bfloat16 holds.
KEPT_IN_FLOAT32 = ("e_score_correction_bias",)


def load_model(
    folder: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    quantize: str | None = None,
) -> JanusModel:
    """Opens a checkpoint. Raises `WeightsError` or `JanusError` where it is not a whole Janus."""
    target = choose_device(device)
    checkpoint = Checkpoint.open(Path(folder))
    config = read_config(checkpoint.config)
    with torch.device("meta"), WithoutInitialisation():
        model = JanusModel(config)
    load_into(
        model,
        checkpoint,
        dtype=choose_dtype(dtype, target, num_parameters(model)),
        device=target,
        rename=our_name,
        keep_float32=KEPT_IN_FLOAT32,
    )
    pack_convolutions(model.eval().requires_grad_(False))
    return pack_bfloat16(model) if quantize is None else pack_quantized(model, quantize)


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
    """Packed ones included."""
    packed = (m.num_weights for m in model.modules() if isinstance(m, PackedLinear))
    return sum(parameter.numel() for parameter in model.parameters()) + sum(packed)
