"""A model in memory -> a checkpoint folder in transformers' layout, complete with its processor.

Everything that stock `JanusProcessor` and `JanusForConditionalGeneration` need to see and draw
without a setting made by hand: weights, config, tokenizer, chat template, generation defaults.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from janus.config import JanusConfig, to_transformers
from janus.errors import SaveError, UsageError, WeightsMissingError
from janus.generation.params import DrawParams
from janus.model.loading import canonical_name
from janus.model.model import JanusModel
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import (
    BOS,
    EOS,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    PAD,
    JanusTokenizer,
    SpecialIds,
)
from weights.export import write_checkpoint
from weights.layout import read_object

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TEMPLATE_FILE = "chat_template.jinja"
GENERATION_FILE = "generation_config.json"


def save(
    folder: str | os.PathLike[str],
    model: JanusModel,
    tokenizer: JanusTokenizer,
    style: PromptStyle,
    *,
    drawing: Mapping[str, float],
) -> None:
    """Writes the checkpoint. Raises `WeightsError` where the disk is full or not writable."""
    write_checkpoint(
        Path(folder),
        _tensors(model),
        config_json(model.config, tokenizer, model.dtype),
        other_files(model.config, tokenizer, style, drawing=drawing),
    )


def require_unused(target: Path) -> None:
    """Raises `SaveError` where a new model would lie among other files."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SaveError(
            f"{target} exists, and is not an empty folder.", "Name a folder that does not exist."
        )


def config_json(
    config: JanusConfig, tokenizer: JanusTokenizer, dtype: torch.dtype
) -> dict[str, Any]:
    """The `config.json` of a checkpoint with this tokenizer and weights of this type."""
    special = tokenizer.special
    content = to_transformers(config)
    content["image_token_id"] = special.image
    content["dtype"] = str(dtype).removeprefix("torch.")
    content["text_config"] |= {
        "bos_token_id": special.bos,
        "eos_token_id": special.eos,
        "pad_token_id": special.pad,
    }
    return content


def other_files(
    config: JanusConfig,
    tokenizer: JanusTokenizer,
    style: PromptStyle,
    *,
    drawing: Mapping[str, float],
) -> dict[str, bytes]:
    """What lies beside `config.json` and the weights: file name -> content.

    `drawing` has the guidance and the temperature of its drawings, unless told otherwise.
    """
    files = {
        "tokenizer.json": tokenizer.to_json(bos_first=True),
        "tokenizer_config.json": _json(_tokenizer_config(config)),
        GENERATION_FILE: _json(_generation_config(tokenizer.special, drawing)),
        "processor_config.json": _json(_processor_config(config, style)),
        TEMPLATE_FILE: chat_template(style),
    }
    return {name: text.encode() for name, text in files.items()}


def read_processor(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint's processor files say, of either layout; empty where there are none.

    transformers keeps the chat template in a file of its own: it is under "chat_template" here.
    """
    settings: dict[str, Any] = {}
    for name in PROCESSOR_FILES[::-1]:
        path = Path(folder) / name
        if path.is_file():
            settings |= read_object(path)
    template = Path(folder) / TEMPLATE_FILE
    if template.is_file():
        settings["chat_template"] = template.read_text(encoding="utf-8")
    return settings


def read_drawing(folder: str | os.PathLike[str]) -> dict[str, float]:
    """Guidance and temperature of a checkpoint's drawings; without a word, 5 and 1 as in Janus.

    Raises `WeightsMissingError` for what nothing can be drawn with.
    """
    path = Path(folder) / GENERATION_FILE
    stated = read_object(path) if path.is_file() else {}
    further = stated.get("generation_kwargs")
    found = {
        "guidance": stated.get("guidance_scale"),
        "temperature": further.get("temperature") if isinstance(further, dict) else None,
    }
    try:
        params = DrawParams(**{name: value for name, value in found.items() if value is not None})
    except UsageError as error:
        raise WeightsMissingError(
            f"{path} cannot be used: {error.message}",
            "Correct its guidance_scale, or the temperature of its generation_kwargs.",
        ) from error
    return {"guidance": params.guidance, "temperature": params.temperature}


def chat_template(style: PromptStyle) -> str:
    """The Jinja template that gives stock transformers the same prompts as `ChatTemplate`.

    The system prompt for seeing is not in it: JanusProcessor puts that in front by itself.
    """
    return (
        "{% for message in messages %}"
        "{% if message['role'] == 'user' %}" + style.user + ": {% else %}"
        "{{ '" + style.assistant + ": ' if message['role'] == 'assistant' else '' }}{% endif %}"
        "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + IMAGE + "{{ '\\n' }}"
        "{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}"
        "{% endfor %}{% endif %}"
        "{% if message['role'] == 'assistant' %}" + EOS + "{% else %}{{ '\\n\\n' }}{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}" + style.assistant + ":{% endif %}"
    )


def _tensors(model: JanusModel) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        yield canonical_name(name), tensor


def _tokenizer_config(config: JanusConfig) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "model_max_length": config.transformer.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": {
            "image_token": IMAGE,
            "boi_token": IMAGE_START,
            "eoi_token": IMAGE_END,
        },
    }


def _generation_config(special: SpecialIds, drawing: Mapping[str, float]) -> dict[str, Any]:
    # transformers would take a temperature of its own for answers too.
    is_usual = drawing["temperature"] == DrawParams().temperature
    own = {} if is_usual else {"temperature": drawing["temperature"]}
    return {
        "bos_token_id": special.bos,
        "eos_token_id": special.eos,
        "pad_token_id": special.pad,
        "guidance_scale": drawing["guidance"],
        "generation_kwargs": {"boi_token_id": special.image_start, **own},
    }


def _processor_config(config: JanusConfig, style: PromptStyle) -> dict[str, Any]:
    side = config.vision.image_size
    return {
        "processor_class": "JanusProcessor",
        "num_image_tokens": config.num_image_tokens,
        "use_default_system_prompt": bool(style.system),
        "image_processor": {
            "image_processor_type": "JanusImageProcessor",
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_pad": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "min_size": 14,
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"height": side, "width": side},
        },
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
