"""Memory that a process has freed, and its C library would keep."""

import ctypes
import sys
from contextlib import suppress


def give_back_memory() -> None:
    """Gives the system what the C library (glibc) keeps in pieces; elsewhere, does nothing."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)
