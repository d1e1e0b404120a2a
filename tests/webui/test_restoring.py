"""Settings that come back out of a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

from janus.errors import PictureError, UsageError
from janus.formats import Format
from janus.generation.params import DrawParams
from janus.pipeline import Janus
from webui.restoring import OF_THE_PAGE, Restored


@pytest.mark.parametrize("format", Format)
def test_a_drawn_picture_is_drawn_again(format: Format, tiny: Janus, tmp_path: Path):
    first, second = tiny.draw("two red hearts", count=2, seed=7, guidance=2.5, temperature=0.5)
    restored = Restored.read(str(second.save(tmp_path / f"second.{format}")))
    assert (restored.prompt, restored.model, restored.unknown) == ("two red hearts", "tiny", ())
    params = restored.params
    settings = {"guidance": params.guidance, "temperature": params.temperature}
    [again] = tiny.draw(restored.prompt, seed=params.seed, **settings)
    assert again.ids == second.ids != first.ids


def test_what_another_tool_wrote_is_used_as_far_as_it_goes(tmp_path: Path):
    restored = Restored.read(
        foreign("Negative prompt: cats\nSteps: 20, CFG scale: 7, Seed: 5, Model: dream", tmp_path)
    )
    assert (restored.prompt, restored.model) == ("a dog", "dream")
    assert (restored.params.seed, restored.params.guidance) == (5, 7)
    assert (restored.missing, restored.had_negative_prompt) == (("temperature",), True)


def test_what_another_tool_wrote_may_be_out_of_range(tmp_path: Path):
    restored = Restored.read(foreign("Steps: 20, CFG scale: 99, Seed: -1", tmp_path))
    assert (restored.prompt, restored.params, restored.model) == ("a dog", DrawParams(), None)
    assert (restored.unknown, restored.missing) == ((), OF_THE_PAGE)


def test_settings_that_the_page_lacks_are_named(tiny: Janus, tmp_path: Path):
    [picture] = tiny.draw("a dog", seed=1, top_k=5)
    assert Restored.read(str(picture.save(tmp_path))).unknown == ("top_k",)


@pytest.mark.parametrize(
    "stored", [{}, {"prompt": "a dog"}, {"prompt": 3, "seed": 1, "model": "m"}, "a text"]
)
def test_what_is_no_drawn_picture_is_refused(stored: Any, tmp_path: Path):
    path = written(stored, tmp_path)
    with pytest.raises(PictureError, match=r"^'foreign\.png' carries no settings\."):
        Restored.read(path)


def test_a_picture_that_is_gone_is_refused(tiny: Janus, tmp_path: Path):
    with pytest.raises(PictureError, match="carries no settings"):
        Restored.read(str(tmp_path / "gone.png"))


def test_settings_out_of_range_are_refused(tiny: Janus, tmp_path: Path):
    [picture] = tiny.draw("a dog", seed=1)
    wild = replace(picture, settings={**picture.settings, "guidance": 1e9})
    with pytest.raises(UsageError, match="guidance is"):
        Restored.read(str(wild.save(tmp_path)))


def foreign(text: str, folder: Path) -> str:
    """A JPEG that AUTOMATIC1111's web UI might have drawn."""
    exif = Image.Exif()
    comment = f"a dog\n{text}".encode("utf-16-be")
    exif.get_ifd(IFD.Exif)[Base.UserComment] = b"UNICODE\0" + comment
    Image.new("RGB", (8, 8)).save(folder / "foreign.jpg", exif=exif)
    return str(folder / "foreign.jpg")


def written(stored: Any, folder: Path) -> str:
    chunks = PngInfo()
    chunks.add_itxt("janus", json.dumps({**stored, "schema": 1} if stored != "a text" else stored))
    Image.new("RGB", (8, 8)).save(folder / "foreign.png", pnginfo=chunks)
    return str(folder / "foreign.png")
