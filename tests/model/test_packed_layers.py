"""All layers in one call against the layers one by one, and what is left to these."""

# N new tokens of all rows, D width

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from janus.model.cache import Rows
from janus.model.model import JanusModel
from janus.model.native.build import library
from janus.model.packed_layers import PackedLayers
from janus.model.quantized import pack_bfloat16, pack_quantized
from janus.model.transformer import Transformer
from tests.oracle import our_config, randomize

needs_kernels = pytest.mark.skipif(library() is None, reason="needs AVX-512 and a C compiler")

WIDTH = 128
SIZES = {"hidden_size": WIDTH, "intermediate_size": 192, "head_dim": 32, "num_key_value_heads": 2}
# Tokens, and positions before them, of rows in slots 2, 0 and 1; the first are prompts.
PASSES = [
    Rows((11, 70), (0, 0), (2, 0)),
    Rows((1, 1), (11, 70), (2, 0)),
    Rows((4, 4, 1), (12, 71, 0), (2, 0, 1)),
    Rows((8, 2), (16, 75), (2, 0)),
    Rows((1, 1, 32), (24, 77, 1), (2, 0, 1)),  # with a piece of a prompt
    Rows((1, 1, 1), (25, 78, 33), (2, 0, 1)),
]


def packed(kind: str | None, name: str = "llama", **settings: int | bool) -> Transformer:
    tiny = our_config(name)
    config = replace(
        tiny,
        transformer=replace(tiny.transformer, **(SIZES | settings)),
        vision=replace(tiny.vision, projection_dim=WIDTH),
        codebook=replace(tiny.codebook, projection_dim=WIDTH, image_token_embed_dim=WIDTH),
    )
    model = JanusModel(config)
    randomize(model)
    model = model.bfloat16().eval().requires_grad_(False)
    return (pack_quantized(model, kind) if kind else pack_bfloat16(model)).language_model


def hidden(transformer: Transformer) -> list[Tensor]:
    """The final hidden states of all passes, whose rows go on in one cache."""
    cache, generator = transformer.new_cache(3, 90), torch.Generator().manual_seed(0)
    width = transformer.config.hidden_size
    tokens = [torch.randn(sum(rows.counts), width, generator=generator) for rows in PASSES]
    return [
        transformer(hidden_ND.bfloat16(), rows, cache)
        for hidden_ND, rows in zip(tokens, PASSES, strict=True)
    ]


@needs_kernels
@pytest.mark.parametrize("kind", [None, "int8", "int4"])
@torch.inference_mode()
def test_at_once_and_one_by_one(kind: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same to the bit, also where one pass goes one way and the next the other."""
    transformer = packed(kind)
    assert isinstance(transformer.at_once, PackedLayers)
    calls: list[int] = []
    run = transformer.at_once.layers.run
    monkeypatch.setattr(
        transformer.at_once.layers, "run", lambda *x: calls.append(len(x[0])) or run(*x)
    )
    at_once = hidden(transformer)
    assert calls == [2, 9, 10, 3]
    transformer.at_once = None
    assert all(map(torch.equal, at_once, hidden(transformer)))


@needs_kernels
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama", {"use_qk_norm": True}),
        ("llama", {"head_dim": 16}),
        ("llama", {"intermediate_size": 176}),  # no multiple of the kernel's group
        ("llama, biases", {}),
        ("glm", {}),
    ],
)
@torch.inference_mode()
def test_other_layers_are_run_one_by_one(name: str, settings: dict[str, int]) -> None:
    transformer = packed("int8", name, **settings)
    assert transformer.at_once is None
    assert all(states.isfinite().all() for states in hidden(transformer))


def test_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_NATIVE", "0")
    library.cache_clear()
    try:
        assert packed("int8").at_once is None
    finally:
        library.cache_clear()
