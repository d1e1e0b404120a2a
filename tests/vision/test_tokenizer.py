"""Drawing: pixels <-> ids as transformers and the original code compute them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.oracle import oracle, ours_from, relative_error
from vision.tokenizer import ImageTokenizer

# B pictures, N ids of a picture, K codes, c width of a code

SECTIONS = {
    "three levels": {},
    "two blocks a level": {"num_res_blocks": 2, "channel_multiplier": [1, 2, 3], "embed_dim": 8},
    "no blocks in the encoder": {"num_res_blocks": 0},
}


@pytest.fixture(params=SECTIONS)
def pair(request: pytest.FixtureRequest) -> tuple[Any, ImageTokenizer]:
    """Transformers' tokenizer and ours; codes have many lengths."""
    theirs = oracle("llama", vq_config=SECTIONS[request.param])
    return theirs.model.vqmodel, ours_from(theirs).vqmodel


def pixels(count: int = 4, side: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, 3, side, side, generator=generator) * 2 - 1


def ids(count: int = 3) -> Tensor:
    return torch.randint(40, (count, 16), generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def test_decoded_pixels(pair: tuple[Any, ImageTokenizer]) -> None:
    theirs, ours = pair
    assert relative_error(ours.decode(ids()), theirs.decode(ids())) <= 1e-5


@torch.no_grad()
def test_encoded_ids_of_unit_codes(pair: tuple[Any, ImageTokenizer]) -> None:
    """Transformers measures distances to the raw rows, the original code and ours to the rows at
    length one: they agree where the rows have that length."""
    theirs, ours = pair
    for tokenizer in pair:
        rows = tokenizer.quantize.embedding.weight
        rows.copy_(rows / rows.norm(dim=-1, keepdim=True))
    expected_BN = theirs.encode(pixels()).image_tokens.unflatten(0, (4, 16))
    assert torch.equal(ours.encode(pixels()), expected_BN)
    assert len(expected_BN.unique()) > 4


@torch.no_grad()
def test_encoded_ids_by_the_original_formula(pair: tuple[Any, ImageTokenizer]) -> None:
    """Both sides at length one, then the smallest squared distance."""
    _, ours = pair
    latents_BNc = ours.latents(pixels()).double().flatten(2).mT
    latents_BNc /= latents_BNc.norm(dim=-1, keepdim=True)
    codes_Kc = ours.quantize.embedding.weight.double()
    codes_Kc = codes_Kc / codes_Kc.norm(dim=-1, keepdim=True)
    distances_BNK = (latents_BNc[:, :, None] - codes_Kc).square().sum(-1)
    assert torch.equal(ours.encode(pixels()), distances_BNK.argmin(-1))


@torch.no_grad()
def test_lengths_of_codes_mean_nothing(pair: tuple[Any, ImageTokenizer]) -> None:
    _, ours = pair
    encoded, decoded = ours.encode(pixels()), ours.decode(ids())
    lengths = torch.logspace(-2, 2, 40)[:, None]
    ours.quantize.embedding.weight.mul_(lengths)
    assert torch.equal(ours.encode(pixels()), encoded)
    assert relative_error(ours.decode(ids()), decoded) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_what_it_is(
    pair: tuple[Any, ImageTokenizer], dtype: torch.dtype
) -> None:
    _, ours = pair
    expected = ours.decode(ids())
    ours.to(dtype)
    decoded = ours.decode(ids())
    assert decoded.dtype == dtype
    assert relative_error(decoded.float(), expected) <= 0.1
    assert ours.encode(pixels()).shape == (4, 16)


@torch.no_grad()
def test_larger_pictures_have_more_ids(pair: tuple[Any, ImageTokenizer]) -> None:
    _, ours = pair
    encoded = ours.encode(pixels(2, side=24))
    assert encoded.shape == (2, 36)
    assert ours.decode(encoded).shape == (2, 3, 24, 24)


def test_sizes_that_do_not_fit_are_named(pair: tuple[Any, ImageTokenizer]) -> None:
    _, ours = pair
    with pytest.raises(ValueError, match="multiples of 4, got 18x18"):
        ours.encode(pixels(1, side=18))
    with pytest.raises(ValueError, match="15 ids do not fill a square"):
        ours.decode(ids()[:, :15])
