"""What axe-core finds on the page, and what people find who use no mouse or want no motion."""

from pathlib import Path

import pytest

from tests.webui.conftest import Open

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
pytest.importorskip("axe_playwright_python", reason="needs the package axe-playwright-python")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

TABS = ("Draw", "Ask", "Library", "Models", "About")
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def axe() -> Axe:
    return Axe()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_on_any_tab(
    open_page: Open, axe: Axe, picture: Path, scheme: str, width: int
):
    page = open_page(width=width)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    expect(page.locator(".chip.ready")).to_be_visible()
    found = {f"{tab}, idle": found_on(page, axe, tab) for tab in TABS}
    draw_and_ask(page, picture)
    found |= {f"{tab}, used": found_on(page, axe, tab) for tab in TABS}
    import json

    Path(f"/tmp/wt/axe-{scheme}-{width}.json").write_text(json.dumps(found, indent=1))
    assert not any(found.values())


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


def found_on(page: Page, axe: Axe, tab: str) -> list[str]:
    page.get_by_role("tab", name=tab).click()
    for closed in page.locator("button.label-wrap:not(.open):visible").element_handles():
        closed.click()
    page.wait_for_timeout(500)
    violations = axe.run(page).response["violations"]
    return [
        f"{violation['impact']} {violation['id']}: {node['target']} {node['html'][:300]} {node['failureSummary'][:250]}"
        for violation in violations
        for node in violation["nodes"]
    ]
