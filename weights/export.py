"""Tensors under canonical names into a checkpoint folder that transformers opens as it is.

Enters: (canonical name, tensor) pairs, a configuration, further files. Leaves: config.json and
safetensors, one file or shards with an index. Everything is written beside the target first and
moved at the end, config.json last: an interrupted run leaves nothing that looks like a checkpoint.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from weights.errors import CheckpointError
from weights.experts import split_experts
from weights.layout import CONFIG_FILE

STEM = "model"  # what names of weight files begin with
REPLACED = ("{stem}.safetensors", "{stem}.safetensors.index.json", "{stem}-*-of-*.safetensors")


def write_checkpoint(
    folder: str | Path,
    tensors: Iterable[tuple[str, Tensor]],
    config: Mapping[str, Any],
    extra_files: Mapping[str, bytes | Path] | None = None,
    *,
    max_shard_bytes: int = 4_000_000_000,
    stem: str = STEM,
) -> None:
    """Write a checkpoint, replacing one of the same layout that is already in `folder`.

    `extra_files` maps a file name to its content or to a file to copy. Tensors are taken one by
    one and at most one shard of them is held. CheckpointError if the disk is full or read-only.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".unfinished-", dir=folder) as unfinished:
            staged = Path(unfinished)
            _write_files(staged, extra_files or {})
            _write_json(staged / CONFIG_FILE, config)
            _write_weights(staged, tensors, max_shard_bytes, stem)
            _publish(staged, folder, stem)
    except (OSError, SafetensorError) as error:
        raise _unwritable(folder, error) from error


def _write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            shutil.copyfile(content, folder / name)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_weights(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], limit: int, stem: str
) -> None:
    contents: list[list[str]] = []
    total_size = 0
    for shard in _shards(tensors, limit):
        path = folder / f"{len(contents)}.safetensors"
        save_file(shard, path, metadata={"format": "pt"})
        # safetensors makes its files private to the user; the other files follow the umask.
        shutil.copymode(folder / CONFIG_FILE, path)
        contents.append(list(shard))
        total_size += sum(tensor.nbytes for tensor in shard.values())
    names = _shard_names(len(contents), stem)
    for number, name in enumerate(names):
        (folder / f"{number}.safetensors").rename(folder / name)
    if len(names) > 1:
        weight_map = {key: name for name, keys in zip(names, contents, strict=True) for key in keys}
        index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
        _write_json(folder / f"{stem}.safetensors.index.json", index)


def _shards(tensors: Iterable[tuple[str, Tensor]], limit: int) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for canonical, fused in tensors:
        for name, tensor in split_experts(canonical, fused):
            if shard and size + tensor.nbytes > limit:
                yield shard
                shard.clear()  # the caller has written it and must not hold two
                size = 0
            shard[name] = tensor.detach().cpu().contiguous()
            size += tensor.nbytes
    yield shard


def _shard_names(count: int, stem: str) -> list[str]:
    if count == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]


def _publish(staged: Path, folder: Path, stem: str) -> None:
    # Without config.json a folder is no checkpoint, so it goes first and comes back last.
    (folder / CONFIG_FILE).unlink(missing_ok=True)
    for pattern in REPLACED:
        for old in folder.glob(pattern.format(stem=stem)):
            old.unlink()
    for path in sorted(staged.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        path.replace(folder / path.name)


def _unwritable(folder: Path, error: Exception) -> CheckpointError:
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path())
    free = shutil.disk_usage(existing).free / 1e9
    return CheckpointError(
        f"The checkpoint could not be written to {folder}: {error}.",
        f"That disk has {free:.1f} GB free; make room, or choose another folder.",
    )
