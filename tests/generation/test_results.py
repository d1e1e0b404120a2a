from pathlib import Path

import pytest
from PIL import Image

from janus.errors import SaveError, UsageError
from janus.generation.results import DrawStep, Picture
from janus.metadata import read_settings


@pytest.fixture
def picture():
    settings = {"model": "janus-emoji", "prompt": "two red hearts", "guidance": 5.0}
    return Picture(image=Image.new("RGB", (4, 4), "red"), ids=(1, 2), seed=7, settings=settings)


@pytest.mark.parametrize("name", ["heart.png", "heart.PNG", "heart"])
def test_saved_picture_carries_its_settings(picture, tmp_path, name):
    path = picture.save(tmp_path / name)
    assert path == tmp_path / name
    assert read_settings(path) == {**picture.settings, "seed": 7}
    with Image.open(path) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("name", "format"), [("heart.webp", "WEBP"), ("heart.jpg", "JPEG"), ("heart.JPEG", "JPEG")]
)
def test_the_name_chooses_the_format(picture, tmp_path, name, format):
    path = picture.save(tmp_path / name)
    assert read_settings(path) == {**picture.settings, "seed": 7}
    with Image.open(path) as image:
        assert image.format == format


def test_quality_is_for_formats_that_lose_something(tmp_path):
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    picture = Picture(image=noise, ids=(1,), seed=7, settings={"prompt": "noise"})
    for suffix in ("webp", "jpg"):
        sizes = [
            picture.save(tmp_path / f"{quality}.{suffix}", quality=quality).stat().st_size
            for quality in (0, 50, 100)
        ]
        assert sizes == sorted(set(sizes))
    with pytest.raises(UsageError, match="never loses"):
        picture.save(tmp_path / "noise.png", quality=50)
    with pytest.raises(UsageError, match="0 to 100"):
        picture.save(tmp_path / "noise.jpg", quality=101)


def test_a_folder_gets_a_telling_name(picture, tmp_path):
    path = picture.save(str(tmp_path))
    assert path.parent == tmp_path
    assert path.name == "janus-emoji_7_two-red-hearts.png"
    assert path.is_file()


def test_other_formats_and_missing_folders_are_refused(picture, tmp_path):
    with pytest.raises(UsageError, match="only PNG, WebP and JPEG"):
        picture.save(tmp_path / "heart.gif")
    with pytest.raises(SaveError):
        picture.save(tmp_path / "nowhere" / "heart.png")
    assert not list(Path(tmp_path).iterdir())


def test_preview_is_made_only_when_asked_for(picture):
    made = []

    def make() -> Image.Image:
        made.append(1)
        return picture.image

    def make_all() -> list[Image.Image]:
        return [make()]

    so_far = dict(total=12, passes=2, ids=((5, 6, 7),), make_previews=make_all, make_mosaic=make)
    step = DrawStep(index=3, **so_far)
    assert (step.fraction, step.finished, made) == (0.25, False, [])
    assert step.preview() is picture.image
    assert made == [1]
    assert step.mosaic() is picture.image
    assert made == [1, 1]
    assert DrawStep(index=12, pictures=(picture,), **so_far).finished
