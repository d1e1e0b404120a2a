"""Pictures that are pasted or dropped, in a real browser."""

import base64
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

COPY = """async (encoded) => {
    const picture = await (await fetch(`data:image/png;base64,${encoded}`)).blob();
    await navigator.clipboard.write([new ClipboardItem({"image/png": picture})]);
}"""
DROP = """(element, encoded) => {
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
    for (const name of ["dragenter", "dragover", "drop"]) {
        const options = {dataTransfer, bubbles: true, cancelable: true};
        element.dispatchEvent(new DragEvent(name, options));
    }
}"""


@pytest.fixture
def encoded(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()


def test_pictures_are_pasted_wherever_the_focus_is(page: Page, encoded: str):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("tab", name="Ask").click()
    page.evaluate(COPY, encoded)
    for number, place in enumerate(("#question textarea", "#ask"), 1):
        page.locator(place).focus()
        page.keyboard.press("Control+V")
        expect(page.locator("#pictures img")).to_have_count(number)
    page.evaluate("navigator.clipboard.writeText('What is it?')")
    page.get_by_label("Question").focus()
    page.keyboard.press("Control+V")
    expect(page.get_by_label("Question")).to_have_value("What is it?")
    expect(page.locator("#pictures img")).to_have_count(2)


def test_pictures_are_dropped_anywhere_on_the_tab(page: Page, encoded: str):
    page.get_by_role("tab", name="Ask").click()
    for number, place in enumerate(("#pictures .upload-container", "#chat", "#pictures img"), 1):
        page.locator(place).first.evaluate(DROP, encoded)
        expect(page.locator("#pictures img")).to_have_count(number)


def test_a_file_that_nothing_takes_does_not_replace_the_page(page: Page, encoded: str):
    page.get_by_label("What to draw").fill("a dog")
    page.locator("#stage").evaluate(DROP, encoded)
    expect(page.get_by_label("What to draw")).to_have_value("a dog")
    page.get_by_role("tab", name="Library").click()
    page.locator("#library-note").evaluate(DROP, encoded)
    expect(page.get_by_test_id("toast-body")).to_contain_text("'dropped.png' carries no settings.")
