import json

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from weights.catalog import BUNDLED, CATALOG


def test_how_a_picture_was_drawn(run):
    run("draw", "two red hearts", "--seed", 7, "-o", "a.png")
    lines = dict(line.split(maxsplit=1) for line in run("info", "a.png").lines)
    assert lines["prompt"] == "two red hearts"
    assert lines["seed"] == "7"
    content = json.loads(run("info", "a.png", "--json").stdout)
    assert content["schema"] == 1
    assert content["settings"]["seed"] == 7
    with open("a.png", "rb") as file:
        piped = run("info", "-", "--json", input=file.read())
    assert json.loads(piped.stdout) == {**content, "file": "-"}


def test_a_picture_of_others(run, picture):
    result = run("info", picture)
    assert result.code == 0
    assert [line.split()[0] for line in result.lines] == ["file", "format", "size", "settings"]
    assert "40x30" in result.stdout
    assert json.loads(run("info", picture, "--json").stdout)["settings"] is None


def test_a_picture_of_another_tool(run):
    info = PngInfo()
    info.add_text("parameters", "a girl\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5")
    Image.new("RGB", (8, 8)).save("a.png", pnginfo=info)
    assert "written by" in run("info", "a.png").stdout
    told = json.loads(run("info", "a.png", "--json").stdout)
    assert told["settings"] is None
    assert told["foreign_settings"] == {"prompt": "a girl", "seed": 5, "guidance": 7.0}


def test_what_is_no_picture(run, tmp_path):
    (tmp_path / "diary.png").write_text("Dear diary")
    assert run("info", "diary.png").code == 5
    assert run("info", "gone.png").code == 5
    assert run("info", "x" * 5000).code == 5


def test_a_model_folder(run, folder, janus):
    content = json.loads(run("info", folder, "--json").stdout)
    assert content["layout"] == "transformers"
    # What is stored beside the parameters: the balance of the experts.
    assert 0 <= content["parameters"] - janus.num_parameters < 100
    assert content["attention"] == "latent"
    assert content["experts"] == "4 routed, 2 a token, 1 shared"
    assert content["picture_tokens"] == 16


def test_a_known_model_that_is_not_here(run, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    entry = next(entry for entry in CATALOG if entry.name != BUNDLED)
    result = run("info", entry.name)
    assert result.code == 0
    assert entry.licence in result.stdout
    assert f"janus weights get {entry.name}" in result.stdout
