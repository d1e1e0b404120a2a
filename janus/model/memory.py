"""How a process holds memory: in large pages what is read often, and nothing that it has freed."""

import ctypes
import mmap
import sys
from contextlib import suppress

import torch
from torch import Tensor

LARGE_PAGE = 1 << 21  # bytes, on x86


def in_large_pages(x: Tensor) -> Tensor:
    """The same numbers, contiguous, on the CPU: read faster where a system (Linux) has large pages.

    The processor looks up one page of 2 MB instead of 512 of 4 kB, and in a virtual machine each of
    these costs it twice as much.
    """
    if x.nbytes < LARGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return x.contiguous()
    memory = mmap.mmap(-1, x.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel may be built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=x.dtype).view(x.shape).copy_(x.detach())


def give_back_memory() -> None:
    """Gives the system what the C library (glibc) keeps in pieces; elsewhere, does nothing."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)
