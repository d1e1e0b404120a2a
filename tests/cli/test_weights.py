import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from weights.catalog import CATALOG


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_list_has_every_model_of_the_catalog(run):
    result = run("weights", "list")
    assert [line.split()[0] for line in result.lines[1:]] == [entry.name for entry in CATALOG]
    models = json.loads(run("weights", "list", "--json").stdout)["models"]
    assert [model["hub_id"] for model in models] == [entry.hub_id for entry in CATALOG]


def test_get_prints_the_folder(run, folder):
    assert run("weights", "get", folder).stdout == f"{folder}\n"


def test_get_of_an_unknown_name(run):
    result = run("weights", "get", "janus-por-1b")
    assert (result.code, result.stdout) == (3, "")
    assert "janus-pro-1b" in result.stderr


def test_a_whole_model(run, folder):
    result = run("weights", "verify", folder)
    assert result.code == 0
    assert result.stdout.startswith(f"{folder}: whole; ")
    facts = json.loads(run("weights", "verify", folder, "--json").stdout)
    assert facts["bytes"] == (folder / "model.safetensors").stat().st_size


def change(file, **tensors):
    save_file(load_file(file) | tensors, file)


def test_numbers_that_are_none(run, copy):
    head = load_file(copy / "model.safetensors")["lm_head.weight"]
    head[3, 5] = float("nan")
    change(copy / "model.safetensors", **{"lm_head.weight": head})
    result = run("weights", "verify", copy)
    assert result.code == 3
    assert "not finite, such as lm_head.weight" in result.stderr


def test_a_tensor_of_another_shape(run, copy):
    head = load_file(copy / "model.safetensors")["lm_head.weight"]
    change(copy / "model.safetensors", **{"lm_head.weight": head[1:].contiguous()})
    result = run("weights", "verify", copy)
    assert result.code == 3
    assert "lm_head.weight is (" in result.stderr


def test_a_broken_tokenizer(run, copy):
    (copy / "tokenizer.json").write_text("{}")
    result = run("weights", "verify", copy)
    assert result.code == 3
    assert "tokenizer.json cannot be read" in result.stderr


def test_a_cut_file(run, copy):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert run("weights", "verify", copy).code == 3


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_quantized_weights(run, folder, tmp_path, picture, kind):
    made = run("weights", "quantize", folder, "few", "--to", kind)
    assert made.code == 0
    assert made.stdout.startswith(f"{tmp_path / 'few'}: ") and " instead of " in made.stdout
    whole, few = (json.loads(run("weights", "verify", f, "--json").stdout) for f in (folder, "few"))
    assert few["parameters"] == whole["parameters"] and few["bytes"] < whole["bytes"]
    same = ("ask", picture, "What?", "--temperature", 0, "--max-tokens", 8)
    read = run(*same, "--model", "few")
    assert read.stdout == run(*same, "--model", folder, "--quantize", kind).stdout != ""


def test_quantizing_that_cannot_be(run, folder, tmp_path):
    assert run("weights", "quantize", folder, "few", "--to", "int3").code == 2
    assert run("weights", "quantize", tmp_path, "few").code == 3  # no model
    assert run("weights", "quantize", folder, folder).code == 7  # taken
    assert list(tmp_path.iterdir()) == []
    facts = json.loads(run("weights", "quantize", folder, "few", "--json").stdout)
    assert facts["kind"] == "int8" and facts["bytes"] < facts["bytes_before"]
