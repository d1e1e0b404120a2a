"""How a process holds memory: weights in large pages, and nothing that it has freed."""

import ctypes
import math
import mmap
import os
import sys
from contextlib import suppress

import torch
from torch import Tensor

LARGE = 1 << 18  # bytes: what is smaller shares its pages with others


def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
    """On the CPU; where the system lets it, what is large has pages of its own.

    They take memory only once they are written to, and give it back with the tensor. Raises
    `MemoryError` where there is no room for them.
    """
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes < LARGE or os.name != "posix":
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(_new_pages(num_bytes), dtype=dtype).view(shape)


def in_large_pages(x: Tensor) -> Tensor:
    """A contiguous copy on the CPU, which is read faster where a system (Linux) has large pages.

    The processor looks up one page of 2 MB instead of 512 of 4 kB, and in a virtual machine each of
    these costs it twice as much.
    """
    if x.nbytes < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return x.detach().clone(memory_format=torch.contiguous_format)
    memory = _new_pages(x.nbytes)
    with suppress(OSError):  # a kernel may be built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=x.dtype).view(x.shape).copy_(x.detach())


def _new_pages(num_bytes: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"There is no room for {num_bytes} bytes.") from error


def give_back_memory() -> None:
    """Gives the system what the C library (glibc) keeps in pieces; elsewhere, does nothing."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)
