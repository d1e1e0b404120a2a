"""Texts in files of every format, where other tools look for them."""

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from janus.encoding import Texts, encode, texts_in
from janus.errors import PictureError, SaveError
from janus.formats import Format
from janus.metadata import read_parameters, read_settings, write_picture

PICTURE = Image.effect_noise((48, 32), 80).convert("RGB")
TEXTS = Texts('{"prompt": "a dog", "schema": 1}', "a dog, 两颗心 ❤️\nSteps: 1, Seed: 7")
EXIF_FORMATS = (Format.WEBP, Format.JPEG)
PARAMETERS = "a dog\nNegative prompt: cats\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("format", Format)
def test_texts_come_back(format: Format):
    image = opened(encode(PICTURE, format, TEXTS))
    assert image.format == format.upper()
    assert texts_in(image) == TEXTS
    assert texts_in(opened(encode(PICTURE, format))) == Texts()


@pytest.mark.parametrize("format", Format)
def test_texts_cost_no_pixels(format: Format):
    assert (
        opened(encode(PICTURE, format, TEXTS)).tobytes()
        == opened(encode(PICTURE, format)).tobytes()
    )


def test_webp_loses_nothing_and_jpeg_little():
    assert opened(encode(PICTURE, Format.WEBP)).convert("RGB").tobytes() == PICTURE.tobytes()
    stripes = Image.new("RGB", (32, 32), "blue")
    for x in range(0, 32, 2):
        stripes.paste("red", (x, 0, x + 1, 32))
    saved = opened(encode(stripes, Format.JPEG)).tobytes()
    assert max(abs(a - b) for a, b in zip(saved, stripes.tobytes(), strict=True)) < 16


@pytest.mark.parametrize("format", EXIF_FORMATS)
def test_the_comment_is_as_exif_wants_it(format: Format):
    """Of the type `undefined`: A1111's reader takes nothing else."""
    exif = opened(encode(PICTURE, format, TEXTS)).info["exif"].removeprefix(b"Exif\0\0")
    (place,) = struct.unpack(">I", exif[4:8])
    (number,) = struct.unpack(">H", exif[place : place + 2])
    entries = struct.iter_unpack(">HHII", exif[place + 2 : place + 2 + 12 * number])
    tags = {tag: (kind, value) for tag, kind, _, value in entries}
    kind, inner = tags[IFD.Exif]
    assert (exif[:4], kind) == (b"MM\0*", 4)
    tag, kind, length, start = struct.unpack(">HHII", exif[inner + 2 : inner + 14])
    assert (tag, kind) == (Base.UserComment, 7)
    comment = exif[start : start + length]
    assert comment == b"UNICODE\0" + TEXTS.parameters.encode("utf-16-be")


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + PARAMETERS.encode("utf-16-be"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16-le"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16"),  # with a byte order mark
        b"ASCII\0\0\0" + PARAMETERS.encode(),
        bytes(8) + PARAMETERS.encode(),
        PARAMETERS.encode() + b"\0",
        PARAMETERS,
    ],
)
@pytest.mark.parametrize("place", ["inner", "outer"])
@pytest.mark.parametrize("format", EXIF_FORMATS)
def test_what_other_tools_wrote(format: Format, comment: Any, place: str, tmp_path: Path):
    exif = Image.Exif()
    exif[Base.ImageDescription] = "my holidays"
    (exif if place == "outer" else exif.get_ifd(IFD.Exif))[Base.UserComment] = comment
    PICTURE.save(tmp_path / "picture", format.upper(), exif=exif)
    settings = {"prompt": "a dog", "negative_prompt": "cats", "seed": 5, "guidance": 7.0}
    assert read_parameters(tmp_path / "picture") == settings
    assert read_settings(tmp_path / "picture") is None


def test_a_broken_exif_block_says_nothing(tmp_path: Path):
    PICTURE.save(tmp_path / "picture.jpg", exif=b"Exif\0\0no such thing")
    assert read_settings(tmp_path / "picture.jpg") is None
    assert read_parameters(tmp_path / "picture.jpg") is None
    with pytest.raises(PictureError):
        read_parameters(tmp_path / "none.jpg")


@pytest.mark.parametrize("format", EXIF_FORMATS)
def test_a_cut_file_never_raises(format: Format):
    stream = io.BytesIO()
    write_picture(PICTURE, stream, {"prompt": "a dog", "seed": 1}, format=format)
    for length in range(0, len(stream.getvalue()), 7):
        cut = io.BytesIO(stream.getvalue()[:length])
        assert read_settings(cut) in (None, {"prompt": "a dog", "seed": 1})


def test_settings_of_any_length_fit_but_into_a_jpeg():
    settings = {"prompt": "二" * 20_000, "seed": 1}
    for format in (Format.PNG, Format.WEBP):
        stream = io.BytesIO()
        write_picture(PICTURE, stream, settings, format=format)
        assert read_settings(stream) == settings
    with pytest.raises(SaveError, match="too long for a JPEG"):
        write_picture(PICTURE, io.BytesIO(), settings, format=Format.JPEG)


@pytest.mark.parametrize("format", EXIF_FORMATS)
def test_settings_outlive_a_program_that_keeps_exif(format: Format, tmp_path: Path):
    settings = {"prompt": "two red hearts ❤️", "seed": 7}
    first, second = tmp_path / "first", tmp_path / "second"
    write_picture(PICTURE, first, settings, format=format)
    with Image.open(first) as image:
        image.resize((24, 16)).save(second, "JPEG", exif=image.getexif())
    assert read_settings(second) == settings
