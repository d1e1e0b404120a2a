"""Tiny random models, requests for them, and a driver."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from janus.config import JanusConfig, read_config
from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest
from janus.engine.windows import Windows
from janus.generation.params import DrawParams, TextParams
from janus.model.model import JanusModel
from janus.prompts.batch import Prompt

# Ids of the tiny vocabulary.
BOS, EOS, PAD, BOI, PLACEHOLDER = 0, 1, 2, 3, 4

DENSE = {
    "model_type": "llama",
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
EXPERTS = {
    **DENSE,
    "model_type": "deepseek_v3",
    "num_key_value_heads": 4,
    "num_hidden_layers": 3,
    "moe_intermediate_size": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": None,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
TEXT_CONFIGS = {"llama": DENSE, "deepseek_v3": EXPERTS}


def tiny_config_json(kind: str) -> dict[str, Any]:
    """A `config.json`: 16 pixels, patches of 4, so 16 image tokens; 64 codes."""
    width = DENSE["hidden_size"]
    return {
        "model_type": "janus",
        "tie_word_embeddings": False,
        "image_token_id": PLACEHOLDER,
        "text_config": {**TEXT_CONFIGS[kind], "tie_word_embeddings": False},
        "vision_config": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 4,
            "projection_dim": width,
            "num_image_tokens": 16,
        },
        "vq_config": {
            "embed_dim": 4,
            "num_embeddings": 64,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1],
            "num_res_blocks": 1,
            "projection_dim": width,
            "image_token_embed_dim": width,
            "num_patches": 4,
        },
    }


def build_model(kind: str) -> JanusModel:
    config: JanusConfig = read_config(tiny_config_json(kind))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return JanusModel(config).eval()


@pytest.fixture(scope="session")
def config_json() -> Callable[[str], dict[str, Any]]:
    return tiny_config_json


@pytest.fixture(scope="session")
def model() -> JanusModel:
    return build_model("llama")


@pytest.fixture(scope="session", params=sorted(TEXT_CONFIGS))
def any_model(request: pytest.FixtureRequest) -> JanusModel:
    return build_model(request.param)


@pytest.fixture(scope="session")
def new_engine() -> Callable[..., Engine]:
    def build(model: JanusModel, num_slots: int = 8, length: int = 64, window: int = 1) -> Engine:
        return Engine(
            model,
            num_slots=num_slots,
            length=length,
            placeholder_id=PLACEHOLDER,
            windows=Windows(largest=window),
        )

    return build


@pytest.fixture(scope="session")
def ask() -> Callable[..., TextRequest]:
    """A question of some words after some pictures; each number of words is another prompt."""

    def build(words: int, pictures: int = 0, seed: int = 0, **params: Any) -> TextRequest:
        text = [(7 * words + 5 * i) % 90 + 5 for i in range(words)]
        generator = torch.Generator().manual_seed(words)
        pixels = torch.rand(pictures, 3, 16, 16, generator=generator) * 2 - 1
        ids = (BOS, *[PLACEHOLDER] * 16 * pictures, *text)
        return TextRequest(
            prompt=Prompt(ids, pixels if pictures else None),
            params=TextParams(**{"max_tokens": 12, **params}),
            seed=seed,
            eos_ids=frozenset({EOS}),
        )

    return build


@pytest.fixture(scope="session")
def draw() -> Callable[..., ImageRequest]:
    """A drawing from a prompt of some words."""

    def build(words: int, seed: int = 0, **params: Any) -> ImageRequest:
        ids = (BOS, *((11 * words + 3 * i) % 90 + 5 for i in range(words)), BOI)
        return ImageRequest(prompt=Prompt(ids), params=DrawParams(**params), seed=seed, pad_id=PAD)

    return build


@pytest.fixture(scope="session")
def finish() -> Callable[..., Any]:
    """Steps until there is no more work; the ids of each of the given tickets."""

    def run(engine: Engine, *tickets: Any) -> list[Any]:
        while engine.has_work:
            engine.step()
        return [ticket.pictures for ticket in tickets]

    return run


class always:
    """The model chooses one code whatever it sees."""

    def __init__(self, model: JanusModel, code: int) -> None:
        self.head, self.code = model.generation_head.vision_head, code

    def __enter__(self) -> None:
        self.bias = self.head.bias.detach().clone()
        with torch.no_grad():
            self.head.bias[self.code] = 1e4

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            self.head.bias.copy_(self.bias)
