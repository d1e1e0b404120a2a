"""In packed bfloat16, int8 and int4, a row's numbers do not depend, to the bit, on its batch.

So windows and neighbours change no id, nor do those beside whom a prompt is read in pieces. Whole
prompts are another matter: beyond some 256 tokens, products in bfloat16 and int4 sum in other
orders.
"""

# R rows, T new tokens of each, D width

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from janus.config import (
    ExpertsConfig,
    JanusConfig,
    LatentAttentionConfig,
    TransformerConfig,
)
from janus.engine.budget import prompt_tokens_of
from janus.evaluation.random_model import random_model
from janus.model.cache import CHUNK, Cache, Rows
from janus.model.model import JanusModel
from janus.model.native.build import library
from janus.model.quantized import pack_quantized
from tests.oracle import randomize, relative_error
from vision.config import CodebookConfig, VisionConfig

SMALL = TransformerConfig(
    vocab_size=80,
    hidden_size=512,
    intermediate_size=1408,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=4,
    head_dim=128,
    max_position_embeddings=1024,
)
CONFIG = JanusConfig(
    transformer=SMALL,
    vision=VisionConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, projection_dim=512
    ),
    codebook=CodebookConfig(
        num_embeddings=2048, base_channels=32, projection_dim=512, image_token_embed_dim=512
    ),
)
OLD, NEW = CHUNK - 5, 8  # tokens, so that the slots grow in between

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported()),
    reason="the kernels are oneDNN's",
)


# As janus-emoji has it: latent attention, and experts of which each token chooses two.
MIXTURE = replace(
    SMALL,
    hidden_size=256,
    latent_attention=LatentAttentionConfig(
        kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=64
    ),
    experts=ExpertsConfig(
        n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=256, n_shared_experts=1
    ),
)
WIDTHS = {"projection_dim": 256}
MIXTURE_CONFIG = JanusConfig(
    transformer=MIXTURE,
    vision=replace(CONFIG.vision, **WIDTHS),
    codebook=replace(CONFIG.codebook, **WIDTHS, image_token_embed_dim=256),
)
SINGLE = "single precision"  # of what is not quantized


@pytest.fixture(scope="module", params=[None, "int8", "int4"])
def quantization(request: pytest.FixtureRequest) -> str | None:
    return request.param


@pytest.fixture(scope="module", params=["dense", "mixture", SINGLE])
def model(request: pytest.FixtureRequest, quantization: str | None) -> JanusModel:
    if request.param == "dense":
        return random_model(CONFIG, quantize=quantization)
    if library() is None:
        pytest.skip("torch's small products depend on the number of rows")
    if request.param == "mixture":
        return random_model(MIXTURE_CONFIG, quantize=quantization)
    if quantization is None:
        pytest.skip("nothing is packed")
    model = JanusModel(MIXTURE_CONFIG).eval().requires_grad_(False)
    randomize(model)
    return pack_quantized(model, quantization)


@pytest.mark.parametrize("window", [1, 2, 4, 8])
@pytest.mark.parametrize("num_others", [0, 2, 6])
@torch.inference_mode()
def test_a_row_alone_in_a_window_in_a_batch(
    model: JanusModel, window: int, num_others: int
) -> None:
    alone_RTD = torch.cat(list(decode(model, window=1, num_others=0)), dim=1)
    hidden_RTD = torch.cat(list(decode(model, window, num_others)), dim=1)
    assert torch.equal(hidden_RTD, alone_RTD)
    logits, logits_alone = model.image_logits(hidden_RTD), model.image_logits(alone_RTD)
    assert torch.equal(logits, logits_alone)
    assert len(logits_alone.unique()) > 1000


@pytest.mark.parametrize("num_others", [1, 5])
@torch.inference_mode()
def test_a_prompt_in_pieces_alone_and_in_company(model: JanusModel, num_others: int) -> None:
    alone_TD = torch.cat(list(read(model, 300, num_others=0)))
    assert torch.equal(torch.cat(list(read(model, 300, num_others))), alone_TD)


@pytest.mark.parametrize("length", [150, 700])
@torch.inference_mode()
def test_a_prompt_in_pieces_and_whole(model: JanusModel, length: int) -> None:
    if model.config.transformer.experts:
        pytest.skip("the least change may turn a choice")
    pieces_TD = torch.cat(list(read(model, length, num_others=0)))
    cache = model.language_model.new_cache(1, 1024)
    whole_TD = forward(model, [random(length, seed=0)], [0], [0], cache)
    if model.quantization == "int8":
        assert torch.equal(pieces_TD, whole_TD)
    assert relative_error(pieces_TD.float(), whole_TD.float()) <= 0.01


def read(model: JanusModel, length: int, num_others: int) -> Iterator[Tensor]:
    """Hidden states of the pieces of a prompt, beside others that get a word in each pass."""
    cache = model.language_model.new_cache(1 + num_others, 1024)
    prompt, slots = random(length, seed=0), list(range(1 + num_others))
    others = [random(OLD + 9 * row + length, seed=row) for row in slots[1:]]
    starts = [OLD + 9 * row for row in slots[1:]]
    for row, start in enumerate(starts):
        forward(model, [others[row][:start]], [0], [1 + row], cache)
    size = prompt_tokens_of(model)
    for new, place in enumerate(range(0, length, size)):
        places = [start + new for start in starts]
        words = [x[at : at + 1] for x, at in zip(others, places, strict=True)]
        pieces = [*words, prompt[place : place + size]]
        yield forward(model, pieces, [*places, place], [*slots[1:], 0], cache)[num_others:]


def decode(model: JanusModel, window: int, num_others: int) -> Iterator[Tensor]:
    """Hidden states [2, T, D] of two rows, pass after pass, beside others of other lengths."""
    num_rows, starts = 2 + num_others, [OLD, OLD, *(OLD + 9 * i for i in range(num_others))]
    cache = model.language_model.new_cache(num_rows, 4 * CHUNK)
    inputs = [random(start + NEW, seed=row) for row, start in enumerate(starts)]
    for row, start in enumerate(starts):
        forward(model, [inputs[row][:start]], [0], [row], cache)
    for new in range(0, NEW, window):
        places = [start + new for start in starts]
        pieces = [x[place : place + window] for x, place in zip(inputs, places, strict=True)]
        hidden_ND = forward(model, pieces, places, list(range(num_rows)), cache)
        yield hidden_ND.unflatten(0, (num_rows, window))[:2]


def forward(
    model: JanusModel, pieces: list[Tensor], starts: list[int], slots: list[int], cache: Cache
) -> Tensor:
    counts = tuple(map(len, pieces))
    rows = Rows(counts=counts, starts=tuple(starts), slots=tuple(slots))
    width, dtype = model.config.transformer.hidden_size, model.dtype
    return model(torch.cat(pieces)[:, :width].to(dtype), rows, cache)


def random(num: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, SMALL.hidden_size, generator=generator).bfloat16()
