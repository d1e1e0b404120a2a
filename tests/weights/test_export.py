"""Writing: what goes in comes out, in files that transformers knows, or nothing changes at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from weights.errors import CheckpointError
from weights.export import write_checkpoint
from weights.files import Checkpoint

CONFIG = {"model_type": "janus", "note": "\u53cc\u9762"}


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"layers.{i}.weight": torch.randn(10, 25, generator=generator) for i in range(7)}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_holds(folder: Path, tensors: dict[str, Tensor]) -> None:
    found = dict(Checkpoint.open(folder).tensors())
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(("limit", "num_files"), [(10_000, 1), (3_000, 3), (1, 7)])
def test_what_goes_in_comes_out(
    tmp_path: Path, tensors: dict[str, Tensor], limit: int, num_files: int
) -> None:
    write_checkpoint(tmp_path, tensors.items(), CONFIG, max_shard_bytes=limit)
    checkpoint = Checkpoint.open(tmp_path)
    assert checkpoint.config == CONFIG
    assert len(checkpoint.files) == num_files
    assert all(file.stat().st_size < limit + 2_000 for file in checkpoint.files)
    assert_holds(tmp_path, tensors)


def test_the_index_says_where_and_how_much(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    write_checkpoint(tmp_path, tensors.items(), CONFIG, max_shard_bytes=3_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors.values())
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / file, framework="pt") as shard:
            assert name in set(shard.keys())
            assert shard.metadata() == {"format": "pt"}


def test_views_and_parameters_are_written_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"t": whole.t(), "row": whole[1], "parameter": torch.nn.Parameter(whole + 1)}
    write_checkpoint(tmp_path, tensors.items(), CONFIG)
    assert_holds(tmp_path, tensors)


def test_extra_files_are_added_and_readable_like_the_rest(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"copied")
    folder = tmp_path / "new" / "folder"
    extra = {"tokenizer.json": source, "generation_config.json": b"{}"}
    write_checkpoint(folder, tensors.items(), CONFIG, extra)
    assert files(folder) == {"config.json", "model.safetensors", *extra}
    assert (folder / "tokenizer.json").read_bytes() == b"copied"
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_a_new_checkpoint_replaces_the_old(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    half = dict(list(tensors.items())[:3])
    write_checkpoint(tmp_path, tensors.items(), CONFIG, max_shard_bytes=3_000)
    write_checkpoint(tmp_path, half.items(), CONFIG)
    assert files(tmp_path) == {"config.json", "model.safetensors", "notes.txt"}
    assert_holds(tmp_path, half)
    write_checkpoint(tmp_path, tensors.items(), CONFIG, max_shard_bytes=3_000)
    assert "model.safetensors" not in files(tmp_path)
    assert_holds(tmp_path, tensors)


def test_a_checkpoint_can_be_written_over_itself(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    write_checkpoint(tmp_path, tensors.items(), CONFIG)
    write_checkpoint(tmp_path, Checkpoint.open(tmp_path).tensors(), CONFIG, max_shard_bytes=3_000)
    assert_holds(tmp_path, tensors)


def test_an_interruption_leaves_the_old_checkpoint(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    def interrupted() -> Iterator[tuple[str, Tensor]]:
        yield "first", torch.zeros(1000)
        yield "second", torch.zeros(1000)
        raise KeyboardInterrupt

    write_checkpoint(tmp_path, tensors.items(), CONFIG)
    before = files(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, interrupted(), {}, max_shard_bytes=4_000)
    assert files(tmp_path) == before
    assert_holds(tmp_path, tensors)


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may grow beyond 100 kB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("no_room")
def test_no_room_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    with pytest.raises(CheckpointError, match="File too large") as caught:
        write_checkpoint(folder, [("big", torch.zeros(100_000))], CONFIG)
    assert "GB free" in caught.value.hint
    assert files(folder) == set()


def test_a_folder_that_cannot_be_is_explained(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        write_checkpoint(tmp_path / "file" / "folder", tensors.items(), CONFIG)
