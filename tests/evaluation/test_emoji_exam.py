"""The exam marks what it should: a random model fails, the judge on true pictures does not."""

from pathlib import Path

from PIL import Image

from janus import Janus
from janus.evaluation.emoji import take_exam
from janus.evaluation.emoji_sheet import draw_sheet


def test_a_random_model_fails_while_the_judge_does_not(tiny: Janus, tmp_path: Path):
    exam = take_exam(tiny, num_scenes=4, num_drawings=3)
    assert exam.marks["see.caption_all"] == 0
    assert exam.marks["draw.single"] == 0
    assert exam.marks["limit.render.count"] >= 2 / 3  # 32 pixels are few even for true renders
    assert len(exam.drawings) == 9
    assert take_exam(tiny, num_scenes=4, num_drawings=3).marks == exam.marks
    draw_sheet(exam.drawings).save(tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").width > 8 * 128
