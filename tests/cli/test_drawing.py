import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from janus.metadata import read_settings
from janus.pipeline import Janus


def is_same(a: Image.Image | Path, b: Image.Image | Path) -> bool:
    a, b = (image if isinstance(image, Image.Image) else Image.open(image) for image in (a, b))
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def test_pictures_are_those_of_the_model(run, janus):
    result = run("draw", "two red hearts", "-n", 2, "--seed", 7, "--guidance", 3)
    assert (result.code, result.stderr) == (0, "")
    drawn = janus.draw("two red hearts", count=2, seed=7, guidance=3.0)
    names = ["small_7_two-red-hearts.png", "small_8_two-red-hearts.png"]
    assert result.lines == names
    for name, picture in zip(names, drawn, strict=True):
        assert is_same(Path(name), picture.image)
        assert read_settings(name) == {**picture.settings, "seed": picture.seed}


def test_more_pictures_than_are_drawn_at_once(run, janus):
    result = run("draw", "a", "-n", 20, "--seed", 2**63 - 10)
    assert len(result.lines) == 20
    pictures = janus.draw("a", count=20, seed=2**63 - 10)
    for name, picture in list(zip(result.lines, pictures, strict=True))[14:]:
        assert is_same(Path(name), picture.image)


def test_prompts_may_go_without_quotes_or_come_from_standard_input(run):
    run("draw", "two", "red", "hearts", "--seed", 1)
    assert Path("small_1_two-red-hearts.png").exists()
    run("draw", "-", "--seed", 2, input="two red hearts\n")
    assert Path("small_2_two-red-hearts.png").exists()


def test_json(run):
    result = run("draw", "a", "-n", 2, "--seed", 3, "--json")
    content = json.loads(result.stdout)
    assert content["schema"] == 1
    [first, second] = content["pictures"]
    assert first["path"] == "small_3_a.png"
    assert second["seed"] == 4
    assert (first["width"], first["height"]) == (32, 32)
    assert first["seconds"] > 0
    assert first["settings"]["prompt"] == "a"


def test_picture_on_standard_output(run, janus):
    result = run("draw", "a", "--seed", 3, "-o", "-")
    assert is_same(Image.open(io.BytesIO(result.bytes)), janus.draw("a", seed=3)[0].image)
    assert not list(Path().glob("*.png"))
    assert run("draw", "a", "-n", 2, "-o", "-").code == 2
    assert run("draw", "a", "--json", "-o", "-").code == 2


def test_file_and_folder(run):
    Path("out").mkdir()
    assert run("draw", "a", "--seed", 3, "-o", "out").lines == ["out/small_3_a.png"]
    assert run("draw", "a", "-o", "out/b.png").lines == ["out/b.png"]
    assert run("draw", "a", "-n", 2, "-o", "out/c.png").lines == ["out/c_1.png", "out/c_2.png"]


def test_every_format_carries_its_settings_and_is_drawn_again(run, janus):
    (drawn,) = janus.draw("a", seed=3, guidance=2.0)
    for suffix, format in (("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG"), ("jpeg", "JPEG")):
        name = f"a.{suffix}"
        assert run("draw", "a", "--seed", 3, "--guidance", 2, "-o", name).lines == [name]
        with Image.open(name) as image:
            assert image.format == format
        told = json.loads(run("info", name, "--json").stdout)
        assert (told["format"], told["settings"]) == (format, {**drawn.settings, "seed": 3})
        run("draw", "--like", name, "-o", "again.png")
        assert is_same(Path("again.png"), drawn.image)


def test_the_bundled_model_draws_its_very_pixels_again(run):
    (picture,) = Janus.from_pretrained("janus-emoji").draw("two red hearts", seed=7)
    for name in ("first.webp", "first.jpg"):
        picture.save(name)
        assert run("draw", "--like", name, "-o", "again.png").lines == ["again.png"]
        assert is_same(Path("again.png"), picture.image)
        assert read_settings("again.png") == read_settings(name)
    assert is_same(Image.open("first.webp").convert("RGB"), picture.image)


def test_a_format_for_what_has_no_name(run, janus):
    first = run("draw", "a", "-n", 2, "--seed", 3, "--format", "webp")
    assert first.lines == ["small_3_a.webp", "small_4_a.webp"]
    assert is_same(Image.open(first.lines[0]).convert("RGB"), janus.draw("a", seed=3)[0].image)
    assert run("draw", "a", "--seed", 3, "--format", "jpeg", "-o", ".").lines == ["small_3_a.jpg"]
    piped = run("draw", "a", "--seed", 3, "--format", "jpeg", "--quality", 40, "-o", "-")
    assert Image.open(io.BytesIO(piped.bytes)).format == "JPEG"
    assert read_settings(io.BytesIO(piped.bytes)) == read_settings("small_3_a.jpg")
    assert len(piped.bytes) < Path("small_3_a.jpg").stat().st_size


def test_the_best_of_several_are_kept(run, janus):
    result = run("draw", "a", "-n", 4, "--seed", 3, "--best", 2, "--json")
    drawn = janus.draw("a", count=4, seed=3)
    scores = {p.seed: janus.match([p.image], "a")[0] for p in drawn}
    ranking = sorted(scores, key=lambda seed: scores[seed], reverse=True)
    content = json.loads(result.stdout)
    told = [*content["pictures"], *content["left_out"]]
    assert [each["seed"] for each in told] == ranking
    assert [each["match"] for each in told] == pytest.approx([scores[s] for s in ranking])
    kept = [each["path"] for each in content["pictures"]]
    assert kept == [f"small_{seed}_a.png" for seed in ranking[:2]]
    assert sorted(kept) == sorted(path.name for path in Path().iterdir())
    picture = drawn[ranking[0] - 3]
    assert read_settings(kept[0]) == {**picture.settings, "seed": ranking[0]}
    for place, seed in enumerate(ranking, 1):
        fate = "kept" if place <= 2 else "left out"
        assert f"No. {place}  seed {seed}  {scores[seed]:.3f}  {fate}" in result.stderr


def test_the_best_of_each_prompt(run):
    piped = run("draw", "--from", "-", "-n", 2, "--best", 1, "-o", "b.png", input="a cat\na dog")
    assert piped.lines == ["b_1.png", "b_2.png"]
    assert [(read_settings(name) or {})["prompt"] for name in piped.lines] == ["a cat", "a dog"]
    assert '"a cat"' in piped.stderr and '"a dog"' in piped.stderr


def test_the_best_on_standard_output(run):
    result = run("draw", "a", "-n", 2, "--best", 1, "-q", "-o", "-")
    assert Image.open(io.BytesIO(result.bytes)).size == (32, 32)
    assert result.stderr == ""


def test_other_pictures_are_not_replaced(run):
    first = run("draw", "a", "--seed", 3)
    assert run("draw", "a", "--seed", 3).lines == first.lines == ["small_3_a.png"]
    assert run("draw", "a", "--seed", 3, "--guidance", 2).lines == ["small_3_a_2.png"]


def test_the_same_picture_again(run):
    run("draw", "a", "--seed", 3, "--top-k", 9, "--temperature", 0.8, "-o", "first.png")
    again = run("draw", "--like", "first.png", "-o", "again.png")
    assert again.lines == ["again.png"]
    assert is_same(Path("first.png"), Path("again.png"))
    assert read_settings("first.png") == read_settings("again.png")
    run("draw", "--like", "first.png", "--seed", 4, "-o", "other.png")
    assert not is_same(Path("first.png"), Path("other.png"))
    assert read_settings("other.png") == {**(read_settings("first.png") or {}), "seed": 4}


def test_a_quantized_picture_again(run):
    run("draw", "a", "--seed", 3, "-o", "plain.png")
    run("draw", "a", "--seed", 3, "--quantize", "int8", "-o", "first.png")
    assert not is_same(Path("plain.png"), Path("first.png"))
    run("draw", "--like", "first.png", "-o", "again.png")
    assert is_same(Path("first.png"), Path("again.png"))
    assert (read_settings("again.png") or {})["quantize"] == "int8"
    refused = run("draw", "a", "--quantize", "int2")
    assert (refused.code, "int8 or int4" in refused.stderr) == (2, True)


def test_one_of_several_reference_pictures_again(run):
    run("draw", "a", "--seed", 3, "-n", 3, "--reference", "-o", "all.png")
    again = run("draw", "--like", "all_2.png", "-o", "again.png")
    assert again.lines == ["again.png"]
    assert is_same(Path("all_2.png"), Path("again.png"))


def test_likeness_needs_settings_and_the_model(run, picture, monkeypatch):
    plain = run("draw", "--like", picture)
    assert plain.code == 5
    assert "carries no settings" in plain.stderr
    run("draw", "a", "-o", "a.png")
    monkeypatch.setenv("JANUS_MODEL", "janus-emoji")
    unknown = run("draw", "--like", "a.png")
    assert unknown.code == 3
    assert "'small'" in unknown.stderr
    assert "--model" in unknown.stderr


def test_a_style_completes_the_prompt(run, janus):
    run("draw", "a fox.", "--style", "ink", "--seed", 3, "-o", "ink.png")
    settings = read_settings("ink.png") or {}
    prompt = settings["prompt"]
    assert prompt.startswith("a fox, ink drawing")
    assert (settings["style"], settings["typed"]) == ("ink", "a fox.")
    assert is_same(Path("ink.png"), janus.draw(prompt, seed=3)[0].image)
    run("draw", "--like", "ink.png", "-o", "again.png")
    assert is_same(Path("ink.png"), Path("again.png"))
    assert read_settings("again.png") == settings
    run("draw", "--like", "ink.png", "--style", "photo", "-o", "photo.png")
    assert (read_settings("photo.png") or {})["prompt"].startswith("a fox, photograph")


def test_styles_are_those_of_the_model(run):
    assert "ink" in json.loads(run("draw", "--list-styles", "--json").stdout)["styles"]
    listed = run("draw", "--list-styles", "--model", "janus-emoji").lines
    assert "pink      {prompt} on a pink background" in listed
    assert not [line for line in listed if line.startswith("ink")]


def test_a_prompt_a_line(run):
    Path("prompts.txt").write_text("a cat\n\na dog\n")
    result = run("draw", "--from", "prompts.txt", "--seed", 1)
    assert result.lines == ["small_1_a-cat.png", "small_1_a-dog.png"]
    piped = run("draw", "--from", "-", "--seed", 1, "-o", "b.png", input="a cat\na dog")
    assert piped.lines == ["b_1.png", "b_2.png"]


def test_a_bad_prompt_does_not_stop_the_others(run):
    result = run("draw", "--from", "-", "--seed", 1, input="a cat\n" + "x" * 9000 + "\na dog")
    assert result.code == 2
    assert result.lines == ["small_1_a-cat.png", "small_1_a-dog.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["draw"], 2, "nothing to draw"),
        (["draw", "a", "--guidance", "0.5"], 2, "guidance is 0.5"),
        (["draw", "a", "--from", "x"], 2, "Give one of them"),
        (["draw", "a", "--style", "watercolor"], 2, "Did you mean 'watercolour'? The styles are"),
        (["draw", "", "--style", "ink"], 2, "nothing to draw"),
        (["draw", " ", "--style", "ink"], 2, "The prompt is empty."),
        (["draw", "a", "--best", "2"], 2, "best is 2, but 1 picture is drawn"),
        (["draw", "a", "-n", "4", "--best", "5"], 2, "Keep 1 to 4, or draw more with --count"),
        (["draw", "a", "-n", "4", "--best", "0"], 2, "best is 0, but 4 pictures are drawn"),
        (["draw", "--from", "gone.txt"], 2, "Cannot read"),
        (["draw", "a", "-o", "a.gif"], 2, "Name it a.png, a.webp or a.jpg"),
        (["draw", "a", "-o", "a.jpg", "--format", "webp"], 2, "the name of a JPEG"),
        (["draw", "a", "--quality", "50"], 2, "PNG has no quality"),
        (["draw", "a", "--format", "webp", "--quality", "101"], 2, "0 to 100"),
        (["draw", "a", "-o", "gone/a.png"], 7, "There is no folder"),
        (["draw", "a", "-o", "gone/"], 7, "There is no folder"),
        (["draw", "a", "-o", "gone"], 7, "There is no folder"),
        (["draw", "a", "-o", "/dev/full"], 7, "No space left"),
        (["draw", "a", "--model", "janus-por-7b"], 3, "Did you mean janus-pro-7b"),
        (["draw", "a", "--model", "."], 3, "has no config.json"),
        (["draw", "a", "--device", "nonsense"], 2, "There is no device"),
        (["draw", "a", "--dtype", "int3"], 2, "dtype is 'int3'"),
        (["draw", "a", "--model", "owner/model", "--offline"], 3, "Offline"),
    ],
)
def test_errors_say_what_to_do(run, arguments, code, message):
    if "/dev/full" in arguments and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    result = run(*arguments)
    assert (result.code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.startswith("janus: ")
    assert len(result.stderr.splitlines()) <= 2


def test_a_missing_shard(run, folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((folder / "config.json").read_bytes())
    weight_map = {"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(weight_map))
    result = run("draw", "a", "--model", broken)
    assert result.code == 3
    assert "lacks 1 of its 1 weight files: model-00001-of-00002.safetensors" in result.stderr


def test_interrupted_drawing_keeps_what_is_finished(folder, tmp_path):
    command = [sys.executable, "-c", "from janus.cli.main import main; main()", "draw"]
    drawing = subprocess.Popen(
        [*command, "--from", "-", "--seed", "1", "--model", str(folder)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert drawing.stdin and drawing.stdout and drawing.stderr
    drawing.stdin.write("\n".join(f"prompt {i}" for i in range(1000)))
    drawing.stdin.close()
    finished = [drawing.stdout.readline().strip()]
    drawing.send_signal(signal.SIGINT)
    finished += drawing.stdout.read().split()
    assert drawing.wait() == 130
    assert drawing.stderr.read() == "janus: Stopped.\n"
    assert len(finished) < 1000
    assert sorted(finished) == sorted(path.name for path in tmp_path.iterdir())
    for name in finished:
        Image.open(tmp_path / name).load()
