"""A model in memory -> the same weights on another device, or as numbers of another type.

The model that is given stays as it is; while both exist, so do both sets of weights.
"""

import torch

from janus.devices import choose_device, choose_dtype
from janus.errors import UsageError
from janus.model.loading import KEPT_IN_FLOAT32, WithoutInitialisation, num_parameters
from janus.model.model import JanusModel
from janus.model.quantized import pack_bfloat16, pack_convolutions


def moved(
    model: JanusModel,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
) -> JanusModel:
    """Laid out for its new place as a loaded model is; the model itself where nothing changes.

    None keeps what it has. Raises `UsageError` for a device or dtype that cannot be used, and for
    a quantized model, which is packed for the CPU.
    """
    target = model.device if device is None else choose_device(device)
    kind = choose_dtype(dtype or model.dtype, target, num_parameters(model))
    if kind == model.dtype and _is_on(target, model.device):
        return model
    if model.quantization is not None:
        raise UsageError(
            f"A model of {model.quantization} weights stays on the CPU, as it is.",
            "Load it without quantize, with the device and dtype that you want.",
        )
    with torch.device("meta"), WithoutInitialisation():
        copy = JanusModel(model.config)
    weights = {
        name: tensor.to(target, tensor.dtype if name.endswith(KEPT_IN_FLOAT32) else kind)
        for name, tensor in model.state_dict().items()
    }
    copy.load_state_dict(weights, assign=True)
    return pack_convolutions(pack_bfloat16(copy.eval().requires_grad_(False)))


def _is_on(wanted: torch.device, present: torch.device) -> bool:
    """Whether it is the same device: without a number, any of its kind will do."""
    return wanted.type == present.type and wanted.index in (None, present.index)
