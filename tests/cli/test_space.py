import json
import os

import pytest


def test_build_lays_out_a_space(run, tmp_path):
    result = run("space", "build", "out")
    assert result.code == 0
    assert result.stdout.startswith("out: ") and result.stdout.endswith(" MB\n")
    assert {"app.py", "README.md", "requirements.txt"} <= set(os.listdir(tmp_path / "out"))


def test_build_with_a_model_that_nobody_knows(run, tmp_path):
    result = run("space", "build", "out", "--model", "janus-por")
    assert (result.code, result.stdout) == (2, "")
    assert "janus-pro-1b" in result.stderr and not (tmp_path / "out").exists()


def test_a_dry_run_lists_what_would_be_uploaded(run, offline):
    result = run("space", "push", "ada/janus", "--dry-run")
    assert result.code == 0
    sizes = {line.split()[0]: line.split()[1:] for line in result.lines}
    assert sizes["weights/janus-emoji/model.safetensors"] == ["42.4", "MB", "large", "file"]
    assert "app.py" in sizes and not any("__pycache__" in name for name in sizes)
    facts = json.loads(run("space", "push", "ada/janus", "--dry-run", "--json").stdout)
    assert facts["address"] is None
    assert facts["bytes"] == sum(file["bytes"] for file in facts["files"])


@pytest.mark.parametrize("name", ["janus", "ada/janus/two", "ada/ja nus", "ada/--janus"])
def test_a_name_that_no_space_can_have(run, offline, name):
    result = run("space", "push", name)
    assert (result.code, result.stdout) == (2, "")
    assert "USER/NAME" in result.stderr


def test_a_push_that_fails_says_what_to_do(run, offline):
    result = run("space", "push", "ada/janus")
    assert (result.code, result.stdout) == (1, "")
    assert "ada/janus could not be uploaded" in result.stderr and "hf auth login" in result.stderr


@pytest.fixture
def offline(monkeypatch):
    """huggingface_hub refuses every request."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
