"""What is written into a picture can be read from it, by us and by others."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from janus.errors import PictureError, SaveError
from janus.metadata import file_name, read_settings, write_picture

SETTINGS = {
    "prompt": 'two red hearts,\n两颗心 ❤️: "close"',
    "seed": 7,
    "guidance": 5.0,
    "temperature": 1.0,
    "top_k": None,
    "model": "janus-emoji",
    "size": 384,
    "steps": 576,
}


def picture() -> Image.Image:
    return Image.new("RGB", (32, 16), "red")


def test_settings_come_back_from_files_and_streams(tmp_path: Path) -> None:
    path, stream = tmp_path / "picture.png", io.BytesIO()
    write_picture(picture(), path, SETTINGS)
    write_picture(picture(), stream, SETTINGS)
    assert path.read_bytes() == stream.getvalue()
    assert read_settings(path) == read_settings(str(path)) == read_settings(stream) == SETTINGS
    with Image.open(path) as image:
        assert image.convert("RGB").tobytes() == picture().tobytes()


def test_the_chunk_says_which_schema_it_is() -> None:
    stream = io.BytesIO()
    write_picture(picture(), stream, {"prompt": "x", "schema": "mine"})
    assert json.loads(Image.open(stream).info["janus"]) == {"prompt": "x", "schema": 1}


def test_other_tools_find_the_prompt_and_the_parameters() -> None:
    stream = io.BytesIO()
    write_picture(picture(), stream, SETTINGS | {"model": "a, b"})
    prompt, _, last_line = Image.open(stream).info["parameters"].rpartition("\n")
    assert prompt == SETTINGS["prompt"]
    # How AUTOMATIC1111's web UI takes that line apart.
    pairs = dict(re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last_line))
    assert pairs == {
        "Steps": "576",
        "Seed": "7",
        "CFG scale": "5.0",
        "Size": "32x16",
        "Model": '"a, b"',
        "Temperature": "1.0",
    }


def test_files_without_settings_have_none(tmp_path: Path) -> None:
    plain, text = tmp_path / "plain.png", tmp_path / "text.png"
    picture().save(plain)
    text.write_text("not a picture")
    picture().save(tmp_path / "picture.jpg")
    for path in (plain, text, tmp_path / "picture.jpg"):
        assert read_settings(path) is None


@pytest.mark.parametrize("chunk", ["{", "[1]", '"text"', '{"no": "schema"}'])
def test_a_chunk_that_is_not_ours_is_none(chunk: str) -> None:
    info, stream = PngInfo(), io.BytesIO()
    info.add_text("janus", chunk)
    picture().save(stream, "PNG", pnginfo=info)
    assert read_settings(stream) is None


def test_a_cut_file_never_raises() -> None:
    stream = io.BytesIO()
    write_picture(picture(), stream, SETTINGS)
    for length in range(0, len(stream.getvalue()), 7):
        assert read_settings(io.BytesIO(stream.getvalue()[:length])) in (None, SETTINGS)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PictureError):
        read_settings(tmp_path / "none.png")


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SaveError) as caught:
        write_picture(picture(), tmp_path / "none" / "picture.png", SETTINGS)
    assert "none" in caught.value.message and caught.value.hint
    with pytest.raises(SaveError):
        write_picture(picture(), tmp_path, SETTINGS)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write_picture(picture(), path, {"seed": 1})
    with pytest.raises(SaveError, match="Cannot write"), files_of_at_most(20):
        write_picture(picture(), path, {"seed": 2})
    assert read_settings(path) == {"seed": 1}
    assert os.listdir(tmp_path) == ["picture.png"]


def test_a_file_is_replaced_and_no_other_is_left(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    for seed in (1, 2):
        write_picture(picture(), path, {"seed": seed})
    assert read_settings(path) == {"seed": 2}
    assert os.listdir(tmp_path) == ["picture.png"]


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_what_is_not_a_file_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_picture(picture(), pipe, SETTINGS)
    assert pipe.is_fifo() and read_settings(io.BytesIO(os.read(reader, 4096))) == SETTINGS
    os.close(reader)


@pytest.mark.skipif(os.name != "posix", reason="POSIX links and permissions")
def test_links_and_permissions_are_respected(tmp_path: Path) -> None:
    real, link, plain = (tmp_path / name for name in ("real.png", "link.png", "plain"))
    link.symlink_to(real)
    write_picture(picture(), link, SETTINGS)
    assert link.is_symlink() and read_settings(real) == SETTINGS
    plain.touch()
    assert real.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    ("model", "seed", "prompt", "name"),
    [
        ("janus-emoji", 7, "Two red hearts!", "janus-emoji_7_two-red-hearts.png"),
        ("deepseek-ai/Janus-Pro-7B", 0, "Café / crème", "janus-pro-7b_0_cafe-creme.png"),
        ("C:\\models\\mine\\", 1, "..", "mine_1_5ec1f7e7.png"),
    ],
)
def test_file_names(model: str, seed: int, prompt: str, name: str) -> None:
    assert file_name(model, seed, prompt) == name


@pytest.mark.parametrize(
    "prompt", ["", "红心", "❤️🔥", "a" * 500, "word " * 99, "CON", "../../etc", "\0\n\ud800"]
)
@pytest.mark.parametrize("model", ["", "/", "con", "模型", "m" * 200])
def test_file_names_are_safe_everywhere(model: str, prompt: str) -> None:
    name = file_name(model, 2**64 - 1, prompt)
    assert re.fullmatch(r"[a-z0-9-]+_\d+_[a-z0-9-]+\.png", name) and len(name) <= 80


def test_prompts_without_letters_get_different_names() -> None:
    assert len({file_name("m", 1, prompt) for prompt in ("红心", "蓝心", "❤️", "")}) == 4


def test_torch_is_not_imported() -> None:
    code = "import sys, janus.metadata; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
