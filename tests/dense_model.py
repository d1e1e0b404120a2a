"""A small dense model, whole with its tokenizer, in both published layouts."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from janus.config import JanusConfig, TransformerConfig, read_config
from janus.model.loading import canonical_name
from tests.conftest import tiny_config
from tests.layouts import Sizes, original_config, write_settings, write_weights
from tests.small_model import WIDTH, byte_tokenizer, small_janus
from weights.names import original_tensors

Layout = Literal["transformers", "original"]
NUM_LAYERS = 3
NEURONS = 96
VOCABULARY = len(byte_tokenizer())


def write_dense(
    folder: Path, layout: Layout = "transformers", dtype: torch.dtype = torch.float32
) -> Path:
    """Random weights; in the original layout two files, with each layer's tensors in both."""
    config = _original_config()
    janus = small_janus(dense_config() if layout == "transformers" else read_config(config))
    janus.model.to(dtype)
    if layout == "transformers":
        janus.save_pretrained(folder)
        return folder
    write_settings(folder, config, janus.tokenizer.to_json())
    state = janus.model.state_dict().items()
    tensors = original_tensors((canonical_name(name), tensor) for name, tensor in state)
    write_weights(folder, dict(tensors), "safetensors shards")
    return folder


def dense_config() -> JanusConfig:
    """Of the checkpoint in transformers' layout."""
    tiny = tiny_config(byte_tokenizer().special.image)
    transformer = TransformerConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=NEURONS,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=1024,
    )
    return replace(tiny, transformer=transformer)


def _original_config() -> dict[str, Any]:
    sizes = Sizes(
        layers=NUM_LAYERS,
        width=WIDTH,
        feed_forward=NEURONS,
        heads=4,
        vocabulary=VOCABULARY,
        vision=32,
        vision_heads=2,
        side=32,
        codes=64,
        channels=32,
    )
    config = original_config(sizes, sizes.language())
    config["vision_config"]["params"]["layers"] = 2
    return config
