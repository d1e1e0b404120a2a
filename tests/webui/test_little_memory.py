"""A drawing on a machine whose memory does not hold all of its pictures at once."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from janus.pipeline import Janus
from tests.webui.conftest import Open
from tests.webui.test_browser import draw

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

ROWS = 2  # that it holds: one guided picture


@pytest.fixture
def full(model: Janus) -> Iterator[None]:
    def refuse(_: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[1].counts) > ROWS:
            raise MemoryError

    hook = model.model.register_forward_pre_hook(refuse)
    yield
    hook.remove()


@pytest.mark.usefixtures("full")
def test_they_are_drawn_one_after_another_and_it_is_said(page: Page, model: Janus):
    page.get_by_label("2", exact=True).check()
    draw(page, "a cat", seed="1")
    said = re.compile("too little memory for all at once, so one after another")
    expect(page.locator("#progress")).to_contain_text(said)
    captions = page.locator("#gallery .caption-label")
    expect(captions).to_have_text(["seed 1 · a cat", "seed 2 · a cat"], timeout=60_000)
    expect(page.locator("#progress")).to_contain_text("Finished")
    expect(page.locator("#progress")).to_contain_text(said)


@pytest.mark.usefixtures("full")
def test_what_does_not_even_fit_alone_is_explained(open_page: Open, model: Janus):
    page = open_page(language="es")

    def refuse(*_: Any) -> None:
        raise MemoryError

    hook = model.model.register_forward_pre_hook(refuse)
    page.locator("#prompt textarea").fill("un gato")
    page.locator("#draw").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("No hay memoria suficiente.")
    expect(toast).to_contain_text("Pide menos imágenes a la vez o usa un modelo más pequeño.")
    expect(page.locator("#draw")).to_be_visible()
    expect(page.locator("#prompt textarea")).to_have_value("un gato")
    hook.remove()
