"""A checkpoint folder of either published layout -> a model on its device, ready to run.

Tensors stream from the files into the model one by one, cast on the way; nothing is built twice.
"""

import os

import torch

from janus.config import read_config
from janus.devices import choose_device, choose_dtype
from janus.model.model import JanusModel
from weights.files import Checkpoint
from weights.load import load_into

# Balances the experts in steps of 1e-3, finer than bfloat16 holds.
KEPT_IN_FLOAT32 = ("e_score_correction_bias",)


def load_model(
    folder: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> JanusModel:
    """Opens a checkpoint. Raises `WeightsError` or `JanusError` where it is not a whole Janus."""
    checkpoint = Checkpoint.open(folder)
    config = read_config(checkpoint.config)
    with torch.device("meta"):
        model = JanusModel(config)
    target = choose_device(device)
    load_into(
        model,
        checkpoint,
        dtype=choose_dtype(dtype, target, num_parameters(model)),
        device=target,
        rename=our_name,
        keep_float32=KEPT_IN_FLOAT32,
    )
    return model.eval().requires_grad_(False)


def our_name(canonical: str) -> str:
    """transformers puts everything but the text head below `model.`; we do not."""
    return canonical.removeprefix("model.")


def canonical_name(ours: str) -> str:
    return ours if ours.startswith("lm_head.") else f"model.{ours}"


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
