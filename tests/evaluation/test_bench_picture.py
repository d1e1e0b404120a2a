"""The picture of what was measured."""

import pytest
from PIL import ImageChops

from janus.evaluation.bench_picture import draw_bench

SUBJECT = {"model": "a", "number_type": "int4", "threads": 2}
FIGURES = {
    "ours.ms_per_image_token": 50.0,
    "ours.seconds_per_picture": 30.0,
    "ours.first_word_ms": 3000.0,
    "ours.see_ms": 1400.0,
    "ours.decode_ms": 1900.0,
    "bandwidth.measured": 26.0,
    "bandwidth.share": 0.6,
    "transformers.ms_per_image_token": 165.0,
    "transformers.see_ms": 2000.0,
    "transformers.decode_ms": 2400.0,
    "pictures.1.ms_per_step": 50.0,
    "pictures.1.per_second": 0.03,
    "pictures.8.ms_per_step": 140.0,
    "pictures.8.per_second": 0.08,
    "window.8.ms_per_pass": 96.0,
    "window.8.cost": 1.8,
    "guessing.ids_per_pass": 4.5,
    "guessing.seconds_per_picture": 0.13,
    "guessing.seconds_without": 0.38,
    "guessing.ratio": 2.9,
    "peak_memory_bytes": 2.4e9,
}


def test_every_figure_is_seen():
    shown = draw_bench(SUBJECT | FIGURES)
    for name in FIGURES.keys() - {"guessing.ratio"}:  # two bars show it
        other = draw_bench(SUBJECT | FIGURES | {name: FIGURES[name] * 1.5})
        assert ImageChops.difference(shown, other).getbbox(), name


@pytest.mark.parametrize("part", ["transformers", "pictures.8", "window", "guessing", "peak"])
def test_what_was_not_measured_is_left_out(part: str):
    some = {name: value for name, value in FIGURES.items() if not name.startswith(part)}
    shown, whole = draw_bench(SUBJECT | some), draw_bench(SUBJECT | FIGURES)
    assert shown.size != whole.size or ImageChops.difference(shown, whole).getbbox()
