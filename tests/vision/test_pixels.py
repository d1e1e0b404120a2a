"""Any picture in, the original processor's tensor out; and back again. All files are made here."""

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from vision.errors import PictureError, VisionError
from vision.pixels import (
    fitted_size,
    load_picture,
    to_batch,
    to_pictures,
    to_square_tensor,
    to_tensor,
)

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def encoded(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels to show for it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT\x35\xaf\x06\x1e"


def pixel(picture: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    assert picture.mode == "RGB"
    color = picture.getpixel((x, y))
    assert isinstance(color, tuple)
    return color


# Sources


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    picture = noise(20, 30)
    path = tmp_path / "picture.png"
    picture.save(path)
    content, levels = path.read_bytes(), np.array(picture)
    sources = [str(path), path, content, io.BytesIO(content), picture, levels]
    sources += [torch.from_numpy(levels), torch.from_numpy(levels).permute(2, 0, 1)]
    for source in sources:
        assert np.array_equal(np.array(load_picture(source)), levels)


def test_streams_stay_open_and_need_not_be_rewound() -> None:
    stream = io.BytesIO(encoded(noise(8, 8), "PNG"))
    stream.seek(0, io.SEEK_END)
    assert load_picture(stream).size == load_picture(stream).size == (8, 8)


def test_files_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    noise(8, 8).save(path, save_all=True, append_images=[noise(8, 8, seed=1)])
    with warnings.catch_warnings(action="error", category=ResourceWarning):
        load_picture(path)


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


def test_pipes_can_be_read() -> None:
    assert load_picture(Pipe(encoded(noise(8, 9), "PNG"))).size == (8, 9)
    with pytest.raises(PictureError, match="empty"):
        load_picture(Pipe(b""))


def test_a_given_picture_is_not_changed() -> None:
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    load_picture(picture).putpixel((0, 0), BLUE)
    assert picture.mode == "RGBA" and picture.getpixel((0, 0)) == (255, 0, 0, 0)
    rgb = noise(4, 4)
    before = np.array(rgb)
    load_picture(rgb).paste(BLUE, (0, 0, 4, 4))
    assert np.array_equal(np.array(rgb), before)


# Formats


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(file_format: str) -> None:
    lying = Image.new("RGB", (32, 16), BLUE)
    lying.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left edge belongs on top
    upright = load_picture(encoded(lying, file_format, exif=exif))
    assert upright.size == (16, 32)
    assert pixel(upright, 8, 4)[0] > 200 and pixel(upright, 8, 28)[2] > 200


def test_a_broken_exif_block_does_not_cost_the_picture() -> None:
    assert load_picture(encoded(noise(8, 9), "PNG", exif=b"no such thing")).size == (8, 9)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert pixel(load_picture(clear.convert(mode))) == WHITE
    if mode != "PA":
        assert pixel(load_picture(half.convert(mode))) == (127, 127, 127)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_palettes_keep_their_colors_and_their_transparency(file_format: str) -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((3, 3), 1)
    opaque = load_picture(encoded(picture, file_format))
    assert pixel(opaque) == RED and pixel(opaque, 3, 3) == BLUE
    clear = load_picture(encoded(picture, file_format, transparency=0))
    assert pixel(clear) == WHITE and pixel(clear, 3, 3) == BLUE


def test_grey_and_black_and_white_pictures_become_rgb() -> None:
    assert pixel(load_picture(encoded(Image.new("L", (4, 4), 99), "PNG"))) == (99, 99, 99)
    assert pixel(load_picture(encoded(Image.new("1", (4, 4), 1), "PNG"))) == WHITE


def test_cmyk_jpegs_keep_their_colors() -> None:
    cyan = pixel(load_picture(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG")))
    assert np.allclose(cyan, (0, 255, 255), atol=8)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_not_clipped(file_format: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(ramp / 257)
    for source in (encoded(Image.fromarray(ramp), file_format), ramp):
        assert np.array_equal(np.array(load_picture(source))[:, :, 0], expected)


@pytest.mark.parametrize(("mode", "white"), [("I", 65535), ("F", 1.0), ("F", 255.0)])
def test_deep_greys_are_scaled_to_their_white(mode: str, white: float) -> None:
    picture = Image.new(mode, (4, 4), white)
    picture.putpixel((0, 0), type(white)(white / 2))
    loaded = load_picture(picture)
    assert pixel(loaded, 1, 1) == WHITE and abs(pixel(loaded)[0] - 127.5) <= 1


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_stands_for_all(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    assert np.allclose(pixel(load_picture(content)), RED, atol=2)


def test_float_and_bool_arrays_are_accepted() -> None:
    greys = np.linspace(0, 1, 12).reshape(3, 4)
    for dtype in (np.float16, np.float32, np.float64):
        assert np.array_equal(
            np.array(load_picture(greys.astype(dtype)))[:, :, 0], np.rint(greys * 255)
        )
    assert pixel(load_picture(np.ones((2, 2, 1), dtype=bool))) == WHITE
    overshot = torch.full((3, 8, 8), 1.0 + 1e-6, dtype=torch.float64)
    assert pixel(load_picture(overshot)) == WHITE


# Refusals


def refusal(source: object, **options: int) -> PictureError:
    with pytest.raises(PictureError) as caught:
        load_picture(source, **options)  # type: ignore[arg-type]
    error = caught.value
    assert error.hint and "\n" not in error.message
    return error


def test_missing_files_folders_and_addresses(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "none.png").message
    assert "folder" in refusal(tmp_path).message
    assert "Download" in refusal("https://example.com/cat.png").hint
    assert "address" in refusal("data:image/png;base64," + "A" * 100_000).message
    assert len(refusal("A" * 100_000).message) < 300
    assert "cannot be opened" in refusal("nul\0byte.png").message


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("this is not a picture")
    assert "not a picture" in refusal(path).message and "picture.png" in refusal(path).message
    path.write_bytes(b"")
    assert "empty" in refusal(path).message
    assert "empty" in refusal(b"").message
    with path.open() as text:
        assert "as text" in refusal(text).message
    assert "NoneType" in refusal(None).message


def test_programs_for_printers_are_not_run() -> None:
    assert "not a picture" in refusal(encoded(noise(8, 8), "EPS")).message


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated File")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_cut_files_are_refused_wherever_they_are_cut(file_format: str) -> None:
    content = encoded(noise(24, 24), file_format)
    for fraction in np.linspace(0.02, 0.95, 20):
        refusal(content[: int(len(content) * fraction)])


def test_corrupt_files_raise_nothing_but_picture_errors() -> None:
    random = np.random.default_rng(0)
    for file_format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        content = np.frombuffer(encoded(noise(16, 16), file_format), dtype=np.uint8)
        for _ in range(40):
            corrupt = content.copy()
            corrupt[random.integers(0, len(content), 3)] = random.integers(0, 256, 3)
            with contextlib.suppress(PictureError), warnings.catch_warnings(action="ignore"):
                load_picture(corrupt.tobytes())


@pytest.mark.parametrize(
    "size", [(8001, 8000), (10_000, 10_000), (20_000, 10_000), (60_000, 60_000)]
)
def test_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings(action="error"):
        assert "too many pixels" in refusal(png_header(*size)).message
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_the_limit_of_pixels_can_be_moved() -> None:
    assert "at most 99" in refusal(noise(10, 10), max_pixels=99).message
    assert load_picture(noise(10, 10), max_pixels=100).size == (10, 10)
    with warnings.catch_warnings(action="error"):
        raised = refusal(png_header(10_000, 10_000), max_pixels=100_000_000)
    assert "damaged" in raised.message


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 4, 2), np.uint8),
        np.zeros((2, 5, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((7,), np.uint8),
        np.zeros((5, 4), np.int64),
        np.full((5, 4), 200.0),
        np.full((5, 4), -1.0),
        np.full((5, 4), np.nan),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    assert str(array.shape) in refusal(array).message


def test_pictures_without_pixels() -> None:
    assert "no pixels" in refusal(Image.new("RGB", (0, 5))).message


# Tensors


def original_size(width: int, height: int, size: int) -> tuple[int, int]:
    """The formula of deepseek-ai/Janus `image_processing_vlm.py`."""
    longest = max(width, height)
    return (
        max(int(width / longest * size), 14),
        max(int(height / longest * size), 14),
    )


def test_sizes_are_those_of_the_original() -> None:
    rounding_differs = 0
    for width in range(1, 400, 3):
        for height in range(1, 400, 7):
            assert fitted_size(width, height, 384) == original_size(width, height, 384)
            exact = min(width, height) / max(width, height) * 384
            rounding_differs += max(round(exact), 14) != min(fitted_size(width, height, 384))
    assert rounding_differs > 1000


def test_pictures_smaller_than_the_least_side_still_fit() -> None:
    assert to_tensor(noise(5, 3), 8).shape == (3, 8, 8)


@pytest.mark.parametrize("size", [(100, 100), (500, 500), (200, 100), (300, 600)])
def test_tensors_are_those_of_the_transformers_processor(size: tuple[int, int]) -> None:
    picture = noise(*size)
    processor = JanusImageProcessorPil(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    expected = processor(picture, return_tensors="pt")["pixel_values"][0]
    assert (to_tensor(picture, 384) - expected).abs().max() <= 1.01 * 2 / 255


def test_padding_is_centred_and_grey() -> None:
    tensor = to_tensor(Image.new("RGB", (101, 50), WHITE), 384)
    height = int(50 / 101 * 384)
    top = (384 - height) // 2
    assert (tensor[:, top : top + height] == 1).all()
    grey = torch.tensor(127 / 255 * 2 - 1)
    torch.testing.assert_close(tensor[:, :top], grey.expand(3, top, 384))
    torch.testing.assert_close(tensor[:, top + height :].amax(), grey)


def test_a_batch_is_its_pictures() -> None:
    sources = [noise(30, 20), encoded(noise(20, 30, seed=1), "PNG")]
    batch = to_batch(sources, 32)
    assert batch.shape == (2, 3, 32, 32) and batch.dtype == torch.float32
    for row, source in zip(batch, sources, strict=True):
        assert torch.equal(row, to_tensor(load_picture(source), 32))


def test_square_tensors_keep_the_middle() -> None:
    wide = noise(30, 10).resize((300, 100))
    resized = wide.resize((192, 64), Image.Resampling.BICUBIC)
    expected = to_tensor(resized.crop((64, 0, 128, 64)), 64)
    assert (to_square_tensor(wide, 64) - expected).abs().max() <= 1.01 * 2 / 255
    turned = to_square_tensor(wide.transpose(Image.Transpose.TRANSPOSE), 64)
    # Pillow rounds after each direction, so the order of the two shows: one level more.
    assert (turned.transpose(1, 2) - expected).abs().max() <= 2.01 * 2 / 255
    picture = noise(64, 64)
    assert torch.equal(to_square_tensor(picture, 64), to_tensor(picture, 64))


# Back to pictures


def test_every_level_survives_the_way_there_and_back_within_one() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    (picture,) = to_pictures(to_tensor(Image.fromarray(levels), 16)[None])
    assert np.abs(np.array(picture).astype(int) - levels).max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_pictures_are_clipped_and_truncated_like_the_original(dtype: torch.dtype) -> None:
    pixels = torch.linspace(-1.5, 1.5, 2 * 3 * 8 * 16).reshape(2, 3, 8, 16).to(dtype)
    decoded = pixels.to(torch.float32).numpy().transpose(0, 2, 3, 1)
    expected = np.clip((decoded + 1) / 2 * 255, 0, 255).astype(np.uint8)
    pictures = to_pictures(pixels.requires_grad_())
    assert [picture.size for picture in pictures] == [(16, 8)] * 2
    assert np.array_equal(np.stack([np.array(picture) for picture in pictures]), expected)


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(VisionError, match=r"\[8, 8, 3\]"):
        to_pictures(torch.zeros(8, 8, 3))
