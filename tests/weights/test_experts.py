"""Experts on disk and in memory, against transformers' own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from weights.errors import CheckpointError
from weights.export import write_checkpoint
from weights.files import Checkpoint


def test_reads_what_transformers_writes(tiny_experts: tuple[Any, Path]) -> None:
    model, folder = tiny_experts
    checkpoint = Checkpoint.open(folder)
    state = model.state_dict()
    assert checkpoint.shapes() == {name: tensor.shape for name, tensor in state.items()}
    tensors = dict(checkpoint.tensors())
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())


def test_experts_are_wanted_by_the_name_of_them_all(tiny_experts: tuple[Any, Path]) -> None:
    model, folder = tiny_experts
    name = "model.language_model.layers.1.mlp.experts.gate_up_proj"
    ((found, tensor),) = Checkpoint.open(folder).tensors(lambda canonical: canonical == name)
    assert found == name
    assert torch.equal(tensor, model.state_dict()[name])


def test_writes_what_transformers_writes(tiny_experts: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = tiny_experts
    ours = tmp_path / "ours"
    config = json.loads((folder / "config.json").read_text())
    write_checkpoint(ours, model.state_dict().items(), config)
    expected = load_file(folder / "model.safetensors")
    written = load_file(ours / "model.safetensors")
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in expected.items())


def test_experts_of_one_layer_may_lie_in_two_files(
    tiny_experts: tuple[Any, Path], tmp_path: Path
) -> None:
    model, folder = tiny_experts
    ours = tmp_path / "ours"
    config = json.loads((folder / "config.json").read_text())
    write_checkpoint(ours, model.state_dict().items(), config, max_shard_bytes=20_000)
    assert len(list(ours.glob("model-*"))) > 5
    tensors = dict(Checkpoint.open(ours).tensors())
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[n], t) for n, t in model.state_dict().items())


def test_fused_experts_on_disk_are_read_too(tiny_experts: tuple[Any, Path]) -> None:
    model, folder = tiny_experts
    save_file(model.state_dict(), folder / "model.safetensors")
    tensors = dict(Checkpoint.open(folder).tensors())
    assert all(torch.equal(tensors[n], t) for n, t in model.state_dict().items())


def test_a_lost_expert_is_named(tiny_experts: tuple[Any, Path]) -> None:
    _, folder = tiny_experts
    tensors = load_file(folder / "model.safetensors")
    lost = "model.language_model.layers.1.mlp.experts.3.up_proj.weight"
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=lost):
        Checkpoint.open(folder).shapes()
