"""The oracle: tiny random models of stock transformers, and ours with the same weights.

Every parameter is drawn at a scale at which it matters (norms are not 1, biases are not 0, experts
are chosen for a reason), so that a mistake in any of them shows in the output.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, JanusForConditionalGeneration
from transformers import JanusConfig as TheirConfig

from janus.config import JanusConfig, read_config
from janus.model.model import JanusModel

WIDTH = 48
PAD, BOS, EOS, BEGIN_OF_IMAGE, IMAGE = range(5)

VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
    "mlp_ratio": 2.0,
    "num_image_tokens": 16,
    "projection_dim": WIDTH,
}
CODEBOOK = {
    "num_embeddings": 40,
    "embed_dim": 4,
    "latent_channels": 8,
    "base_channels": 32,
    "channel_multiplier": [1, 1, 2],
    "num_res_blocks": 1,
    "projection_dim": WIDTH,
    "image_token_embed_dim": WIDTH,
}
_SIZES = {
    "vocab_size": 96,
    "hidden_size": WIDTH,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
}
_EXPERTS = {
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 16,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 0,
    "routed_scaling_factor": 1.0,
}
_GROUPS = {"n_routed_experts": 16, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
_LLAMA = {"model_type": "llama", **_SIZES}
_LATENT = {
    "model_type": "deepseek_v3",
    **_SIZES,
    **_EXPERTS,
    "q_lora_rank": None,
    "kv_lora_rank": 20,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
}
_GLM = {"model_type": "glm4_moe", **_SIZES, **_EXPERTS, "head_dim": 12, "partial_rotary_factor": 1}

# Each turns on something that the first of its kind does not have.
TEXT: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "llama, grouped keys of a width of their own": _LLAMA
    | {"num_key_value_heads": 2, "head_dim": 20},
    "llama, biases": _LLAMA | {"attention_bias": True},
    "llama, yarn": _LLAMA | {"rope_parameters": _YARN},
    "deepseek": _LATENT,
    "deepseek, compressed queries": _LATENT | {"q_lora_rank": 24, "first_k_dense_replace": 1},
    "deepseek, groups of experts": _LATENT | _GROUPS | {"n_shared_experts": 2},
    "deepseek, gates as they are": _LATENT
    | {"norm_topk_prob": False, "routed_scaling_factor": 2.0},
    "deepseek, halves rotated": _LATENT | {"rope_interleave": False, "rms_norm_eps": 1e-3},
    "deepseek, biases": _LATENT | {"q_lora_rank": 24, "attention_bias": True},
    "deepseek, yarn": _LATENT | {"rope_parameters": _YARN | {"mscale": 1.0, "mscale_all_dim": 0.7}},
    "deepseek, yarn for queries and keys alone": _LATENT
    | {"rope_parameters": _YARN | {"mscale_all_dim": 1.0}},
    "glm": _GLM,
    "glm, half rotated, norms of queries and keys": _GLM
    | {"partial_rotary_factor": 0.5, "use_qk_norm": True, "rms_norm_eps": 1e-3},
    "glm, biases, grouped keys": _GLM | {"attention_bias": True, "num_key_value_heads": 2},
    "glm, groups of experts, one layer dense": _GLM | _GROUPS | {"first_k_dense_replace": 1},
}
PLAIN = ("llama", "deepseek", "glm")  # one of each kind


def their_config(text: dict[str, Any], **sections: dict[str, Any]) -> TheirConfig:
    """A configuration that stock transformers sees and draws with; `sections` change its parts."""
    return TheirConfig(
        text_config={**text, "tie_word_embeddings": False},
        vision_config=VISION | sections.get("vision_config", {}),
        vq_config=CODEBOOK | sections.get("vq_config", {}),
        image_token_id=IMAGE,
        tie_word_embeddings=False,
    )


def our_config(name: str) -> JanusConfig:
    """The configuration of `oracle(name)`, read by our reader."""
    return read_config(their_config(TEXT[name]).to_dict())


def oracle(name: str, **sections: dict[str, Any]) -> Any:
    """Transformers' model with the text config of this name, ready to see and to draw."""
    theirs = JanusForConditionalGeneration(their_config(TEXT[name], **sections))
    theirs.generation_config = GenerationConfig(
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        generation_kwargs={"boi_token_id": BEGIN_OF_IMAGE},
    )
    return randomize(theirs).eval()


def ours_from(theirs: Any) -> JanusModel:
    """Our model with the configuration and the weights of theirs: all of them, and no others."""
    ours = JanusModel(read_config(theirs.config.to_dict()))
    weights = {name.removeprefix("model."): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(weights)
    return ours.eval()


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws all parameters and persistent buffers anew, each at a scale at which it matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        tensor.copy_(_values(name, tensor.shape, generator))
    return module


def _values(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if name.endswith("bias"):  # of layers, and of the choice of experts
        return 0.3 * noise
    if len(shape) == 1:  # norms
        return 1 + 0.3 * noise
    if "embed" in name.rsplit(".", 2)[-2] and len(shape) == 2:  # tables
        return noise
    fan_in = shape[-1] if "experts" in name else shape[1:].numel()
    return 1.2 * noise / fan_in**0.5


def relative_error(a: Tensor, b: Tensor) -> float:
    """max|a - b| / max|b|."""
    return float((a - b).abs().max() / b.abs().max())
