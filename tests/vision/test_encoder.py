"""Seeing: patch features and aligners as transformers computes them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from janus.model.model import JanusModel
from tests.oracle import oracle, ours_from, relative_error

SECTIONS = {
    "two layers of each": {},
    "other sizes": {
        "vision_config": {
            "hidden_size": 48,
            "num_attention_heads": 3,
            "num_hidden_layers": 3,
            "patch_size": 2,
            "num_image_tokens": 64,
            "mlp_ratio": 2.7,
            "layer_norm_eps": 1e-2,
            "depth": 3,
        },
        "vq_config": {"channel_multiplier": [1, 1], "num_hidden_layers": 3},
    },
    "aligners of one layer": {"vision_config": {"depth": 1}, "vq_config": {"num_hidden_layers": 1}},
}


@pytest.fixture(scope="module", params=SECTIONS)
def pair(request: pytest.FixtureRequest) -> tuple[Any, JanusModel]:
    theirs = oracle("llama", **SECTIONS[request.param])
    return theirs, ours_from(theirs)


def pixels(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1


@torch.inference_mode()
def test_patch_features(pair: tuple[Any, JanusModel]) -> None:
    theirs, ours = pair
    expected = theirs.model.vision_model(pixels()).last_hidden_state
    assert relative_error(ours.vision_model(pixels()), expected) <= 1e-5


@torch.inference_mode()
def test_seen_pictures_at_the_width_of_the_transformer(pair: tuple[Any, JanusModel]) -> None:
    theirs, ours = pair
    expected = theirs.model.get_image_features(pixels()).pooler_output
    assert relative_error(ours.see(pixels()), expected) <= 1e-5


@torch.inference_mode()
def test_drawn_codes_at_the_width_of_the_transformer(pair: tuple[Any, JanusModel]) -> None:
    theirs, ours = pair
    codes = torch.arange(40)
    expected = theirs.prepare_embeddings_for_image_generation(codes)
    assert relative_error(ours.embed_image(codes), expected) <= 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 16, 12), (1, 1, 16, 16), (3, 16, 16)])
def test_other_shapes_are_refused_with_both_sizes(
    pair: tuple[Any, JanusModel], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"\[B, 3, 16, 16\], got \[" + str(shape[0])):
        pair[1].vision_model(torch.zeros(shape))
