"""In packed bfloat16, int8 and int4, a row's numbers do not depend, to the bit, on its batch.

So windows and neighbours change no id. Latent attention and experts are left out: they sum in
float32 kernels whose last bits depend on the number of rows.
"""

# R rows, T new tokens of each, D width

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from janus.config import JanusConfig, TransformerConfig
from janus.evaluation.random_model import random_model
from janus.model.cache import CHUNK, Cache, Rows
from janus.model.model import JanusModel
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


@pytest.fixture(scope="module", params=[None, "int8", "int4"])
def model(request: pytest.FixtureRequest) -> JanusModel:
    return random_model(CONFIG, quantize=request.param)


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
    return model(torch.cat(pieces), rows, cache)


def random(num: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, SMALL.hidden_size, generator=generator).bfloat16()
