"""What a checkpoint folder looks like: its configuration, whose layout it is, its weight files.

Enters: a folder. Leaves: config.json as written, "original" or "transformers", and the paths of
the weights; or an error that says what the folder is instead. Opens no weights, imports no torch.
"""

import json
from pathlib import Path
from typing import Any, Literal

from weights.errors import CheckpointError

Layout = Literal["original", "transformers"]

CONFIG_FILE = "config.json"
QUANTIZED = "quantized"  # instead of "model" in the names of files that only we read
WEIGHT_FILES = (  # the first one present is used
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    f"{QUANTIZED}.safetensors",
    f"{QUANTIZED}.safetensors.index.json",
)
INCOMPLETE = "The folder is incomplete: download it again."


def read_config(folder: Path) -> dict[str, Any]:
    """config.json as it stands."""
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}.", "Check the path.")
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {CONFIG_FILE}, so it is not a checkpoint.",
            f"Give the folder that holds {CONFIG_FILE} and the weights.",
        )
    return read_object(path)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a checkpoint's file holds."""
    content = _read_json(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object.", INCOMPLETE)
    return content


def detect_layout(config: dict[str, Any], folder: Path) -> Layout:
    """Whose names the weights have. DeepSeek-VL shares its model_type with Janus."""
    model_type = config.get("model_type")
    if "vision_gen_enc_config" in config or "vision_und_enc_config" in config:
        raise CheckpointError(
            f"{folder} is a JanusFlow checkpoint, which is not supported yet.",
            "Use a Janus or Janus-Pro checkpoint.",
        )
    if model_type == "janus":
        return "transformers"
    if model_type != "multi_modality":
        raise CheckpointError(
            f"{folder} is not a Janus checkpoint: its model_type is {model_type!r}.",
            "Supported are 'janus' and 'multi_modality' (deepseek-ai's own layout).",
        )
    if "gen_vision_config" not in config:
        raise CheckpointError(
            f"{folder} is a DeepSeek-VL checkpoint (multi_modality without gen_vision_config), "
            "which is not supported: it sees, but cannot draw.",
            "Use a Janus or Janus-Pro checkpoint.",
        )
    return "original"


def find_weights(folder: Path) -> tuple[Path, ...]:
    """The weight files, all of them present; safetensors if the folder holds both kinds."""
    for name in WEIGHT_FILES:
        path = folder / name
        if path.is_file():
            return _shards(path) if path.suffix == ".json" else (path,)
    raise CheckpointError(
        f"{folder} has no weights: looked for {', '.join(WEIGHT_FILES)}.",
        INCOMPLETE,
    )


def _shards(index: Path) -> tuple[Path, ...]:
    content = _read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} names no files: it has no weight_map.", INCOMPLETE)
    paths = tuple(index.parent / name for name in sorted(set(weight_map.values())))
    if missing := [path.name for path in paths if not path.is_file()]:
        raise CheckpointError(
            f"{index.parent} lacks {len(missing)} of its {len(paths)} weight files: "
            f"{', '.join(missing)}.",
            "Download it again; files that are already there are not fetched twice.",
        )
    return paths


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.", INCOMPLETE) from error
