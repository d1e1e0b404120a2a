"""The whole model in numbers, and the one reader for both published config.json layouts.

A `config.json` goes in (transformers' `janus` layout or the original deepseek-ai layout), a frozen
`JanusConfig` comes out; `to_transformers` writes the first layout back. Reads no files, no tensors.
"""

from dataclasses import dataclass, fields
from typing import Any

from janus.errors import WeightsMissingError
from vision.config import CodebookConfig, VisionConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class YarnConfig:
    """Context extension of the rotary embedding (arXiv 2309.00071). An mscale of 0 is none."""

    factor: float
    original_max_position_embeddings: int = 4096
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.0
    mscale_all_dim: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttentionConfig:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    q_lora_rank: int | None = None
    rope_interleave: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertsConfig:
    """DeepSeekMoE with the routing of DeepSeek-V3 (arXiv 2412.19437, section 2.1.2)."""

    n_routed_experts: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    n_shared_experts: int = 1
    n_group: int = 1
    topk_group: int = 1
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0
    first_k_dense_replace: int = 0

    def __post_init__(self) -> None:
        per_group, remainder = divmod(self.n_routed_experts, self.n_group)
        if remainder or per_group < 2:
            raise ValueError(
                f"{self.n_routed_experts} experts do not make {self.n_group} groups of two or more"
            )
        if self.topk_group > self.n_group:
            raise ValueError(f"{self.topk_group} groups to keep of only {self.n_group}")
        if self.num_experts_per_tok > per_group * self.topk_group:
            raise ValueError(
                f"{self.num_experts_per_tok} experts a token, but the {self.topk_group} kept "
                f"groups hold only {per_group * self.topk_group}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """The shared trunk: attention {multi-head, latent} x feed-forward {dense, experts}."""

    vocab_size: int = 102400
    hidden_size: int = 2048
    intermediate_size: int = 5632
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    head_dim: int = 128
    max_position_embeddings: int = 16384
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    partial_rotary_factor: float = 1.0
    attention_bias: bool = False
    output_bias: bool = False
    use_qk_norm: bool = False
    yarn: YarnConfig | None = None
    latent_attention: LatentAttentionConfig | None = None
    experts: ExpertsConfig | None = None

    def is_dense(self, layer: int) -> bool:
        """Whether this layer's feed-forward part is one dense block."""
        return self.experts is None or layer < self.experts.first_k_dense_replace


@dataclass(frozen=True, slots=True, kw_only=True)
class JanusConfig:
    """Everything that decides the shape of a model."""

    transformer: TransformerConfig
    vision: VisionConfig
    codebook: CodebookConfig
    image_token_id: int = 100581

    def __post_init__(self) -> None:
        if self.codebook.downsampling != self.vision.patch_size:
            raise ValueError(
                f"one code stands for {self.codebook.downsampling} pixels, one patch for "
                f"{self.vision.patch_size}: a drawn and a seen picture need the same grid"
            )
        widths = {
            "text_config.hidden_size": self.transformer.hidden_size,
            "vision_config.projection_dim": self.vision.projection_dim,
            "vq_config.projection_dim": self.codebook.projection_dim,
            "vq_config.image_token_embed_dim": self.codebook.image_token_embed_dim,
        }
        if len(set(widths.values())) > 1:
            raise ValueError(f"these widths must be equal: {widths}")

    @property
    def num_image_tokens(self) -> int:
        return self.vision.num_image_tokens


def read_config(config: dict[str, Any]) -> JanusConfig:
    """Reads a `config.json` of either layout. Raises `WeightsMissingError` for anything else."""
    try:
        if config.get("model_type") == "multi_modality" and "gen_vision_config" in config:
            return _read_original(config)
        if config.get("model_type") == "janus":
            return _read_transformers(config)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise WeightsMissingError(
            f"This config.json cannot be used: {reason}.",
            "Is it the unchanged file of a Janus checkpoint?",
        ) from error
    raise WeightsMissingError(
        f"This config.json is for a model of type {config.get('model_type')!r}.",
        "Janus reads model types 'janus' (transformers) and 'multi_modality' (deepseek-ai).",
    )


def to_transformers(config: JanusConfig) -> dict[str, Any]:
    """The `config.json` of transformers' layout (without token ids of the text part)."""
    return {
        "architectures": ["JanusForConditionalGeneration"],
        "model_type": "janus",
        "image_token_id": config.image_token_id,
        "tie_word_embeddings": False,
        "text_config": _write_text_config(config.transformer),
        "vision_config": {
            "model_type": "janus_vision_model",
            "num_image_tokens": config.num_image_tokens,
            **_as_dict(config.vision),
        },
        "vq_config": {
            "model_type": "janus_vqgan",
            "num_patches": config.vision.grid_size,
            **_as_dict(config.codebook),
        },
    }


# ---------------------------------------------------------------- transformers' layout


def _read_transformers(config: dict[str, Any]) -> JanusConfig:
    vq = dict(config.get("vq_config") or {})
    if "channel_multiplier" in vq:
        vq["channel_multiplier"] = tuple(vq["channel_multiplier"])
    return JanusConfig(
        transformer=_read_text_config(config.get("text_config") or {}),
        vision=VisionConfig(**_known(VisionConfig, config.get("vision_config") or {})),
        codebook=CodebookConfig(**_known(CodebookConfig, vq)),
        image_token_id=config.get("image_token_id", 100581),
    )


def _read_text_config(text: dict[str, Any]) -> TransformerConfig:
    kind = text.get("model_type", "llama")
    if kind not in ("llama", "deepseek_v3", "glm4_moe"):
        raise ValueError(f"text_config.model_type is {kind!r}, not llama, deepseek_v3 or glm4_moe")
    if text.get("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act is {text['hidden_act']!r}, not 'silu'")
    text = {**_TEXT_DEFAULTS[kind], **text}
    num_heads = text["num_attention_heads"]
    settings = _known(TransformerConfig, text)
    settings["num_key_value_heads"] = text.get("num_key_value_heads") or num_heads
    settings["head_dim"] = text.get("head_dim") or text["hidden_size"] // num_heads
    settings["output_bias"] = bool(text.get("attention_bias")) and kind != "glm4_moe"
    settings |= _read_rope(text)
    if kind != "llama":
        settings["experts"] = ExpertsConfig(**_known(ExpertsConfig, text))
    if kind == "deepseek_v3":
        latent = LatentAttentionConfig(**_known(LatentAttentionConfig, text))
        settings |= {"latent_attention": latent, "head_dim": latent.qk_rope_head_dim}
    return TransformerConfig(**settings)


# What each transformers config class assumes where the file says nothing.
_TEXT_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 2048,
    },
    "deepseek_v3": {
        "vocab_size": 129280,
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "max_position_embeddings": 4096,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "n_group": 8,
        "topk_group": 4,
        "first_k_dense_replace": 3,
        "routed_scaling_factor": 2.5,
    },
    "glm4_moe": {
        "vocab_size": 151552,
        "hidden_size": 4096,
        "intermediate_size": 10944,
        "num_hidden_layers": 46,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
        "n_routed_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1408,
        "first_k_dense_replace": 1,
    },
}


def _read_rope(text: dict[str, Any]) -> dict[str, Any]:
    rope = text.get("rope_parameters") or {**(text.get("rope_scaling") or {})}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "yarn"):
        raise ValueError(f"rope_type is {kind!r}, not 'default' or 'yarn'")
    settings: dict[str, Any] = {
        "rope_theta": rope.get("rope_theta", text.get("rope_theta", 10000.0)),
        "partial_rotary_factor": rope.get(
            "partial_rotary_factor", text.get("partial_rotary_factor", 1.0)
        ),
    }
    if kind == "yarn":
        trained = {"original_max_position_embeddings": text["max_position_embeddings"]}
        settings["yarn"] = YarnConfig(**trained | _known(YarnConfig, rope))
    return settings


def _write_text_config(config: TransformerConfig) -> dict[str, Any]:
    text = _as_dict(config)
    for key in ("yarn", "latent_attention", "experts", "output_bias", "use_qk_norm"):
        del text[key]
    rope = {"rope_type": "default", "rope_theta": text.pop("rope_theta")}
    partial = text.pop("partial_rotary_factor")
    if config.yarn is not None:
        rope |= {"rope_type": "yarn", **_as_dict(config.yarn)}
    text["tie_word_embeddings"] = False
    text["hidden_act"] = "silu"
    if config.experts is None:
        return {"model_type": "llama", **text, "rope_parameters": rope}
    text |= _as_dict(config.experts)
    if config.latent_attention is None:
        text["use_qk_norm"] = config.use_qk_norm
        rope["partial_rotary_factor"] = partial
        return {"model_type": "glm4_moe", **text, "rope_parameters": rope}
    text |= _as_dict(config.latent_attention)
    # transformers' DeepSeek-V3 rotates `head_dim` numbers of each query and key.
    text["head_dim"] = config.latent_attention.qk_rope_head_dim
    return {"model_type": "deepseek_v3", **text, "rope_parameters": rope}


# ---------------------------------------------------------------- original layout

# SigLIP towers by the name that the original config gives them.
_SIGLIP_SIZES: dict[str, dict[str, Any]] = {
    "siglip_large_patch16_384": {"width": 1024, "layers": 24, "heads": 16, "patch_size": 16},
}


def _read_original(config: dict[str, Any]) -> JanusConfig:
    # The published 7B file leaves most of its language_config to LlamaConfig's defaults.
    text = _read_text_config({**config["language_config"], "model_type": "llama"})
    tower = config["vision_config"]["params"]
    sizes = {**_SIGLIP_SIZES.get(tower["model_name"], {}), **tower}
    codes = config["gen_vision_config"]["params"]
    head = config["gen_head_config"]["params"]
    return JanusConfig(
        transformer=text,
        vision=VisionConfig(
            hidden_size=sizes["width"],
            num_hidden_layers=sizes["layers"],
            num_attention_heads=sizes["heads"],
            image_size=sizes["image_size"],
            patch_size=sizes["patch_size"],
            projection_dim=config["aligner_config"]["params"]["n_embed"],
            depth=config["aligner_config"]["params"]["depth"],
        ),
        codebook=CodebookConfig(
            num_embeddings=codes["image_token_size"],
            embed_dim=codes["n_embed"],
            latent_channels=codes.get("z_channels", 256),
            base_channels=codes.get("ch", 128),
            channel_multiplier=tuple(codes.get("ch_mult", (1, 1, 2, 2, 4))),
            projection_dim=config["gen_aligner_config"]["params"]["n_embed"],
            num_hidden_layers=config["gen_aligner_config"]["params"]["depth"],
            image_token_embed_dim=head["n_embed"],
        ),
    )


# ---------------------------------------------------------------- helpers


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The entries that are fields of a dataclass; config files carry much that is not."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names and value is not None}


def _as_dict(config: Any) -> dict[str, Any]:
    return {
        field.name: _as_json(getattr(config, field.name), field.type) for field in fields(config)
    }


def _as_json(value: Any, kind: Any) -> Any:
    # transformers refuses a whole number where it expects a float.
    if kind is float:
        return float(value)
    return list(value) if isinstance(value, tuple) else value
