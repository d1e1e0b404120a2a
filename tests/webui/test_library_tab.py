"""The library, and what can be done with a drawn picture, in a real browser."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from janus.pipeline import Janus
from tests.webui.conftest import Open, free_port
from webui.library import Library

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def hearts(model: Janus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that carries its settings."""
    [picture] = model.draw("two red hearts", seed=31, guidance=3.5, temperature=0.5)
    return picture.save(tmp_path_factory.mktemp("hearts") / "hearts.png")


@pytest.fixture
def own_pictures(own_library: Path, model: Janus) -> Iterator[Library]:
    """The owner's library, with two pictures."""
    library = Library(own_library)
    for prompt, seed in (("a dog", 1), ("a cat", 2)):
        library.add(model.draw(prompt, seed=seed))
    yield library
    for entry in library.entries():
        library.delete(entry.path)


def test_what_is_drawn_is_found_in_the_library_after_a_restart(
    open_page: Open, own_studio: str, own_library: Path
):
    page = open_page(address=own_studio)
    draw(page, "a fox", "12")
    library = Library(own_library)
    assert [entry.prompt for entry in library.entries()] == ["a fox"]
    page.reload()
    go(page, "Library")
    picture = page.locator("#library .grid-container img")
    expect(picture).to_have_attribute("alt", "a fox · seed 12")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    library.delete(library.entries()[0].path)
    go(page, "Draw")
    go(page, "Library")
    expect(page.locator("#library-note")).to_contain_text("Draw your first picture!")


def test_nobody_sees_the_pictures_of_another(open_page: Open):
    first, second = open_page(), open_page()
    draw(first, "a bus")
    for page in (first, second):
        go(page, "Library")
    expect(first.locator("#library img")).to_have_count(1)
    expect(second.locator("#library-note")).to_contain_text("Draw your first picture!")
    first.reload()
    go(first, "Library")
    expect(first.locator("#library img")).to_have_count(1)


def test_pictures_are_searched_and_starred(open_page: Open, own_studio: str, own_pictures: Library):
    page = open_page(address=own_studio)
    go(page, "Library")
    captions = page.locator("#library .grid-container .caption-label")
    expect(captions).to_have_text(["a cat · seed 2", "a dog · seed 1"])
    page.get_by_label("Search").fill("dog")
    expect(captions).to_have_text(["a dog · seed 1"])
    page.locator("#library .grid-container button").click()
    page.locator("#star").click()
    expect(page.locator("#star")).to_have_text("Remove star")
    page.get_by_label("Search").fill("")
    page.get_by_label("Starred only").check()
    expect(page.locator("#library-note")).to_contain_text("Pictures: 1")
    assert [entry.prompt for entry in own_pictures.entries(only_starred=True)] == ["a dog"]
    page.get_by_label("Search").fill("cat")
    expect(page.locator("#library-note")).to_contain_text("No picture is like that.")


def test_a_picture_is_deleted_only_by_those_who_are_sure(
    open_page: Open, own_studio: str, own_pictures: Library
):
    page = open_page(address=own_studio)
    go(page, "Library")
    page.locator("#library .grid-container button").first.click()
    page.locator("#delete").click()
    page.locator("#keep").click()
    assert len(own_pictures.entries()) == 2
    page.locator("#delete").click()
    page.locator("#sure").click()
    expect(page.locator("#library-note")).to_contain_text("Pictures: 1")
    expect(page.locator("#library-actions")).to_be_hidden()
    assert [entry.prompt for entry in own_pictures.entries()] == ["a dog"]


def test_what_is_shown_is_downloaded(
    open_page: Open, own_studio: str, own_pictures: Library, tmp_path: Path
):
    page = open_page(address=own_studio)
    go(page, "Library")
    page.get_by_label("Search").fill("dog")
    expect(page.locator("#library-note")).to_contain_text("Pictures: 1")
    with page.expect_download() as download:
        page.locator("#pack").click()
    download.value.save_as(tmp_path / "janus.zip")
    with zipfile.ZipFile(tmp_path / "janus.zip") as archive:
        [entry] = own_pictures.entries("dog")
        assert archive.namelist() == [entry.path.name]
        assert archive.read(entry.path.name) == entry.path.read_bytes()


def test_a_dropped_picture_brings_its_settings(page: Page, hearts: Path):
    page.get_by_label("4", exact=True).check()
    go(page, "Library")
    page.locator("#dropped input[type=file]").set_input_files(hearts)
    expect(page.get_by_test_id("toast-body")).to_contain_text("settings for the next drawing")
    expect(page.get_by_label("What to draw")).to_have_value("two red hearts")
    expect(page.get_by_label("Seed")).to_have_value("31")
    expect(page.get_by_label("1", exact=True)).to_be_checked()
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("3.5")
    expect(page.get_by_label("number input for Temperature")).to_have_value("0.5")


def test_a_file_without_settings_is_explained(page: Page, tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "holiday.png")
    page.get_by_label("What to draw").fill("a dog")
    go(page, "Library")
    page.locator("#dropped input[type=file]").set_input_files(tmp_path / "holiday.png")
    expect(page.get_by_test_id("toast-body")).to_contain_text("'holiday.png' carries no settings.")
    go(page, "Draw")
    expect(page.get_by_label("What to draw")).to_have_value("a dog")


def test_the_settings_of_a_picture_are_used_again(page: Page):
    draw(page, "a fox", "5")
    expect(page.locator("#actions")).to_be_visible()
    draw(page, "a cat", "6")
    page.locator("#gallery .grid-container button").nth(1).click()
    page.locator("#use-seed").click()
    expect(page.get_by_label("Seed")).to_have_value("5")
    expect(page.get_by_label("What to draw")).to_have_value("a cat")
    page.locator("#use-all").click()
    expect(page.get_by_label("What to draw")).to_have_value("a fox")


@pytest.mark.parametrize("address", ["studio", "own_studio"])
def test_a_drawn_picture_can_be_asked_about(
    open_page: Open, address: str, request: pytest.FixtureRequest
):
    page = open_page(address=request.getfixturevalue(address))
    draw(page, "a fox", "5")
    page.locator("#ask-about").click()
    expect(page.locator("#pictures img")).to_have_count(1)
    page.get_by_label("Question").fill("What is it?")
    page.locator("#ask").click()
    expect(page.locator("#chat [data-testid=bot]")).to_be_visible()
    page.locator("#stop-answer:enabled").click()


def test_pictures_are_ranked_by_how_well_they_match(page: Page, model: Janus):
    draw(page, "a dog", "9")
    page.locator("#match").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("only one picture of this prompt")
    page.get_by_label("2", exact=True).check()
    draw(page, "a fox", "5")
    page.locator("#match").click()
    expect(page.locator("#progress")).to_contain_text("Sorted by how well")
    pictures = model.draw("a fox", count=2, seed=5)
    scores = model.match([picture.image for picture in pictures], "a fox")
    best, worst = (5, 6) if scores[0] > scores[1] else (6, 5)
    captions = [
        f"No. 1 · seed {best} · a fox",
        f"No. 2 · seed {worst} · a fox",
        "seed 9 · a dog",
    ]
    expect(page.locator("#gallery .caption-label")).to_have_text(captions)
    expect(page.locator("#draw")).to_be_enabled()


def test_where_nothing_can_be_kept_the_drawing_still_ends_well(
    open_page: Open, model: Janus, studio: str, tmp_path: Path
):
    from webui.app import build, serve

    (tmp_path / "file").write_text("in the way")
    blocks = build(model, library=tmp_path / "file" / "library")
    page = open_page(address=serve(blocks, host="127.0.0.1", port=free_port()))
    page.get_by_label("2", exact=True).check()
    draw(page, "a fox", "5", kept=False)
    expect(page.get_by_test_id("toast-body")).to_contain_text("Cannot write to")
    expect(page.get_by_test_id("toast-body")).to_contain_text("Free some space there")
    expect(page.locator("#stage img")).to_be_visible()
    expect(page.locator("#draw")).to_be_visible()
    blocks.close(verbose=False)


def draw(page: Page, prompt: str, seed: str = "", *, kept: bool = True) -> None:
    page.get_by_label("Seed").fill(seed)
    page.get_by_label("What to draw").fill(prompt)
    page.locator("#draw").click()
    expect(page.locator("#progress")).to_contain_text("Finished")
    expect(page.locator("#draw")).to_be_visible()
    if kept:
        newest = page.locator("#gallery .caption-label").first
        expect(newest).to_have_text(re.compile(f"seed {seed}"))


def go(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab).click()
