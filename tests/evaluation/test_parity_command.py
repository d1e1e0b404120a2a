import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from janus.cli.main import app
from janus.config import read_config
from janus.evaluation import parity, parity_case
from janus.model.loading import canonical_name
from tests.small_model import WIDTH, byte_tokenizer, small_janus
from weights.names import original_tensors

ORIGINAL = {
    "model_type": "multi_modality",
    "language_config": {
        "vocab_size": len(byte_tokenizer()),
        "hidden_size": WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 1024,
    },
    "vision_config": {
        "params": {
            "model_name": "small",
            "width": 32,
            "layers": 1,
            "heads": 2,
            "patch_size": 16,
            "image_size": 32,
        }
    },
    "gen_vision_config": {
        "params": {"image_token_size": 64, "n_embed": 8, "ch": 32, "z_channels": 16}
    },
    "aligner_config": {"params": {"n_embed": WIDTH, "depth": 2}},
    "gen_aligner_config": {"params": {"n_embed": WIDTH, "depth": 2}},
    "gen_head_config": {"params": {"n_embed": WIDTH}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    small_janus().save_pretrained(folder)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["eval", "parity", *map(str, arguments)])


def test_a_model_of_ours_is_the_same_in_transformers(folder):
    result = run(folder, "--tokens", 12, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passed"]
    assert len(report["checks"]) == 7
    found = {check["name"]: check["result"] for check in report["checks"]}
    assert found["answer, word by word"] == "12 of 12 equal"
    assert found["guided picture, code by code"] == "16 of 16 equal"


def test_the_original_layout_is_converted(tmp_path):
    janus = small_janus(read_config(ORIGINAL))
    (tmp_path / "config.json").write_text(json.dumps(ORIGINAL))
    (tmp_path / "tokenizer.json").write_text(janus.tokenizer.to_json())
    tensors = ((canonical_name(name), tensor) for name, tensor in janus.model.state_dict().items())
    state = {name: tensor.contiguous() for name, tensor in original_tensors(tensors)}
    save_file(state, tmp_path / "model.safetensors")
    result = run(tmp_path, "--tokens", 4)
    assert result.exit_code == 0, result.output
    assert "original layout, written in transformers' layout by us" in result.stdout
    assert result.stdout.endswith("\nSame as transformers.\n")


def test_every_difference_is_found(folder, monkeypatch):
    load_theirs = parity_case.load_theirs

    def load_changed(*arguments):
        theirs = load_theirs(*arguments)
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.mul_(1.01)
        return theirs

    monkeypatch.setattr(parity_case, "load_theirs", load_changed)
    result = run(folder, "--tokens", 12)
    assert result.exit_code == 1
    assert result.stdout.count("DIFFERENT") >= 3
    assert result.stdout.endswith("NOT the same as transformers.\n")


def test_shorter_types_are_shown_and_not_judged(folder):
    result = run(folder, "--tokens", 2, "--dtype", "bfloat16")
    assert result.exit_code == 0
    assert result.stdout.count("not judged") == 5


@pytest.mark.parametrize(
    ("ours", "theirs", "logits", "passed"),
    [
        ((1, 2, 3), (1, 2, 3), (), True),
        ((1, 2, 3), (1, 0, 9), (5.0, 0.0, 4.99995, 0.0), True),
        ((1, 2, 3), (1, 0, 9), (5.0, 0.0, 4.99, 0.0), False),
        ((1, 2), (1, 2, 3), (), False),
        ((1, 2, 3), (1, 2), (0.0, 0.0, 1.0, 0.5), False),
    ],
)
def test_only_a_tie_excuses_other_ids(ours, theirs, logits, passed):
    asked = []

    def their_logits(ids):
        asked.append(ids)
        return torch.tensor(logits)

    assert parity._same("ids", ours, theirs, their_logits, "float32").passed is passed
    assert all(ids == ours[: len(ids)] == theirs[: len(ids)] for ids in asked)
