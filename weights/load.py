"""A checkpoint into a module that was built on the meta device, one tensor at a time.

Enters: an empty module and a checkpoint. Leaves: the module with its own memory, in the asked
type and on the asked device; peak memory is that of the module plus a sixteenth of a file, or the
largest tensor. What is not in a checkpoint (non-persistent buffers) is the module's own business.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from weights.errors import CheckpointError
from weights.files import Checkpoint

NAMES_SHOWN = 10


class Loader:
    """Gives parameters and persistent buffers of `module` their tensors, all at once or in parts.

    `rename` turns a canonical name into the module's. Tensors whose name contains one of
    `keep_float32` become float32 instead of `dtype`; whole numbers keep their type. All names and
    shapes are compared before any data is read: a CheckpointError lists what differs.
    """

    def __init__(
        self,
        module: nn.Module,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
        rename: Callable[[str], str] | None = None,
        keep_float32: Iterable[str] = (),
    ) -> None:
        self.module, self.checkpoint = module, checkpoint
        self.dtype, self.device = dtype, device
        self.rename = rename or (lambda name: name)
        self.keep_float32 = tuple(keep_float32)
        found = {self.rename(name): shape for name, shape in checkpoint.shapes().items()}
        wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
        _require_same(wanted, found, checkpoint.folder)

    def load(
        self, wanted: Callable[[str], bool] = lambda name: True, *, mapped: bool = False
    ) -> None:
        """Reads what is `wanted` by its name in the module.

        What is `mapped` stays in its file, if it need not be converted, and takes memory only
        where it is used; the file must then not be overwritten while the module lives.
        """
        for name, tensor in self.checkpoint.tensors(lambda name: wanted(self.rename(name))):
            target = self.rename(name)
            is_precise = any(part in target for part in self.keep_float32)
            kept = torch.float32 if is_precise else self.dtype
            _assign(self.module, target, _own(tensor, kept, self.device, copy=not mapped))


def _own(tensor: Tensor, dtype: torch.dtype, device: str | torch.device, *, copy: bool) -> Tensor:
    # A copy even where type and device agree: the file may be deleted or overwritten.
    return tensor.to(
        device=device,
        dtype=dtype if tensor.is_floating_point() else tensor.dtype,
        copy=copy,
        memory_format=torch.contiguous_format,
    )


def _assign(module: nn.Module, name: str, tensor: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    module.get_submodule(owner).load_state_dict({leaf: tensor}, strict=False, assign=True)


def _require_same(
    wanted: Mapping[str, torch.Size], found: Mapping[str, torch.Size], folder: Path
) -> None:
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    reshaped = [
        f"{name} is {tuple(found[name])}, should be {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if not (missing or unexpected or reshaped):
        return
    lists = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    counts = ", ".join(f"{len(names)} {what}" for what, names in lists.items() if names)
    details = "".join(_list(what, names) for what, names in lists.items() if names)
    raise CheckpointError(
        f"The tensors in {folder} do not fit the model that its config.json describes: "
        f"{counts}.{details}\n",
        "Its config.json and its weights may belong to different models; download both again.",
    )


def _list(what: str, names: list[str]) -> str:
    more = [f"and {len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else []
    return f"\n  {what}: " + "; ".join([*names[:NAMES_SHOWN], *more])
