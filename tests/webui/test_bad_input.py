"""Whatever people bring: a right result, or a toast in their language that costs them nothing."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from PIL import Image

from janus.errors import PictureError
from janus.metadata import read_settings
from tests.webui.conftest import Open
from tests.webui.test_languages import english_in
from webui.locale import TAGS
from webui.pictures import open_upload
from webui.words import words_in

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

PICTURE = Image.linear_gradient("L").resize((60, 40)).convert("RGB")
ORIENTATION = 0x0112  # of EXIF; 6: to be turned right by 90 degrees
LARGEST_UPLOAD = 20 * 2**20

REFUSED = {
    "text.png": b"Dear Sir or Madam,",
    "nothing.png": b"",
    "bomb.png": lambda: encoded(Image.new("1", (20_000, 10_000)), "PNG"),
    "cut.jpg": lambda: encoded(PICTURE, "JPEG")[:400],
    "letter.pdf": lambda: encoded(PICTURE, "PDF"),
}
READ = {
    "film.gif": lambda: encoded(
        PICTURE, "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")]
    ),
    "print.jpg": lambda: encoded(PICTURE.convert("CMYK"), "JPEG", quality=95),
    "phone.jpg": lambda: encoded(PICTURE.rotate(90, expand=True), "JPEG", exif=turned()),
    "scan.tif": lambda: encoded(PICTURE, "TIFF"),
}
REFUSED_SEEDS = ["-1", "1.5", "abc", "9" * 25, "9" * 5000, "1e3", "\N{SUPERSCRIPT TWO}", "0x10"]
PROMPTS = [
    "dos corazones \N{HEAVY BLACK HEART}\ufe0f\N{FIRE}",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED} \u202eabc\u202c",
    "a\tdog\nabove a\rcar \x07\x1b[31m",
    "<script>alert(1)</script> {seed} %s \\n \"quoted\" 'too'",
    "春天的花" * 10,
    "0",
]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


def written(name: str, content: bytes | Callable[[], bytes], folder: Path) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content())
    return path


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("name", READ)
def test_unusual_pictures_are_seen_as_people_see_them(name: str, tmp_path: Path):
    seen = open_upload(str(written(name, READ[name], tmp_path)))
    assert (seen.mode, seen.size) == ("RGB", (60, 40))
    pairs = zip(seen.tobytes(), PICTURE.tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) < 24


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_in_the_language_and_names_the_file(name: str, tag: str, tmp_path: Path):
    with pytest.raises(PictureError) as caught:
        open_upload(str(written(name, REFUSED[name], tmp_path)))
    message, hint = words_in(tag).error(caught.value)
    assert name in message and hint
    assert not english_in(f"{message}\n{hint}", tag)
    assert str(tmp_path) not in message


@pytest.mark.parametrize("tag", TAGS)
def test_files_that_are_refused_cost_nothing(open_page: Open, tag: str, tmp_path: Path):
    page = open_page(language=tag)
    # The browser itself would paint 200 million pixels of it.
    page.route("**/file=*bomb.png", lambda route: route.abort())
    page.get_by_role("tab").nth(1).click()
    files = [written(name, REFUSED[name], tmp_path) for name in REFUSED if name != "letter.pdf"]
    for number, file in enumerate(files, 1):
        page.locator("#question textarea").fill(f"{number}?")
        page.locator("#pictures input[type=file]").set_input_files(file)
        expect(page.locator("#pictures img")).to_have_count(1)
        page.locator("#ask").click()
        told = toast(page, file.name)
        assert not english_in(told, tag)
        expect(page.locator("#ask")).to_be_visible()
        expect(page.locator("#question textarea")).to_have_value(f"{number}?")
        page.reload()
        expect(page.locator(".chip.ready")).to_be_visible()
        page.get_by_role("tab").nth(1).click()


@pytest.mark.parametrize("tag", TAGS)
def test_a_file_that_is_too_large_is_refused_before_it_travels(
    open_page: Open, tag: str, tmp_path: Path
):
    page = open_page(language=tag)
    page.get_by_role("tab").nth(1).click()
    page.locator("#question textarea").fill("What is it?")
    noise = written("noise.bmp", b"BM" + bytes(LARGEST_UPLOAD), tmp_path)
    page.locator("#pictures input[type=file]").set_input_files(noise)
    told = toast(page, "noise.bmp")
    assert told == words_in(tag)("toast.large", names='"noise.bmp"', size="20.0")
    expect(page.locator("#question textarea")).to_have_value("What is it?")


# ---------------------------------------------------------------- words and numbers


@pytest.mark.parametrize("tag", TAGS)
def test_prompts_and_seeds_that_are_refused_are_kept(open_page: Open, tag: str):
    page = open_page(language=tag)
    long = "dog " * 100_000
    refused = [("", ""), (" \n ", ""), (long, ""), *(("a dog", seed) for seed in REFUSED_SEEDS)]
    for prompt, seed in refused:
        page.locator("#prompt textarea").fill(prompt)
        page.locator("#seed :is(input, textarea)").fill(seed)
        page.locator("#draw").click()
        assert not english_in(toast(page, ""), tag)
        expect(page.locator("#draw")).to_be_visible()
        expect(page.locator("#prompt textarea")).to_have_value(prompt)
        expect(page.locator("#seed :is(input, textarea)")).to_have_value(seed)
    assert not page.locator("#gallery img").count()


def test_a_seed_with_spaces_or_foreign_digits_is_a_number(page: Page):
    page.locator("#prompt textarea").fill("a dog")
    for typed, seed in ((" 7 ", "7"), ("\N{ARABIC-INDIC DIGIT THREE}", "3"), ("007", "7")):
        page.locator("#seed :is(input, textarea)").fill(typed)
        page.locator("#draw").click()
        expect(page.locator("#gallery .caption-label").first).to_have_text(f"seed {seed} · a dog")


@pytest.fixture(scope="module")
def client(studio: str) -> Iterator[Client]:
    client = Client(studio, verbose=False)
    yield client
    client.close()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_odd_prompts_are_drawn_and_come_back_as_they_were(client: Client, prompt: str):
    [file] = client.predict(prompt=prompt, seed=1, api_name="/draw")
    settings = read_settings(file)
    assert settings and settings["prompt"] == prompt
    with Image.open(file) as picture:
        assert picture.info["parameters"].startswith(prompt[:1])


def toast(page: Page, part: str) -> str:
    """What the newest one says; then it is closed."""
    body = page.get_by_test_id("toast-body")
    expect(body).to_have_count(1)
    expect(body.get_by_test_id("toast-text")).to_contain_text(part)
    said = body.get_by_test_id("toast-text").inner_text()
    page.get_by_test_id("toast-close").click()
    expect(body).to_have_count(0)
    return said
