"""Two people at once, each in a browser of their own: neither is in the other's way."""

import re

import pytest

from janus.pipeline import Janus
from tests.pace import unhurried
from tests.webui.conftest import Open
from tests.webui.test_browser import draw, finish, is_busy, num_requests, wait_until

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect


def test_both_see_their_own_previews_and_the_stop_of_one_is_not_the_others(
    open_page: Open, model: Janus
):
    first, second = open_page(), open_page()
    with unhurried(model):
        draw(first, "a cat", seed="1")
        draw(second, "a dog", seed="2")
        wait_until(lambda: num_requests(model) == 2)
        previews = [preview(page) for page in (first, second)]
        assert previews[0] != previews[1]
        first.locator("#stop-drawing:enabled").click()
        expect(first.locator("#progress")).to_contain_text("Stopped")
    finish(second)
    captions = second.locator("#gallery .caption-label")
    expect(captions).to_have_text(["seed 2 · a dog"])
    expect(first.locator("#gallery .caption-label")).to_have_count(0)
    library(first)
    expect(first.locator("#library-note")).to_contain_text("Draw your first picture!")
    library(second)
    expect(second.locator("#library .caption-label")).to_have_text("a dog · seed 2")


def test_a_reload_in_mid_picture_loses_nothing_that_was_finished(open_page: Open, model: Janus):
    page, other = open_page(), open_page()
    draw(page, "a fox", seed="3")
    finish(page)
    with unhurried(model):
        draw(page, "a cat", seed="4")
        expect(page.locator("#progress")).to_contain_text(re.compile(r"Row [2-7]"))
        draw(other, "a bus", seed="5")
        page.reload()
        expect(page.locator(".chip.ready")).to_be_visible()
    library(page)
    expect(page.locator("#library .caption-label")).to_have_text("a fox · seed 3")
    page.get_by_role("tab", name="Draw").click()
    draw(page, "a cat", seed="4")
    for drawing in (page, other):
        finish(drawing)
    expect(other.locator("#gallery .caption-label")).to_have_text(["seed 5 · a bus"])
    expect(page.locator("#gallery .caption-label")).to_have_text(["seed 4 · a cat"])
    wait_until(lambda: not is_busy(model))


def preview(page: Page) -> bytes:
    """The pixels of what has been drawn so far."""
    expect(page.locator("#stage img")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Row [2-8]"))
    return page.locator("#stage img").screenshot()


def library(page: Page) -> None:
    page.get_by_role("tab", name="Library").click()
