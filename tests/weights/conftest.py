"""Checkpoints for the tests: the original layout by formula, tiny models by transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

EXPERTS = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "n_routed_experts": 12,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
LATENT = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
TEXT_CONFIGS = {
    "deepseek_v3": {"model_type": "deepseek_v3", **EXPERTS, **LATENT},
    "glm4_moe": {"model_type": "glm4_moe", **EXPERTS, "head_dim": 16},
}


def original_shapes(
    *,
    width: int,
    feed_forward: int,
    layers: int,
    vocabulary: int = 102400,
    vision: int = 1024,
    vision_layers: int = 24,
    codes: int = 16384,
    channels: int = 128,
) -> Shapes:
    """Name -> shape of every tensor in an original deepseek-ai checkpoint."""
    shapes = _vision_tower(vision, vision_layers)
    shapes |= _tokenizer(channels, codes)
    shapes |= _layer("aligner.layers.0", width, vision) | _layer("aligner.layers.2", width, width)
    shapes |= _layer("gen_aligner.layers.0", width, 8)
    shapes |= _layer("gen_aligner.layers.2", width, width)
    shapes |= _layer("gen_head.output_mlp_projector", width, width)
    shapes |= _layer("gen_head.vision_head", codes, width)
    shapes |= {"gen_embed.weight": (codes, 8)}
    return shapes | _language_model(width, feed_forward, layers, vocabulary)


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _vision_tower(width: int, layers: int) -> Shapes:
    root = "vision_model.vision_tower"
    shapes: Shapes = {
        f"{root}.pos_embed": (1, 576, width),
        f"{root}.attn_pool.latent": (1, 1, width),
    }
    shapes |= _layer(f"{root}.patch_embed.proj", width, 3, 16, 16) | _layer(f"{root}.norm", width)
    for n in range(layers):
        block = f"{root}.blocks.{n}"
        shapes |= _layer(f"{block}.norm1", width) | _layer(f"{block}.norm2", width)
        shapes |= _layer(f"{block}.attn.qkv", 3 * width, width)
        shapes |= _layer(f"{block}.attn.proj", width, width)
        shapes |= _mlp(block, width)
    pool = f"{root}.attn_pool"
    shapes |= _layer(f"{pool}.q", width, width) | _layer(f"{pool}.kv", 2 * width, width)
    shapes |= _layer(f"{pool}.proj", width, width) | _layer(f"{pool}.norm", width)
    return shapes | _mlp(pool, width)


def _mlp(root: str, width: int) -> Shapes:
    return _layer(f"{root}.mlp.fc1", 4 * width, width) | _layer(f"{root}.mlp.fc2", width, 4 * width)


def _tokenizer(channels: int, codes: int) -> Shapes:
    root = "gen_vision_model"
    widths = [channels * factor for factor in (1, 1, 2, 2, 4)]
    latent, deepest = 2 * channels, widths[-1]
    shapes: Shapes = {f"{root}.quantize.codebook_used": (65536,)}
    shapes |= {f"{root}.quantize.embedding.weight": (codes, 8)}
    shapes |= _layer(f"{root}.quant_conv", 8, latent, 1, 1)
    shapes |= _layer(f"{root}.post_quant_conv", latent, 8, 1, 1)
    encoder, decoder = f"{root}.encoder", f"{root}.decoder"
    shapes |= _layer(f"{encoder}.conv_in", channels, 3, 3, 3)
    shapes |= _levels(encoder, channels, widths, blocks=2, resize="downsample")
    shapes |= _layer(f"{encoder}.norm_out", deepest)
    shapes |= _layer(f"{encoder}.conv_out", latent, deepest, 3, 3)
    shapes |= _layer(f"{decoder}.conv_in", deepest, latent, 3, 3)
    shapes |= _levels(decoder, deepest, widths[::-1], blocks=3, resize="upsample")
    shapes |= _layer(f"{decoder}.norm_out", channels)
    shapes |= _layer(f"{decoder}.conv_out", 3, channels, 3, 3)
    for coder in (encoder, decoder):
        shapes |= _residual(f"{coder}.mid.0", deepest, deepest) | _attention(
            f"{coder}.mid.1", deepest
        )
        shapes |= _residual(f"{coder}.mid.2", deepest, deepest)
    return shapes


def _levels(root: str, before: int, widths: list[int], *, blocks: int, resize: str) -> Shapes:
    """The lowest resolution, and only that, has attention; the last level is not resized."""
    shapes: Shapes = {}
    deepest = len(widths) - 1 if resize == "downsample" else 0
    for level, width in enumerate(widths):
        here = f"{root}.conv_blocks.{level}"
        for i in range(blocks):
            shapes |= _residual(f"{here}.res.{i}", before, width)
            before = width
            if level == deepest:
                shapes |= _attention(f"{here}.attn.{i}", width)
        if level < len(widths) - 1:
            shapes |= _layer(f"{here}.{resize}.conv", width, width, 3, 3)
    return shapes


def _residual(root: str, before: int, after: int) -> Shapes:
    shapes = _layer(f"{root}.norm1", before) | _layer(f"{root}.conv1", after, before, 3, 3)
    shapes |= _layer(f"{root}.norm2", after) | _layer(f"{root}.conv2", after, after, 3, 3)
    if before != after:
        shapes |= _layer(f"{root}.nin_shortcut", after, before, 1, 1)
    return shapes


def _attention(root: str, width: int) -> Shapes:
    shapes = _layer(f"{root}.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= _layer(f"{root}.{part}", width, width, 1, 1)
    return shapes


def _language_model(width: int, feed_forward: int, layers: int, vocabulary: int) -> Shapes:
    root = "language_model.model"
    shapes: Shapes = {
        f"{root}.embed_tokens.weight": (vocabulary, width),
        f"{root}.norm.weight": (width,),
        "language_model.lm_head.weight": (vocabulary, width),
    }
    for n in range(layers):
        here = f"{root}.layers.{n}"
        for part in "qkvo":
            shapes[f"{here}.self_attn.{part}_proj.weight"] = (width, width)
        for part in ("gate", "up"):
            shapes[f"{here}.mlp.{part}_proj.weight"] = (feed_forward, width)
        shapes[f"{here}.mlp.down_proj.weight"] = (width, feed_forward)
        for part in ("input", "post_attention"):
            shapes[f"{here}.{part}_layernorm.weight"] = (width,)
    return shapes


@pytest.fixture(scope="session")
def shapes_of() -> Callable[..., Shapes]:
    return original_shapes


@pytest.fixture(scope="session")
def tiny_original() -> dict[str, Tensor]:
    """Random tensors under original names, of the true structure at toy widths."""
    generator = torch.Generator().manual_seed(0)
    shapes = original_shapes(
        width=16,
        feed_forward=24,
        layers=2,
        vocabulary=40,
        vision=8,
        vision_layers=2,
        codes=32,
        channels=4,
    )
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def original_config() -> dict[str, Any]:
    return {"model_type": "multi_modality", "gen_vision_config": {}}


@pytest.fixture(params=TEXT_CONFIGS)
def tiny_experts(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A mixture-of-experts model of transformers, and the folder that it saved itself to."""
    from transformers import JanusConfig, JanusForConditionalGeneration

    config = JanusConfig(
        text_config={**TEXT_CONFIGS[request.param], "tie_word_embeddings": False},
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 8,
            "patch_size": 2,
            "projection_dim": 32,
            "num_image_tokens": 16,
        },
        vq_config={
            "embed_dim": 4,
            "num_embeddings": 16,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "projection_dim": 32,
            "image_token_embed_dim": 32,
        },
        tie_word_embeddings=False,
    )
    model = JanusForConditionalGeneration(config)
    folder = tmp_path / "by-transformers"
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture
def save_original(
    tmp_path: Path, tiny_original: dict[str, Tensor], original_config: dict[str, Any]
) -> Callable[[str], Path]:
    """Writes the tiny original checkpoint in one of the four forms that are published."""

    def save(form: str) -> Path:
        folder = tmp_path / form
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(original_config))
        extension = form.removesuffix(" shards")
        stem = "model" if extension == "safetensors" else "pytorch_model"
        if not form.endswith("shards"):
            save_tensors(tiny_original, folder / f"{stem}.{extension}")
            return folder
        weight_map: dict[str, str] = {}
        for part in range(3):
            names = list(tiny_original)[part::3]
            file = f"{stem}-{part + 1:05d}-of-00003.{extension}"
            save_tensors({name: tiny_original[name] for name in names}, folder / file)
            weight_map |= dict.fromkeys(names, file)
        index = json.dumps({"metadata": {}, "weight_map": weight_map})
        (folder / f"{stem}.{extension}.index.json").write_text(index)
        return folder

    return save


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
