"""Checkpoint folders: every published form is read the same; everything else is explained."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from weights.errors import CheckpointError
from weights.files import Checkpoint
from weights.names import canonical_tensors, original_tensors

FORMS = ["safetensors", "safetensors shards", "bin", "bin shards"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(
    form: str, save_original: Callable[[str], Path], tiny_original: dict[str, Tensor]
) -> None:
    checkpoint = Checkpoint.open(save_original(form))
    expected = dict(canonical_tensors(tiny_original.items()))
    tensors = dict(checkpoint.tensors())
    assert checkpoint.layout == "original"
    assert checkpoint.shapes() == {name: tensor.shape for name, tensor in expected.items()}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_loses_only_the_unused(
    form: str, save_original: Callable[[str], Path], tiny_original: dict[str, Tensor]
) -> None:
    back = dict(original_tensors(Checkpoint.open(save_original(form)).tensors()))
    lost = tiny_original.keys() - back.keys()
    assert all("attn_pool" in name or "codebook_used" in name for name in lost)
    assert all(torch.equal(tensor, tiny_original[name]) for name, tensor in back.items())


@pytest.mark.parametrize("form", FORMS)
def test_only_what_is_wanted_is_read(
    form: str, save_original: Callable[[str], Path], tiny_original: dict[str, Tensor]
) -> None:
    wanted = {"model.vision_model.encoder.layers.1.self_attn.k_proj.weight", "lm_head.weight"}
    tensors = dict(Checkpoint.open(save_original(form)).tensors(wanted.__contains__))
    expected = dict(canonical_tensors(tiny_original.items()))
    assert tensors.keys() == wanted
    assert all(torch.equal(tensors[name], expected[name]) for name in wanted)


def test_size_is_that_of_the_weights(save_original: Callable[[str], Path]) -> None:
    folder = save_original("bin shards")
    files = list(folder.glob("pytorch_model-*.bin"))
    assert Checkpoint.open(folder).num_bytes == sum(file.stat().st_size for file in files)


def test_safetensors_come_before_pickles(save_original: Callable[[str], Path]) -> None:
    folder = save_original("safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    assert [file.name for file in Checkpoint.open(folder).files] == ["model.safetensors"]


@pytest.mark.parametrize("form", ["safetensors shards", "bin shards"])
def test_missing_shards_are_listed(form: str, save_original: Callable[[str], Path]) -> None:
    folder = save_original(form)
    lost = sorted(folder.glob("*-of-*"))[1]
    lost.unlink()
    with pytest.raises(CheckpointError, match=lost.name) as caught:
        Checkpoint.open(folder)
    assert "ownload it again" in caught.value.hint


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("keep", [0, 5, 1000, -10])
def test_truncated_weights_are_explained(
    form: str, keep: int, save_original: Callable[[str], Path]
) -> None:
    folder = save_original(form)
    file = Checkpoint.open(folder).files[0]
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        dict(Checkpoint.open(folder).tensors())
    assert file.name in caught.value.message


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def test_pickles_execute_nothing(
    tmp_path: Path, original_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(original_config))
    torch.save({"gen_embed.weight": Malicious()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"system") as caught:
        Checkpoint.open(tmp_path).shapes()
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_pickles_hold_named_tensors_only(tmp_path: Path, original_config: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(original_config))
    torch.save({"state_dict": {"gen_embed.weight": torch.zeros(2)}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="other than named tensors"):
        Checkpoint.open(tmp_path).shapes()


def test_lfs_pointers_are_recognised(save_original: Callable[[str], Path]) -> None:
    folder = save_original("safetensors")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n"
    (folder / "model.safetensors").write_bytes(pointer)
    with pytest.raises(CheckpointError, match="git lfs pull"):
        Checkpoint.open(folder).shapes()


def test_unknown_tensors_are_named(tmp_path: Path, original_config: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(original_config))
    torch.save({"decoder.blocks.0.weight": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"decoder\.blocks\.0\.weight"):
        Checkpoint.open(tmp_path).shapes()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "llama"}, "'llama'"),
        ({}, "None"),
        ({"model_type": "multi_modality", "vision_config": {}}, "DeepSeek-VL"),
        ({"model_type": "multi_modality", "vision_gen_enc_config": {}}, "JanusFlow"),
        ({"model_type": "multi_modality", "vision_und_enc_config": {}}, "JanusFlow"),
        ([], "not a JSON object"),
    ],
)
def test_other_models_are_called_by_name(tmp_path: Path, config: Any, expected: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=expected):
        Checkpoint.open(tmp_path)


def test_a_folder_without_weights_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "janus"}')
    with pytest.raises(CheckpointError, match=r"model\.safetensors, .*pytorch_model\.bin"):
        Checkpoint.open(tmp_path)


def test_folders_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        Checkpoint.open(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        Checkpoint.open(tmp_path)
    (tmp_path / "config.json").write_text("{'model_type': 'janus'}")
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read.*line 1"):
        Checkpoint.open(tmp_path)
