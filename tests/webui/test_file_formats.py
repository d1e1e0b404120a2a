"""Files of other formats than PNG, drawn and brought by visitors in a real browser."""

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from janus.metadata import read_settings
from tests.webui.conftest import Open
from webui.library import Library

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

from tests.webui.test_library_tab import draw, go


@pytest.fixture(params=["studio", "own_studio"])
def address(request: pytest.FixtureRequest, own_library: Path) -> Iterator[str]:
    """A studio with an empty library."""
    library = Library(own_library)
    _empty(library)
    yield request.getfixturevalue(request.param)
    _empty(library)


def test_the_chosen_format_is_drawn_remembered_and_restored(
    open_page: Open, address: str, tmp_path: Path
):
    page = open_page(address=address)
    choose(page, "JPEG")
    draw(page, "two red hearts", "31")
    for picture in ("#gallery img", "#stage img"):
        content = shown(page, picture)
        assert Image.open(io.BytesIO(content)).format == "JPEG"
        told = read_settings(io.BytesIO(content))
        assert told and (told["prompt"], told["seed"]) == ("two red hearts", 31)
    (tmp_path / "hearts.jpg").write_bytes(shown(page, "#gallery img"))

    page.reload()
    expect(page.locator(".chip.ready")).to_be_visible()
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("JPEG")).to_be_checked()
    page.get_by_label("WebP").check()
    draw(page, "a fox", "5")
    assert Image.open(io.BytesIO(shown(page, "#gallery img"))).format == "WEBP"

    go(page, "Library")
    found = page.locator("#library .grid-container .caption-label")
    expect(found).to_have_text(["a fox · seed 5", "two red hearts · seed 31"])
    page.locator("#dropped input[type=file]").set_input_files(tmp_path / "hearts.jpg")
    expect(page.get_by_label("What to draw")).to_have_value("two red hearts")
    expect(page.get_by_label("Seed")).to_have_value("31")


def test_a_picture_of_another_tool_brings_what_can_be_used(page: Page, tmp_path: Path):
    text = "a red fox\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif)[Base.UserComment] = b"UNICODE\0" + text.encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(tmp_path / "fox.webp", exif=exif)
    go(page, "Library")
    page.locator("#dropped input[type=file]").set_input_files(tmp_path / "fox.webp")
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("drawn by another program")
    expect(toast).to_contain_text("negative prompt, which Janus cannot use")
    expect(page.get_by_label("What to draw")).to_have_value("a red fox")
    expect(page.get_by_label("Seed")).to_have_value("5")
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("7")


def _empty(library: Library) -> None:
    for entry in library.entries():
        library.delete(entry.path)


def choose(page: Page, format: str) -> None:
    page.get_by_role("button", name="More").click()
    page.get_by_label(format).check()


def shown(page: Page, selector: str) -> bytes:
    """The file behind a picture of the page."""
    source = page.locator(selector).first.evaluate("image => image.src")
    with urlopen(source) as answer:
        return answer.read()
