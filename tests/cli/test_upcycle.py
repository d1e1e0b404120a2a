"""`janus weights upcycle`: what it says, and how it ends."""

import json

import pytest

from tests.dense_model import write_dense


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return write_dense(tmp_path_factory.mktemp("models") / "dense")


def test_the_result_can_be_asked_and_checked(run, dense, tmp_path, picture):
    result = run("weights", "upcycle", dense, "experts")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{tmp_path / 'experts'}: ")
    assert result.stdout.endswith("largest difference of a layer 0.0e+00\n")
    assert run("weights", "verify", "./experts").code == 0
    same = ("ask", picture, "What?", "--temperature", 0, "--max-tokens", 8)
    answers = [run(*same, "--model", model).stdout for model in (dense, "./experts")]
    assert answers[0] == answers[1] != ""


def test_json(run, dense, tmp_path):
    arguments = ("--recipe", "isoflop", "--copies", 3, "--first-dense", 0, "--json")
    facts = json.loads(run("weights", "upcycle", dense, "experts", *arguments).stdout)
    config = json.loads((tmp_path / "experts" / "config.json").read_text())["text_config"]
    assert (config["n_routed_experts"], config["first_k_dense_replace"]) == (6, 0)
    assert facts["folder"] == str(tmp_path / "experts")
    assert facts["recipe"] == "isoflop"
    assert facts["parameters_before"] < facts["active_parameters"] < facts["parameters"]
    assert 0 < facts["layer_error"] <= 1e-5
    assert 0 < facts["logits_error"] <= 1e-5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--recipe", "exakt"], 2, "There is no recipe 'exakt'"),
        (["--copies", 3], 2, "The recipe exact has no setting copies"),
        (["--slices", 5], 2, "96 neurons do not make 5 slices"),
        (["--first-dense", 3], 2, "the model has 3 layers"),
    ],
)
def test_settings_that_do_not_fit(run, dense, tmp_path, arguments, code, message):
    result = run("weights", "upcycle", dense, "experts", *arguments)
    assert (result.code, result.stdout) == (code, "")
    assert message in result.stderr
    assert not (tmp_path / "experts").exists()


def test_models_and_folders_that_do_not_fit(run, folder, dense, tmp_path):
    assert run("weights", "upcycle", folder, "experts").code == 2  # a mixture already
    assert run("weights", "upcycle", tmp_path, "experts").code == 3  # no model
    assert run("weights", "upcycle", dense, dense).code == 7  # taken
    assert list(tmp_path.iterdir()) == []
