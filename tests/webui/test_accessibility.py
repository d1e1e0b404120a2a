"""What axe-core finds on the page, and what people meet who use no mouse or want no motion."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.conftest import Open

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
pytest.importorskip("axe_playwright_python", reason="needs the package axe-playwright-python")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

TABS = ("Draw", "Ask", "Library", "Models", "About")
MOVING = """() => document.getAnimations().filter((a) => a.playState == "running").length +
    [...document.querySelectorAll("*")].filter((element) => {
        const {animationName, transitionDuration} = getComputedStyle(element);
        return animationName != "none" || !/^0s(, 0s)*$/.test(transitionDuration);
    }).length"""


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(open_page: Open, picture: Path, scheme: Any, width: int):
    page = open_page(width=width)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.reload()
    expect(page.locator(".chip.ready")).to_be_visible()
    found = {f"{tab}, untouched": [*violations_on(page, tab)] for tab in TABS}
    draw_and_ask(page, picture)
    found |= {f"{tab}, used": [*violations_on(page, tab)] for tab in TABS}
    page.locator("#about-text").press("?")
    found["keys"] = [*violations(page)]
    assert not {place: grave for place, grave in found.items() if grave}


def test_pictures_are_named_by_their_prompts(page: Page, picture: Path):
    draw_and_ask(page, picture)
    expect(page.get_by_role("log").get_by_role("button", name="teal.png")).to_be_visible()
    page.get_by_role("tab", name="Draw").click()
    expect(page.locator("#gallery").get_by_role("button", name="a dog")).to_have_count(2)
    expect(page.locator("#stage").get_by_role("button", name="a dog")).to_be_visible()
    page.locator("#gallery").get_by_role("button", name="a dog").first.click()
    expect(page.locator("#gallery .media-button")).to_have_accessible_name(re.compile("a dog"))
    page.get_by_role("tab", name="Library").click()
    expect(page.locator("#library").get_by_role("button", name="a dog")).to_have_count(2)


def test_nothing_moves_where_no_motion_is_wanted(page: Page, picture: Path):
    assert page.evaluate(MOVING)  # or what follows would show nothing
    page.emulate_media(reduced_motion="reduce")
    assert not page.evaluate(MOVING)
    page.locator("#draw").click()  # without a prompt, which a toast explains
    expect(page.get_by_test_id("toast-body")).to_be_visible()
    assert not page.evaluate(MOVING)
    page.get_by_label("What to draw").fill("a dog")
    page.locator("#draw").click()
    expect(page.locator("#progress progress")).to_be_visible()
    assert not page.evaluate(MOVING)
    expect(page.locator("#gallery img")).to_be_visible()
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        assert not page.evaluate(MOVING)


def draw_and_ask(page: Page, picture: Path) -> None:
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("2", exact=True).check()
    page.get_by_label("What to draw").fill("a dog")
    page.locator("#draw").click()
    expect(page.locator("#gallery .caption-label")).to_have_count(2)
    page.get_by_role("tab", name="Ask").click()
    page.locator("#pictures input[type=file]").set_input_files(picture)
    expect(page.locator("#pictures img")).to_have_count(1)
    page.get_by_label("Question").fill("What is it?")
    page.locator("#ask").click()
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.locator("#ask")).to_be_visible(timeout=60_000)


def violations_on(page: Page, tab: str) -> Iterator[str]:
    page.get_by_role("tab", name=tab).click()
    for closed in page.locator("button.label-wrap:not(.open):visible").element_handles():
        closed.click()
    return violations(page)


def violations(page: Page) -> Iterator[str]:
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            for node in violation["nodes"]:
                yield f"{violation['id']}: {node['target']} {node['html']}"
