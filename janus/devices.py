"""Which device and which number type to use, from what the person asked for and the machine has."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from janus.errors import UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SMALL_MODEL = 500_000_000  # parameters; below this, float32 costs a CPU little


def choose_device(wanted: str | torch.device = "auto") -> torch.device:
    """`auto`: CUDA, else Apple's MPS, else the CPU. Raises `UsageError` for one not present."""
    if wanted == "auto":
        return torch.device(best_device())
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(
            f"There is no device {wanted!r}.", "Use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if device.type in available and not available[device.type]():
        raise UsageError(
            f"torch finds no {device.type} device on this machine.",
            "Use --device cpu, or install a torch build and driver for it.",
        )
    return device


def best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(
    wanted: str | torch.dtype, device: torch.device, num_parameters: int
) -> torch.dtype:
    """`auto`: bfloat16, but float32 for small models on a CPU, float16 where bfloat16 is slow."""
    if isinstance(wanted, torch.dtype):
        wanted = str(wanted).removeprefix("torch.")
    if wanted != "auto":
        if wanted not in DTYPES:
            raise UsageError(f"dtype is {wanted!r}.", f"Use auto, {', '.join(DTYPES)}.")
        if wanted == "float16" and device.type == "cpu":
            raise UsageError(
                "float16 is slow and incomplete on a CPU.", "Use bfloat16 or float32 there."
            )
        return DTYPES[wanted]
    if device.type == "cpu":
        return torch.float32 if num_parameters < SMALL_MODEL else torch.bfloat16
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


@contextmanager
def beside_others(device: torch.device) -> Iterator[None]:
    """On a GPU, what is done inside does not queue behind the passes of the transformer.

    Takes and gives what is on the host. No GPU has run this yet.
    """
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream(device)):
        yield
