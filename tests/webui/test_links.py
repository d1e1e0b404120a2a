"""Links that open the studio with settings, and what a browser remembers, in a real browser."""

from urllib.parse import urlencode

import pytest

from tests.webui.conftest import Open
from tests.webui.test_library_tab import draw, go

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

PROMPT = 'a "dog" & <b>two</b> cats, 100 %\nañ 狗'


def test_a_copied_link_draws_the_picture_again(open_page: Open, studio: str):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="More").click()
    page.get_by_label("number input for Guidance").fill("3.5")
    draw(page, PROMPT, "9223372036854775807")
    page.locator("#copy-link").click()
    expect(page.locator("#copy-link")).to_have_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{studio}?prompt=")
    expect(page.locator("#copy-link")).to_have_text("Copy link")
    other = open_page(address=link)
    expect(other.get_by_label("What to draw")).to_have_value(PROMPT)
    expect(other.get_by_label("Seed")).to_have_value("9223372036854775807")
    other.get_by_role("button", name="More").click()
    expect(other.get_by_label("number input for Guidance")).to_have_value("3.5")
    expect(other.get_by_label("1", exact=True)).to_be_checked()


def test_the_link_is_that_of_the_open_picture(open_page: Open):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    draw(page, "a fox", "1")
    draw(page, "a cat", "2")
    page.locator("#gallery .grid-container button").nth(1).click()
    expect(page.locator("#gallery .preview")).to_contain_text("seed 1")
    page.wait_for_timeout(500)  # for nothing tells that the link is there
    page.locator("#copy-link").click()
    expect(page.locator("#copy-link")).to_have_text("Link copied")
    assert "prompt=a+fox&count=1&seed=1&" in page.evaluate("navigator.clipboard.readText()")
    go(page, "Library")
    page.locator("#library .grid-container button").nth(0).click()
    page.wait_for_timeout(500)
    page.locator("#library-copy-link").click()
    expect(page.locator("#library-copy-link")).to_have_text("Link copied")
    assert "prompt=a+cat&" in page.evaluate("navigator.clipboard.readText()")


def test_where_nothing_can_be_copied_the_link_is_shown(page: Page):
    draw(page, "a fox", "1")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    shown: list[str] = []
    page.on("dialog", lambda dialog: (shown.append(dialog.default_value), dialog.dismiss()))
    page.locator("#copy-link").click()
    expect(page.locator("#copy-link")).to_have_text("Copy link")
    assert "?prompt=a+fox&" in shown[0]


@pytest.mark.parametrize(
    "hostile",
    [
        {"prompt": "<img src=x onerror=alert(1)>", "seed": "-1", "count": "3", "guidance": "nan"},
        {"prompt": "a" * 5000, "seed": "9" * 5000, "count": "1e400", "temperature": "inf"},
        {"prompt": "\0\ud83d\ude00", "seed": "[1]", "count": "true", "guidance": "21"},
    ],
)
def test_a_hostile_link_fills_in_what_is_valid_only(open_page: Open, studio: str, hostile: dict):
    query = urlencode(hostile, errors="surrogatepass")
    page = open_page(address=f"{studio}?{query}")
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    expect(page.get_by_label("What to draw")).not_to_have_value("")
    expect(page.get_by_label("Seed")).to_have_value("")
    expect(page.get_by_label("1", exact=True)).to_be_checked()
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("2")
    expect(page.get_by_label("number input for Temperature")).to_have_value("1")
    draw(page, "a dog", "3")
    assert not said


def test_settings_are_remembered_and_prompts_are_not(page: Page, studio: str):
    page.get_by_label("What to draw").fill("a secret")
    page.get_by_label("Seed").fill("5")
    page.get_by_label("4", exact=True).check()
    page.get_by_role("button", name="More").click()
    page.get_by_label("number input for Guidance").fill("3.5")
    go(page, "Ask")
    page.get_by_role("button", name="Answers").click()
    page.get_by_label("number input for Length").fill("64")
    page.get_by_label("number input for Length").press("Tab")
    page.wait_for_timeout(1500)  # for nothing on the page tells that it is remembered
    page.reload()
    expect(page.get_by_label("4", exact=True)).to_be_checked()
    expect(page.get_by_label("What to draw")).to_have_value("")
    expect(page.get_by_label("Seed")).to_have_value("")
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("3.5")
    expect(page.get_by_label("number input for Temperature")).to_have_value("1")
    go(page, "Ask")
    page.get_by_role("button", name="Answers").click()
    expect(page.get_by_label("number input for Length")).to_have_value("64")
    page.goto(f"{studio}?guidance=4&count=2")
    expect(page.get_by_label("2", exact=True)).to_be_checked()
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("4")
