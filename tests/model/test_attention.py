"""The ways to attend to a cache give what exact attention gives, also where the cache has grown."""

# R rows, T new tokens of each, H heads, K key heads, L positions, d width of a head

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from janus.model.attention import FEW_QUERIES, attend
from janus.model.cache import CHUNK, LayerCache, Rows

HEADS, WIDTH, LENGTH = 4, 16, 40


@pytest.mark.parametrize("num_key_heads", [1, 2, HEADS])
@pytest.mark.parametrize("num_new", [1, 3, FEW_QUERIES, FEW_QUERIES + 1])
@pytest.mark.parametrize("is_ragged", [False, True])
def test_bfloat16_attends_as_double_precision_does(
    num_key_heads: int, num_new: int, is_ragged: bool
) -> None:
    generator = torch.Generator().manual_seed(num_new)
    q_RTHd = torch.randn(2, num_new, HEADS, WIDTH, generator=generator).bfloat16()
    k_RKLd, v_RKLd = torch.randn(2, 2, num_key_heads, LENGTH, WIDTH, generator=generator).bfloat16()
    first_R = torch.tensor([LENGTH, LENGTH - 7 * is_ragged]) - num_new
    place_RT1 = (first_R[:, None] + torch.arange(num_new))[..., None]
    mask_R1TL = (torch.arange(LENGTH) <= place_RT1)[:, None]
    seen = None if num_new == 1 and not is_ragged else mask_R1TL
    ours = attend(q_RTHd, k_RKLd, v_RKLd, mask_R1TL=seen)
    repeats = HEADS // num_key_heads
    exact = F.scaled_dot_product_attention(
        q_RTHd.transpose(1, 2).double(),
        k_RKLd.double().repeat_interleave(repeats, dim=1),
        v_RKLd.double().repeat_interleave(repeats, dim=1),
        attn_mask=mask_R1TL,
    ).transpose(1, 2)
    torch.testing.assert_close(ours.double(), exact, atol=2e-2, rtol=2e-2)


def test_a_growing_cache_keeps_what_it_has() -> None:
    cache = LayerCache(torch.zeros(()), 3, 3 * CHUNK, (2, 4))
    kept = torch.randn(2 * CHUNK + 1, 2, 4)
    for start, stop in [(0, 5), (5, CHUNK), (CHUNK, CHUNK + 1), (CHUNK + 1, 2 * CHUNK + 1)]:
        cache.write(rows(stop - start, start), kept[start:stop])
        assert cache.capacity == -(-stop // CHUNK) * CHUNK
    (read_RKLx,) = cache.read(rows(1, 2 * CHUNK).blocks[0])
    assert torch.equal(read_RKLx[0].transpose(0, 1), kept)


@pytest.mark.parametrize(
    ("filled", "read"), [(CHUNK - 3, CHUNK), (3 * CHUNK - 1, 4 * CHUNK), (CHUNK + 1, CHUNK + 1)]
)
def test_a_little_too_much_is_read_rather_than_copied(filled: int, read: int) -> None:
    """A slot that is mostly empty, because another row is long, is read as far as it is filled."""
    cache = LayerCache(torch.zeros(()), 3, 4 * CHUNK, (2, 4))
    longest = CHUNK if filled < CHUNK else 4 * CHUNK
    cache.write(rows(longest, 0), torch.zeros(longest, 2, 4))
    block = rows(1, filled - 1).blocks[0]
    assert cache.cheapest_length(block) == read
    mask_R1TL = block.mask_R1TL(read)
    if read == filled:
        assert mask_R1TL is None
    else:
        assert mask_R1TL is not None and seen(mask_R1TL) == [filled]


def rows(count: int, start: int) -> Rows:
    return Rows(counts=(count,), starts=(start,), slots=(1,))


def seen(mask_R1TL: Tensor) -> list[int]:
    """How many positions, the first ones, the first new token of each row sees."""
    assert not mask_R1TL[..., :-1].logical_not().logical_and(mask_R1TL[..., 1:]).any()
    return mask_R1TL[:, 0, 0].sum(dim=-1).tolist()
