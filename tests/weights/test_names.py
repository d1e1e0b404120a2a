"""The table of names, against transformers and against itself."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from weights.errors import CheckpointError
from weights.names import canonical_tensors, original_tensors, to_canonical, to_original

SIZES = {
    "1b": {"width": 2048, "feed_forward": 5632, "layers": 24},
    "7b": {"width": 4096, "feed_forward": 11008, "layers": 30},
}
NUM_KEYS = {"1b": (882, 964), "7b": (936, 1018)}
UNUSED = ("attn_pool", "codebook_used")


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def originals(size: str, shapes_of: Callable[..., dict]) -> dict[str, Tensor]:
    shapes = shapes_of(**SIZES[size])
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def transformers_shapes(size: str) -> dict[str, tuple[int, ...]]:
    from transformers import JanusConfig, JanusForConditionalGeneration

    width = SIZES[size]["width"]
    text = {
        "model_type": "llama",
        "vocab_size": 102400,
        "hidden_size": width,
        "intermediate_size": SIZES[size]["feed_forward"],
        "num_hidden_layers": SIZES[size]["layers"],
        "num_attention_heads": width // 128,
    }
    config = JanusConfig(
        text_config=text,
        vision_config={"projection_dim": width},
        vq_config={"projection_dim": width, "image_token_embed_dim": width},
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return shapes(JanusForConditionalGeneration(config).state_dict())


def test_canonical_is_what_transformers_has(size: str, originals: dict[str, Tensor]) -> None:
    canonical = dict(canonical_tensors(originals.items()))
    assert (len(originals), len(canonical)) == NUM_KEYS[size]
    assert shapes(canonical) == transformers_shapes(size)


def test_names_map_one_to_one(originals: dict[str, Tensor]) -> None:
    seen: set[str] = set()
    for name in originals:
        targets = to_canonical(name)
        assert targets is not None
        assert bool(targets) != any(part in name for part in UNUSED)
        assert {to_original(target) for target in targets} <= {name}
        assert seen.isdisjoint(targets)
        seen.update(targets)


def test_only_the_unused_is_lost_on_the_way_back(originals: dict[str, Tensor]) -> None:
    back = dict(original_tensors(canonical_tensors(originals.items())))
    used = {n: t for n, t in originals.items() if not any(part in n for part in UNUSED)}
    assert shapes(back) == shapes(used)


def test_values_survive_in_any_order(tiny_original: dict[str, Tensor]) -> None:
    canonical = list(canonical_tensors(tiny_original.items()))
    for name, tensor in original_tensors(reversed(canonical)):
        assert torch.equal(tensor, tiny_original[name])


def test_fused_attention_holds_query_then_key_then_value() -> None:
    fused = torch.arange(6.0)
    name = "vision_model.vision_tower.blocks.7.attn.qkv.bias"
    parts = dict(canonical_tensors([(name, fused)]))
    root = "model.vision_model.encoder.layers.7.self_attn"
    assert {n: t.tolist() for n, t in parts.items()} == {
        f"{root}.q_proj.bias": [0, 1],
        f"{root}.k_proj.bias": [2, 3],
        f"{root}.v_proj.bias": [4, 5],
    }


@pytest.mark.parametrize(
    "name",
    ["gen_vision_model.encoder.down.0.x", "vision_model.vision_tower.cls_token", "lm_head.weight"],
)
def test_other_names_are_refused(name: str) -> None:
    assert to_canonical(name) is None
    with pytest.raises(CheckpointError, match=name):
        dict(canonical_tensors([(name, torch.zeros(1))]))


def test_a_lonely_query_is_refused() -> None:
    name = "model.vision_model.encoder.layers.0.self_attn.q_proj.bias"
    with pytest.raises(CheckpointError, match="qkv"):
        dict(original_tensors([(name, torch.zeros(2))]))
