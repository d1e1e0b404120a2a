"""One reader for both published layouts: it reads what transformers, or deepseek-ai, means."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import JanusConfig as TheirConfig
from transformers import JanusForConditionalGeneration

from janus.config import (
    ExpertsConfig,
    JanusConfig,
    LatentAttentionConfig,
    TransformerConfig,
    YarnConfig,
    read_config,
    to_transformers,
)
from janus.errors import WeightsMissingError
from janus.model.model import JanusModel
from tests.oracle import TEXT, our_config
from vision.config import CodebookConfig, VisionConfig

WIDTH = 64
LLAMA = TransformerConfig(
    vocab_size=100,
    hidden_size=WIDTH,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=24,
    max_position_embeddings=512,
    rope_theta=5000.0,
    rms_norm_eps=1e-5,
    attention_bias=True,
    output_bias=True,
)
EXPERTS = ExpertsConfig(
    n_routed_experts=12,
    num_experts_per_tok=4,
    moe_intermediate_size=32,
    n_shared_experts=2,
    n_group=3,
    topk_group=2,
    norm_topk_prob=False,
    routed_scaling_factor=1.5,
    first_k_dense_replace=1,
)
LATENT = LatentAttentionConfig(
    kv_lora_rank=24,
    qk_nope_head_dim=16,
    qk_rope_head_dim=8,
    v_head_dim=12,
    q_lora_rank=20,
    rope_interleave=False,
)
YARN = YarnConfig(
    factor=4.0,
    original_max_position_embeddings=128,
    beta_fast=16.0,
    beta_slow=2.0,
    mscale=0.7,
    mscale_all_dim=0.9,
)
DEEPSEEK = replace(LLAMA, experts=EXPERTS, latent_attention=LATENT, head_dim=8)
GLM = replace(
    LLAMA, experts=EXPERTS, output_bias=False, use_qk_norm=True, partial_rotary_factor=0.5
)
TRANSFORMERS = {
    "llama": LLAMA,
    "llama, yarn": replace(LLAMA, yarn=YARN, attention_bias=False, output_bias=False),
    "deepseek": DEEPSEEK,
    "deepseek, plain queries": replace(
        DEEPSEEK, latent_attention=replace(LATENT, q_lora_rank=None), yarn=YARN
    ),
    "glm": GLM,
    "glm, whole": replace(GLM, partial_rotary_factor=1.0, use_qk_norm=False),
}


@pytest.fixture(params=TRANSFORMERS)
def config(request: pytest.FixtureRequest) -> JanusConfig:
    return build(TRANSFORMERS[request.param])


def build(transformer: TransformerConfig) -> JanusConfig:
    return JanusConfig(
        transformer=transformer,
        vision=VisionConfig(
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=3,
            image_size=24,
            patch_size=4,
            mlp_ratio=3.0,
            layer_norm_eps=1e-5,
            projection_dim=WIDTH,
            depth=3,
        ),
        codebook=CodebookConfig(
            num_embeddings=50,
            embed_dim=6,
            latent_channels=16,
            base_channels=32,
            channel_multiplier=(1, 2, 3),
            num_res_blocks=1,
            projection_dim=WIDTH,
            num_hidden_layers=1,
            image_token_embed_dim=WIDTH,
        ),
        image_token_id=9,
    )


def test_written_and_read_again_it_is_the_same(config: JanusConfig) -> None:
    assert read_config(json.loads(json.dumps(to_transformers(config)))) == config


def test_transformers_reads_and_writes_the_same(config: JanusConfig) -> None:
    theirs: Any = TheirConfig.from_dict(to_transformers(config))
    assert read_config(theirs.to_dict()) == config
    assert theirs.vision_config.num_image_tokens == config.num_image_tokens == 36
    assert theirs.vq_config.num_patches == 6
    assert not theirs.tie_word_embeddings


def test_transformers_builds_the_same_model(config: JanusConfig) -> None:
    with torch.device("meta"):
        theirs = JanusForConditionalGeneration(TheirConfig.from_dict(to_transformers(config)))
        ours = JanusModel(config)
    expected = {n.removeprefix("model."): t.shape for n, t in theirs.state_dict().items()}
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == expected


def test_whole_numbers_are_written_as_transformers_wants_them() -> None:
    whole = build(replace(GLM, experts=replace(EXPERTS, routed_scaling_factor=2)))
    theirs: Any = TheirConfig.from_dict(to_transformers(whole))
    assert theirs.text_config.routed_scaling_factor == 2


@pytest.mark.parametrize("name", TEXT)
def test_what_is_read_is_written(name: str) -> None:
    config = our_config(name)
    assert read_config(to_transformers(config)) == config


@pytest.mark.parametrize("kind,width", [("llama", 4096), ("deepseek_v3", 7168), ("glm4_moe", 4096)])
def test_a_silent_file_means_what_it_means_to_transformers(kind: str, width: int) -> None:
    silent = {
        "model_type": "janus",
        "text_config": {"model_type": kind},
        "vision_config": {"projection_dim": width},
        "vq_config": {"projection_dim": width, "image_token_embed_dim": width},
    }
    assert read_config(silent) == read_config(TheirConfig.from_dict(silent).to_dict())


def test_positions_of_a_silent_yarn() -> None:
    """Without `original_max_position_embeddings` it is the length of the whole model."""
    text = TEXT["llama"] | {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}
    silent = {**to_transformers(our_config("llama")), "text_config": text}
    config = read_config(silent)
    assert config == read_config(TheirConfig.from_dict(silent).to_dict())
    assert config.transformer.yarn == YarnConfig(factor=4.0, original_max_position_embeddings=256)


def test_positions_as_deepseek_writes_them() -> None:
    text: dict[str, Any] = dict(TEXT["deepseek"])
    text["rope_theta"] = 20000.0
    text["rope_scaling"] = {
        "type": "yarn",
        "factor": 40,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
    }
    written = {**to_transformers(our_config("deepseek")), "text_config": text}
    config = read_config(written)
    assert config == read_config(TheirConfig.from_dict(written).to_dict())
    assert config.transformer.rope_theta == 20000.0
    assert config.transformer.yarn is not None and config.transformer.yarn.factor == 40


# The original layout


def original(width: int, language: dict[str, Any]) -> dict[str, Any]:
    """config.json as deepseek-ai publishes it (fields of the Janus repository's)."""

    def part(name: str, **params: Any) -> dict[str, Any]:
        return {"cls": name, "model_type": name.lower(), "params": params}

    return {
        "architectures": ["MultiModalityCausalLM"],
        "model_type": "multi_modality",
        "torch_dtype": "bfloat16",
        "vision_config": part(
            "CLIPVisionTower",
            image_size=384,
            model_name="siglip_large_patch16_384",
            select_feature="same",
            select_layer=-1,
        ),
        "aligner_config": part(
            "MlpProjector", depth=2, input_dim=1024, n_embed=width, projector_type="mlp_gelu"
        ),
        "gen_vision_config": part("VQ-16", image_token_size=16384, n_embed=8),
        "gen_aligner_config": part(
            "MlpProjector", depth=2, input_dim=8, n_embed=width, projector_type="mlp_gelu"
        ),
        "gen_head_config": part(
            "vision_head", image_token_embed=width, image_token_size=16384, n_embed=width
        ),
        "language_config": {
            "max_position_embeddings": 16384,
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "vocab_size": 102400,
            **language,
        },
    }


PRO_1B = original(
    2048,
    {
        "_attn_implementation": "flash_attention_2",
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "num_key_value_heads": 16,
    },
)
# Nearly empty: width, heads and feed-forward are what LlamaConfig assumes.
PRO_7B = original(4096, {"num_hidden_layers": 30})


def test_pro_1b() -> None:
    config = read_config(PRO_1B)
    assert config == JanusConfig(
        transformer=TransformerConfig(), vision=VisionConfig(), codebook=CodebookConfig()
    )
    assert config.num_image_tokens == 576


def test_pro_7b_of_which_the_file_says_little() -> None:
    config = read_config(PRO_7B)
    assert config.transformer == TransformerConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=30,
        num_attention_heads=32,
        num_key_value_heads=32,
        head_dim=128,
    )
    assert config.vision == VisionConfig(projection_dim=4096)
    assert config.codebook == CodebookConfig(projection_dim=4096, image_token_embed_dim=4096)


@pytest.mark.parametrize(
    "published,tensors,language_millions", [(PRO_1B, 964, 1652.7), (PRO_7B, 1018, 6910.4)]
)
def test_published_sizes(published: dict[str, Any], tensors: int, language_millions: float) -> None:
    with torch.device("meta"):
        model = JanusModel(read_config(published))
    assert len(model.state_dict()) == tensors
    language = [*model.language_model.parameters(), *model.lm_head.parameters()]
    assert round(sum(p.numel() for p in language) / 1e6, 1) == language_millions


def test_both_layouts_of_one_model() -> None:
    width = {"projection_dim": 4096}
    same = TheirConfig(
        text_config={
            "model_type": "llama",
            "vocab_size": 102400,
            "num_hidden_layers": 30,
            "max_position_embeddings": 16384,
        },
        vision_config=width,
        vq_config={**width, "image_token_embed_dim": 4096},
    )
    assert read_config(same.to_dict()) == read_config(PRO_7B)


# What cannot be read


@pytest.mark.parametrize(
    "config,reason",
    [
        ({}, "a model of type None"),
        ({"model_type": "llama"}, "'llama'.*'janus'.*'multi_modality'"),
        # DeepSeek-VL shares its model_type with Janus.
        ({"model_type": "multi_modality", "language_config": {}}, "'multi_modality'"),
        ({"model_type": "multi_modality", "gen_vision_config": {}}, "has no 'language_config'"),
        ({"model_type": "multi_modality", "gen_vision_config": {}, "language_config": 3}, "int"),
    ],
)
def test_other_models_are_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(WeightsMissingError, match=reason):
        read_config(config)


@pytest.mark.parametrize(
    "section,change,reason",
    [
        ("text_config", {"model_type": "mamba"}, "'mamba', not llama, deepseek_v3 or glm4_moe"),
        ("text_config", {"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ("text_config", {"hidden_size": 128}, "widths must be equal.*128"),
        ("text_config", {"num_attention_heads": 0, "head_dim": None}, "zero"),
        ("text_config", {"rope_parameters": {"rope_type": "llama3"}}, "rope_type is 'llama3'"),
        ("text_config", {"rope_parameters": {"rope_type": "yarn"}}, "factor"),
        ("text_config", {"rope_parameters": "yarn"}, "str"),
        ("text_config", {"n_group": 5}, "12 experts do not make 5 groups"),
        ("text_config", {"n_group": 0}, "zero"),
        ("text_config", {"num_experts_per_tok": 9}, "9 experts a token"),
        ("vision_config", {"patch_size": 5}, "24 is not a multiple of patch_size 5"),
        ("vision_config", {"num_attention_heads": 5}, "48 is not a multiple"),
        ("vision_config", {"patch_size": 8}, "4 pixels, one patch for 8"),
        ("vision_config", {"image_size": "24"}, "str"),
        ("vq_config", {"base_channels": 48}, "48 is not a multiple of 32"),
        ("vq_config", {"channel_multiplier": 3}, "not iterable"),
        ("vq_config", {"projection_dim": 32}, "widths must be equal.*32"),
    ],
)
def test_broken_values_are_named(section: str, change: dict[str, Any], reason: str) -> None:
    written = to_transformers(build(DEEPSEEK))
    written[section] |= change
    with pytest.raises(WeightsMissingError, match=reason) as caught:
        read_config(written)
    assert "unchanged file" in caught.value.hint


@pytest.mark.parametrize("section", ["text_config", "vision_config", "vq_config"])
def test_sections_must_be_sections(section: str) -> None:
    with pytest.raises(WeightsMissingError, match="cannot be used"):
        read_config({**to_transformers(build(LLAMA)), section: "small"})
