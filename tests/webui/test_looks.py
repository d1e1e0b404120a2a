"""What people would see at once: words that are cut, things that stick out or jump."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.webui.conftest import Open
from webui.locale import locales

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

LANGUAGES = [locale.tag for locale in locales()]
WIDTHS = [360, 768, 1280]
# Of what is pressed or chosen; other text may go on below, or be scrolled to.
CUT = """() => [...document.querySelectorAll("button, label, [role=tab]")].filter((element) =>
    element.checkVisibility() && element.innerText.trim() &&
    !element.closest(".grid-container, .thumbnails, #cards, .label-wrap") &&
    element.scrollWidth > element.clientWidth + 1 &&
    getComputedStyle(element).display != "inline").map((element) => element.innerText)"""
OUTSIDE = """() => [...document.querySelectorAll(".tabitem :is(button, input, p, img)")].filter(
    (element) => element.checkVisibility() && element.getBoundingClientRect().width &&
    !element.closest(".thumbnails") &&
    element.getBoundingClientRect().right > innerWidth + 1).map((element) => element.outerHTML)"""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_words_are_cut_and_nothing_sticks_out(
    open_page: Open, picture: Path, language: str, width: int
):
    page = open_page(width=width, language=language)
    cards = page.locator("#cards")  # six, in the place of one picture
    expect(cards.locator("img")).to_have_count(6)
    assert cards.evaluate("cards => cards.scrollHeight - cards.clientHeight") == 0
    draw(page)
    for tab in page.get_by_role("tab").all():
        tab.click()
        if page.locator("#pictures").is_visible():
            page.locator("#pictures input[type=file]").set_input_files(picture)
            expect(page.locator("#pictures img")).to_have_count(1)
        for closed in page.locator("button.label-wrap:not(.open):visible").element_handles():
            closed.click()
        assert page.evaluate(CUT) == []
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_jumps_while_a_picture_is_drawn(open_page: Open, width: int):
    page = open_page(width=width)
    page.get_by_label("What to draw").fill("a dog")
    button, stage, watch = (place(page, name) for name in ("#draw", "#stage", "#watch"))
    page.locator("#draw").click()
    expect(page.locator("#progress progress")).to_be_visible()
    assert place(page, "#stop-drawing")() == button()
    was = button(), stage(), watch()
    expect(page.locator("#gallery img")).to_be_visible()
    expect(page.locator("#draw")).to_be_visible()
    assert (button(), stage(), watch()) == was


def test_the_foot_of_a_narrow_page_has_no_stray_dots(open_page: Open):
    assert "·" not in open_page(width=360).locator("footer").inner_text()


def test_what_is_wrong_stands_beside_the_sign_for_it(page: Page):
    page.locator("#draw").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_be_visible()
    said = toast.get_by_test_id("toast-text")
    sign, close = toast.locator(".toast-icon"), toast.get_by_test_id("toast-close")
    left, middle, right = (part.bounding_box() for part in (sign, said, close))
    assert left and middle and right
    assert left["x"] + left["width"] <= middle["x"]
    assert middle["x"] + middle["width"] <= right["x"]
    assert right["y"] < middle["y"] + middle["height"]


def draw(page: Page) -> None:
    page.locator("#prompt textarea").fill("a dog to the left of a car on a blue background")
    page.locator("#draw").click()
    expect(page.locator("#gallery img")).to_be_visible()
    expect(page.locator("#actions")).to_be_visible()
    expect(page.locator("#draw")).to_be_visible()


def place(page: Page, selector: str) -> Callable[[], tuple[float, float]]:
    """Tells where it lies, each time it is called."""

    def tell() -> tuple[float, float]:
        box = page.locator(selector).bounding_box()
        assert box
        return box["y"], box["height"]

    return tell
