"""The page without a mouse, in a real browser."""

import pytest

from tests.webui.conftest import Open

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

MOST_STOPS = 60  # until the focus has been everywhere


def test_a_drawing_from_the_prompt_to_its_settings(page: Page):
    expect(page.get_by_label("What to draw")).to_be_focused()
    page.keyboard.type("a dog")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and a cat")
    expect(page.get_by_label("What to draw")).to_have_value("a dog\nand a cat")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#stop-drawing")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#progress")).to_contain_text("Stopped")
    tab_to(page, "#seed textarea, #seed input")
    page.keyboard.type("7")
    tab_to(page, "#draw")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery .caption-label")).to_have_count(1)
    tab_to(page, "#gallery .thumbnail-item")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery .preview")).to_be_visible()
    tab_to(page, "#use-seed")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Seed")).to_have_value("7")
    tab_to(page, "#ask-about")
    page.keyboard.press("Enter")
    expect(page.locator("#pictures img")).to_have_count(1)
    tab_to(page, "#question textarea")
    page.keyboard.type("What is it?")
    page.keyboard.press("Enter")
    expect(page.locator("#stop-answer")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_visible()


def test_arrows_go_from_choice_to_choice(page: Page):
    for name, chosen in (("count", ["2", "4", "2"]), ("style", ["white", "gray", "white"])):
        tab_to(page, f"#{name} input:checked")
        for key, value in zip(["ArrowRight", "ArrowRight", "ArrowLeft"], chosen, strict=True):
            page.keyboard.press(key)
            expect(page.locator(f"#{name} input:checked")).to_have_value(value)
            expect(page.locator(f"#{name} .selected input")).to_have_value(value)
            expect(page.locator(f"#{name} input:checked")).to_be_focused()


def test_tabs_are_reached_by_numbers_and_arrows(page: Page):
    tabs = page.get_by_role("tab")
    for number in (2, 5, 1):
        page.keyboard.press(f"Alt+{number}")
        expect(tabs.nth(number - 1)).to_have_attribute("aria-selected", "true")
        expect(tabs.nth(number - 1)).to_be_focused()
    page.keyboard.press("Alt+9")  # no such tab
    for key, number in (("ArrowLeft", 4), ("ArrowRight", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        expect(tabs.nth(number)).to_have_attribute("aria-selected", "true")
        expect(tabs.nth(number)).to_be_focused()
    for number in range(5):
        page.keyboard.press(f"Alt+{number + 1}")
        panel = page.get_by_role("tabpanel").and_(page.locator(":visible"))
        expect(panel).to_have_count(1)
        for control in panel.locator("button:visible:not([disabled], [tabindex='-1'])").all()[:4]:
            control.focus()
            expect(control).to_be_focused()


def test_the_keys_are_shown_and_the_focus_comes_back(page: Page):
    dialog = page.get_by_role("dialog", name="Keys")
    page.locator("#draw").focus()
    page.keyboard.press("?")
    expect(dialog).to_contain_text("Go to another tab")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Alt+2")  # nothing behind it is reached
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#draw")).to_be_focused()
    tab_to(page, "#keys-button")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#keys-button")).to_be_focused()


def test_closing_the_keys_stops_no_drawing(page: Page):
    page.get_by_label("What to draw").fill("a dog")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#stop-drawing")).to_be_enabled()
    page.locator("#count input").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#progress")).to_contain_text("Finished")


def test_the_keys_fit_a_narrow_screen_in_every_language(open_page: Open):
    for language in ("en", "es", "zh-CN"):
        page = open_page(width=360, language=language)
        page.keyboard.press("Alt+1")
        page.keyboard.press("?")
        box = page.get_by_role("dialog").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until the focus is there."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")
