import json
from importlib import metadata
from pathlib import Path

from janus.checkup import find_name_clash

PACKAGE = Path(__file__).parents[2] / "janus"


def checks(result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_a_machine_that_can_run_the_model(run, folder):
    result = run("doctor", "--json")
    assert result.code == 0
    assert json.loads(result.stdout)["ok"]
    found = checks(result)
    assert found["torch"]["found"] == metadata.version("torch")
    assert str(folder) in found["model"]["found"]
    assert found["JANUS_MODEL"]["found"] == str(folder)
    assert "threads" in found["processor"]["found"]
    assert found["kernels"]["found"].startswith("torch's")


def test_a_model_that_is_not_here(run):
    result = run("doctor", "--model", "./nowhere")
    assert result.code == 1
    assert "PROBLEM  model" in result.stdout
    assert "\nmodel: Choose another" in result.stdout


def test_a_folder_without_weights_is_no_model(run, tmp_path):
    assert run("doctor", "--model", tmp_path).code == 1


def test_the_queue_library_is_noticed(run, tmp_path, monkeypatch):
    assert find_name_clash(PACKAGE) is None
    other = tmp_path / "janus-2.0.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: janus\nVersion: 2.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = run("doctor")
    assert result.code == 1
    assert "queue library janus 2.0.0" in result.stdout
    assert "pip uninstall janus" in result.stdout


def test_another_package_of_that_name_is_noticed(tmp_path):
    assert "another package" in (find_name_clash(tmp_path) or "")
