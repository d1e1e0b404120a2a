"""What the page says about itself, in a real browser."""

import pytest

import janus
from tests.webui.conftest import Open

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect


def test_a_key_shows_the_keys_unless_somebody_types(page: Page):
    prompt = page.get_by_label("What to draw")
    prompt.press("?")
    expect(prompt).to_have_value("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Show these keys")


def test_it_tells_what_the_model_is(page: Page):
    page.get_by_role("tab", name="About").click()
    about = page.locator("#about-text")
    expect(about).to_contain_text("Show these keys")
    expect(about).to_contain_text("128 × 128 pixels, and nothing else")
    expect(about).to_contain_text(f"janus {janus.__version__}")
    licence = about.get_by_role("link", name="MIT")
    expect(licence).to_have_attribute("href", "https://opensource.org/license/mit")


def test_only_the_owner_is_told_about_the_machine(open_page: Open, studio: str, own_studio: str):
    for address, num_reports in ((studio, 0), (own_studio, 1)):
        page = open_page(address=address)
        page.get_by_role("tab", name="About").click()
        expect(page.locator("#about-text")).to_be_visible()
        expect(page.locator("#doctor")).to_have_count(num_reports)
    expect(page.locator("#doctor")).to_contain_text("kernels")
