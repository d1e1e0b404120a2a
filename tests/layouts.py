"""Checkpoints in deepseek-ai's original layout: every published name, toy widths or no content.

Leaves folders as they lie on the hub: weights in one file or two, config.json, tokenizer.json and
the processor's files. Toy widths keep the structure: all layers, all levels, all names.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from janus.prompts.tokenizer import (
    ASSISTANT,
    BOS,
    EOS,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    PAD,
    USER,
    JanusTokenizer,
)
from tests.weights.conftest import Shapes, original_shapes

Form = Literal["safetensors", "safetensors shards", "bin", "bin shards"]
UNUSED = ("attn_pool", "codebook_used")
PATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a config.json decides; the defaults are those of every published model."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    vocabulary: int = 102400
    vision: int = 1024
    vision_heads: int = 16
    side: int = 384
    codes: int = 16384
    channels: int = 128

    def shapes(self) -> Shapes:
        """Name -> shape of every tensor."""
        shapes = original_shapes(
            width=self.width,
            feed_forward=self.feed_forward,
            layers=self.layers,
            vocabulary=self.vocabulary,
            vision=self.vision,
            codes=self.codes,
            channels=self.channels,
        )
        positions = (1, (self.side // PATCH) ** 2, self.vision)
        return shapes | {"vision_model.vision_tower.pos_embed": positions}

    def language(self) -> dict[str, Any]:
        """What the 1B files say of the language model, and the 7B file leaves out."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.feed_forward,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What distinguishes one published model from another, apart from its numbers."""

    num_keys: tuple[int, int]  # in the original layout, in transformers'
    form: Form
    sft_format: str
    added_tokens: tuple[str, ...]
    tiny: Sizes


def tiny(layers: int) -> Sizes:
    """All layers and levels, at widths for seconds on one core, for pictures of 4 x 4 tokens."""
    return Sizes(
        layers=layers,
        width=32,
        feed_forward=48,
        heads=2,
        vocabulary=704,
        vision=32,
        vision_heads=2,
        side=64,
        codes=96,
        channels=32,
    )


PRO_1B = Sizes(layers=24, width=2048, feed_forward=5632, heads=16)
PRO_7B = Sizes(layers=30, width=4096, feed_forward=11008, heads=32)

FILLERS = tuple(f"<filler_{i}>" for i in range(13))
MODELS = {
    "Janus-1.3B": Published(  # without a placeholder of its own
        num_keys=(882, 964),
        form="safetensors",
        sft_format="deepseek_old",
        added_tokens=(BOS, EOS, *FILLERS, PAD, IMAGE_START, USER, ASSISTANT),
        tiny=tiny(24),
    ),
    "Janus-Pro-1B": Published(
        num_keys=(882, 964),
        form="bin",
        sft_format="deepseek",
        added_tokens=(BOS, EOS, PAD, IMAGE_START, IMAGE_END, IMAGE, USER, ASSISTANT),
        tiny=tiny(24),
    ),
    "Janus-Pro-7B": Published(
        num_keys=(936, 1018),
        form="bin shards",
        sft_format="deepseek",
        added_tokens=(BOS, EOS, *FILLERS, PAD, IMAGE_START, IMAGE_END, IMAGE, USER, ASSISTANT),
        tiny=tiny(30),
    ),
}


def original_config(sizes: Sizes, language: Mapping[str, Any]) -> dict[str, Any]:
    """config.json as deepseek-ai publishes it, and for toy sizes what it does not need to say."""
    tower: dict[str, Any] = {"image_size": sizes.side, "model_name": "siglip_large_patch16_384"}
    codes: dict[str, Any] = {"image_token_size": sizes.codes, "n_embed": 8}
    if sizes.channels != 128:
        tower |= {"width": sizes.vision, "heads": sizes.vision_heads}
        codes |= {"ch": sizes.channels, "z_channels": 2 * sizes.channels}
    aligner = {"depth": 2, "n_embed": sizes.width, "projector_type": "mlp_gelu"}
    head = {
        "image_token_embed": sizes.width,
        "image_token_size": sizes.codes,
        "n_embed": sizes.width,
    }
    return {
        "architectures": ["MultiModalityCausalLM"],
        "model_type": "multi_modality",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.33.1",
        "vision_config": _part(
            "vision", "CLIPVisionTower", **tower, select_feature="same", select_layer=-1
        ),
        "aligner_config": _part("aligner", "MlpProjector", **aligner, input_dim=sizes.vision),
        "gen_vision_config": _part("gen_vision", "VQ-16", **codes),
        "gen_aligner_config": _part("gen_aligner", "MlpProjector", **aligner, input_dim=8),
        "gen_head_config": _part("gen_head", "vision_head", **head),
        "language_config": {
            "max_position_embeddings": 16384,
            "model_type": "llama",
            "num_hidden_layers": sizes.layers,
            "torch_dtype": "bfloat16",
            "vocab_size": sizes.vocabulary,
            **language,
        },
    }


def _part(model_type: str, name: str, **params: Any) -> dict[str, Any]:
    return {"cls": name, "model_type": model_type, "params": params}


def tokenizer_json(vocabulary: JanusTokenizer, added_tokens: tuple[str, ...]) -> str:
    """The vocabulary's words, then the added tokens: where published files have them too."""
    content = json.loads(vocabulary.to_json())
    special = {token["content"] for token in content.pop("added_tokens")}
    words = sorted(content["model"]["vocab"], key=content["model"]["vocab"].get)
    words = [word for word in words if word not in special]
    content["model"]["vocab"] = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in added_tokens])
    return tokenizer.to_str()


def write_settings(
    folder: Path, config: dict[str, Any], tokenizer: str, sft_format: str = "deepseek"
) -> None:
    """Everything but the weights."""
    processor = {
        "add_special_token": False,
        "ignore_id": -100,
        "image_tag": IMAGE,
        "mask_prompt": True,
        "num_image_tokens": 576,
        "processor_class": "VLChatProcessor",
        "sft_format": sft_format,
    }
    preprocessor = {
        "background_color": [127, 127, 127],
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "VLMImageProcessor",
        "image_size": config["vision_config"]["params"]["image_size"],
        "image_std": [0.5, 0.5, 0.5],
        "min_size": 14,
        "processor_class": "VLChatProcessor",
        "rescale_factor": 1 / 255,
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "processor_config.json").write_text(json.dumps(processor))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")


def write_weights(folder: Path, tensors: Mapping[str, Tensor], form: Form) -> None:
    """One file, or two with an index, as torch or safetensors write them."""
    extension = form.removesuffix(" shards")
    stem = "model" if extension == "safetensors" else "pytorch_model"
    save: Any = save_file if extension == "safetensors" else torch.save
    if not form.endswith("shards"):
        save(dict(tensors), folder / f"{stem}.{extension}")
        return
    weight_map: dict[str, str] = {}
    for part in (1, 2):
        file = f"{stem}-{part:05d}-of-00002.{extension}"
        names = list(tensors)[part - 1 :: 2]
        save({name: tensors[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / f"{stem}.{extension}.index.json").write_text(json.dumps(index))


def random_tensors(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """In bfloat16, as published, each at a scale at which it matters."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _values(name, shape, generator).bfloat16() for name, shape in shapes.items()}


def _values(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if name.endswith("bias"):
        return 0.2 * noise
    if len(shape) == 1:  # norms
        return 1 + 0.2 * noise
    if "embed" in name and len(shape) < 4:  # tables; the embedding of patches is a convolution
        return noise
    return 1.2 * noise / noise[0].numel() ** 0.5


def hollow_tensors(shapes: Shapes) -> dict[str, Tensor]:
    """Tensors of full size that share one number, also in a .bin."""
    zero = torch.zeros((), dtype=torch.bfloat16)
    return {name: zero.expand(shape) for name, shape in shapes.items()}


def write_large_bin(path: Path, shapes: Shapes, dtype: torch.dtype = torch.bfloat16) -> None:
    """Random tensors into a .bin, one at a time: the file is laid out first and filled in place."""
    with torch.serialization.skip_data():
        torch.save({name: torch.empty(shape, dtype=dtype) for name, shape in shapes.items()}, path)
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        tensors = torch.load(path, mmap=True, weights_only=True)
    for tensor in tensors.values():
        tensor.normal_(std=0.02)
