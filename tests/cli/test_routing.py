import json
import sys
from dataclasses import replace

import pytest
from PIL import Image

from janus.evaluation import emoji, emoji_drawing, emoji_guidance, emoji_seeing
from tests.small_model import small_janus


@pytest.fixture
def short_exam(monkeypatch):
    """Two categories and a word or two; all of it is taken in the tests of evaluation."""
    for module in (emoji, emoji_drawing, emoji_guidance):
        monkeypatch.setattr(module, "CATEGORIES", emoji_drawing.CATEGORIES[:2])
    monkeypatch.setattr(emoji_seeing, "CAPTION_TOKENS", 2)
    monkeypatch.setattr(emoji_seeing, "ANSWER_TOKENS", 2)


def test_the_bundled_model(run):
    result = run("eval", "routing", "janus-emoji", "--scenes", 1, "--json")
    assert result.code == 0
    figures = json.loads(result.stdout)
    assert figures["schema"] == 1
    assert (figures["model"], figures["shuffled_routers"]) == ("janus-emoji", None)
    assert figures["tokens"]["seen"] == figures["tokens"]["drawn"] == 128
    for loads in (*figures["loads"].values(), figures["total_loads"]):
        assert len(loads) == len(figures["layers"])
        assert all(sum(layer) == pytest.approx(figures["experts"]) for layer in loads)
    assert figures["distances"].keys() == {"text-seen", "text-drawn", "seen-drawn"}
    assert all(0 <= d <= 1 for of_pair in figures["distances"].values() for d in of_pair)
    assert {"layer", "expert", "load"} == {key for expert in figures["starved"] for key in expert}


def test_own_pictures_and_prompts_as_a_table(run, picture):
    result = run("eval", "routing", "--see", picture, "--draw", "a dog", "--draw", "a cat")
    assert result.code == 0
    assert result.lines[0] == "small: 2 of 4 experts a token"
    assert result.lines[1].startswith("1 picture described and asked about, 2 prompts drawn: ")
    assert result.lines[3].split()[:6] == ["LAYER", "TEXT", "SEEN", "DRAWN", "ALL", "STARVED"]
    assert result.lines[4].startswith("1  ")
    assert "of 4 experts" in result.stdout


def test_the_picture(run, picture):
    pytest.importorskip("matplotlib")
    work = ("--see", picture, "--draw", "a dog", "--shuffle", 5)
    result = run("eval", "routing", *work, "--picture", "routing.png")
    assert result.code == 0
    assert "routers shuffled with seed 5" in result.lines[0]
    assert Image.open("routing.png").width > 1000
    assert run("eval", "routing", *work, "--picture", "nowhere/routing.png").code == 7


def test_the_picture_needs_matplotlib(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    result = run("eval", "routing", "--picture", "routing.png")
    assert result.code == 8
    assert "janus-multimodal[train]" in result.stderr


def test_a_dense_model_has_no_experts(run, janus):
    config = janus.model.config
    dense = replace(config.transformer, experts=None, latent_attention=None)
    small_janus(replace(config, transformer=dense)).save_pretrained("dense")
    result = run("eval", "routing", "dense")
    assert result.code == 2
    assert "has no experts" in result.stderr


def test_strengths_of_guidance_are_compared(run, short_exam, tmp_path):
    curve = tmp_path / "curve.png"
    result = run("eval", "guidance", 1, 5, "--limit", 1, "--picture", curve, "--json")
    assert result.code == 0
    rows = json.loads(result.stdout)["guidance"]
    assert [row["guidance"] for row in rows] == [1, 5]
    assert all(0 <= row["drawing.overall"] <= 1 for row in rows)
    assert Image.open(curve).width > 800


def test_a_strength_out_of_range_is_refused(run):
    result = run("eval", "guidance", 0.5)
    assert result.code == 2
    assert "guidance is 0.5" in result.stderr


def test_the_exam_says_that_routers_were_shuffled(run, short_exam):
    result = run("eval", "emoji", "--limit", 1, "--shuffle-routers", 3, "--json")
    assert result.code == 0
    marks = json.loads(result.stdout)
    assert marks["shuffled_routers"] == 3
    assert len(marks["drawings"]) == 2 * 2 * 4
    assert 0 <= marks["drawing.overall"] <= 1
