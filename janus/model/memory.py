"""How a process holds memory: in large pages what is read often, and nothing that it has freed."""

import ctypes
import math
import mmap
import sys
from contextlib import suppress

import torch
from torch import Tensor

LARGE = 1 << 18  # bytes: what is smaller shares its pages with others


def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
    """On the CPU; where a system (Linux) has large pages, what is large lies in some of its own.

    The processor looks up one page of 2 MB instead of 512 of 4 kB, and in a virtual machine each of
    these costs it twice as much: what is there is read faster, and what is new is there sooner.
    Such memory goes back to the system with its tensor.
    """
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros(shape, dtype=dtype)
    memory = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel may be built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def in_large_pages(x: Tensor) -> Tensor:
    """A contiguous copy in memory as `zeros` has it."""
    return zeros(*x.shape, dtype=x.dtype).copy_(x.detach())


def give_back_memory() -> None:
    """Gives the system what the C library (glibc) keeps in pieces; elsewhere, does nothing."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)
