"""Memory that is read often lies in large pages."""

import re
from pathlib import Path

import pytest
import torch

from janus.errors import is_out_of_memory
from janus.model.memory import LARGE, in_large_pages, zeros

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
MAPPINGS = Path("/proc/self/smaps")
MAPPING = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) .*?^VmFlags: ([a-z0-9 ]*)$", re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("size", [3, LARGE // 64])
def test_numbers_stay_as_they_are(dtype: torch.dtype, size: int):
    x = torch.randint(0, 99, (size, 128)).to(dtype).T
    y = in_large_pages(x)
    assert y.is_contiguous() and y.dtype is dtype and torch.equal(y, x)
    y.zero_()
    assert x.any()


def test_zeros() -> None:
    x = zeros(LARGE, 3, dtype=torch.bfloat16)
    assert x.shape == (LARGE, 3) and x.dtype is torch.bfloat16 and not x.any()
    x[-1] = 1
    assert x.sum() == 3
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        zeros(1 << 50, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.skipif(not LARGE_PAGES.exists(), reason="the system has no large pages")
def test_large_pages_are_asked_for():
    x = in_large_pages(torch.ones(LARGE, 8))
    flags = next(
        flags
        for first, after, flags in MAPPING.findall(MAPPINGS.read_text())
        if int(first, 16) <= x.data_ptr() < int(after, 16)
    )
    assert "hg" in flags.split()
