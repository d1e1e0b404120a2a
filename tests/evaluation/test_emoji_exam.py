"""The exam marks what it should: a random model fails, the judge on true pictures does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from janus import Janus
from janus.evaluation.emoji import Exam, take_exam
from janus.evaluation.emoji_drawing import (
    CATEGORIES,
    PICTURES_A_PROMPT,
    Drawing,
    category_scenes,
    is_of_category,
)
from janus.evaluation.emoji_sheet import draw_sheet
from janus.training.emoji.sprites import Sprites


@pytest.fixture(scope="module")
def exam(tiny: Janus) -> Exam:
    return take_exam(tiny, limit=1)


def test_a_random_model_fails_while_the_judge_does_not(exam: Exam):
    for prefix in ("", "spanish."):
        assert exam.marks[f"{prefix}drawing.overall"] == 0
        assert exam.marks[f"{prefix}caption.overall"] == 0
        assert exam.marks[f"{prefix}question.overall"] < 0.5
    assert exam.marks["ceiling.render.overall"] >= 1 / 2  # 32 pixels are few even for true renders
    assert exam.marks["ceiling.tokenizer.overall"] == 0


def test_every_category_is_drawn_four_times_in_both_languages(exam: Exam):
    drawn = [(drawing.language, drawing.category) for drawing in exam.drawings]
    wanted = [(language, category) for language in ("en", "es") for category in CATEGORIES]
    assert sorted(drawn) == sorted(wanted * PICTURES_A_PROMPT)
    seeds = {drawing.seed for drawing in exam.drawings}
    assert len(seeds) == PICTURES_A_PROMPT


def test_it_can_be_taken_again(tiny: Janus, exam: Exam):
    again = take_exam(tiny, limit=1, languages=("en",))
    assert again.marks.items() <= exam.marks.items()
    assert [d.record() for d in again.drawings] == [
        d.record() for d in exam.drawings if d.language == "en"
    ]


def test_categories_ask_for_what_they_say(sprites: Sprites):
    for category in CATEGORIES:
        scenes = list(category_scenes(category, sprites, 30))
        assert len(scenes) == 30
        assert all(scene.is_held_out(sprites) for scene in scenes)
        if category in ("single_object", "colours"):
            assert all(is_of_category(scene, category, sprites) for scene in scenes)
    shapes = [sprites[s.sprites[0]].shape for s in category_scenes("colours", sprites, 30)]
    assert all(shapes) and len(set(shapes)) > 1


def test_confusions_count_single_objects(exam: Exam):
    drawing = replace(exam.drawings[0], wanted=("dog",), found=("cat",))
    others = [replace(drawing, found=found) for found in (("cat",), ("dog",), ("cat", "cat"), ())]
    assert Exam({}, (drawing, *others)).confusions == [("dog", "cat", 2)]


def test_the_sheet_shows_right_and_wrong(exam: Exam, tmp_path: Path):
    drawings: list[Drawing] = exam.sample(16)
    assert len(drawings) == 16
    path = tmp_path / "sheet.png"
    draw_sheet([replace(drawings[0], is_right=True), *drawings[1:]]).save(path)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1] > 8 * 128
    is_red = (sheet[..., 0] > 180) & (sheet[..., 1] < 60) & (sheet[..., 2] < 60)
    assert not is_red[:120, :140].any()
    assert is_red[:120, 140:].any()
