"""One file of weights, .safetensors or .bin: what is in it, and its tensors one after another.

Enters: a path. Leaves: (stored name, tensor) pairs whose memory is mapped from the file. Pickles
are read with `weights_only`, so nothing in a file is ever executed. Knows no canonical names.
"""

import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from weights.errors import CheckpointError

# Pages of a mapped file count as this process's memory until it is unmapped, so a file is mapped
# anew for every sixteenth of it: while it loads, at most that much of it is resident.
WINDOWS_PER_FILE = 16


def read_outline(path: Path) -> dict[str, Tensor]:
    """Name -> tensor on the meta device: shapes and types, without reading any data."""
    try:
        state = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return dict(_outline(path, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=64)
def _outline(path: Path, changed: int, size: int) -> dict[str, Tensor]:
    """Kept, since a model that is read part by part asks for it many times."""
    with _mapped(path) as (names, get):
        return {name: get(name).to("meta") for name in names}


def read_tensors(
    path: Path, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, Tensor]]:
    """The wanted tensors of the file, in file order. They live in the mapped file: copy what you
    keep."""
    for names in _windows(read_outline(path)):
        if chosen := [name for name in names if wanted(name)]:
            yield from _read_window(path, chosen)


def _read_window(path: Path, names: list[str]) -> Iterator[tuple[str, Tensor]]:
    with _mapped(path) as (_, get):
        for name in names:
            yield name, get(name)


def _windows(outline: dict[str, Tensor]) -> Iterator[list[str]]:
    limit = sum(tensor.nbytes for tensor in outline.values()) // WINDOWS_PER_FILE
    names: list[str] = []
    size = 0
    for name, tensor in outline.items():
        if names and size + tensor.nbytes > limit:
            yield names
            names, size = [], 0
        names.append(name)
        size += tensor.nbytes
    if names:
        yield names


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[list[str], Callable[[str], Tensor]]]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                yield file.offset_keys(), file.get_tensor
        else:
            state = _load_pickle(path)
            yield list(state), state.__getitem__
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error


def _load_pickle(path: Path) -> dict[str, Tensor]:
    if not zipfile.is_zipfile(path):
        raise pickle.UnpicklingError("not a PyTorch zip archive, or cut off")
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise pickle.UnpicklingError("it holds something other than named tensors")
    return state


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    if _is_lfs_pointer(path):
        return CheckpointError(
            f"{path} is a Git LFS pointer, not the weights themselves.",
            "Run `git lfs pull` in that folder, or download it from the hub.",
        )
    return CheckpointError(
        f"{path} cannot be read: {_reason(error)}.",
        "The file is damaged, incomplete or not a plain checkpoint; download it again.",
    )


def _reason(error: Exception) -> str:
    """The line that says what is wrong; torch buries it under advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "nsupported" in line or "blocked" in line]
    return (telling or lines or [type(error).__name__])[0].rstrip(".")


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(24) == b"version https://git-lfs."
    except OSError:
        return False
