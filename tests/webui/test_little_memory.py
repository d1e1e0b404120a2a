"""A drawing on a machine whose memory does not hold all of its pictures at once."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from janus.metadata import read_settings
from janus.pipeline import Janus
from tests.webui.conftest import Open
from tests.webui.test_browser import download, draw, is_busy, wait_until

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
def test_stop_keeps_what_is_finished_and_that_draws_the_same_again(page: Page, model: Janus):
    page.get_by_label("4", exact=True).check()
    draw(page, "a cat", seed="5")
    captions = page.locator("#gallery .caption-label")
    expect(captions).to_have_text(["seed 5 · a cat"])
    kept = download(page, "#gallery img")
    page.locator("#stop-drawing").click()
    expect(page.locator("#draw")).to_be_visible()
    wait_until(lambda: not is_busy(model))
    expect(page.locator("#progress")).to_contain_text(
        re.compile("Stopped; finished and kept: [123]")
    )
    page.get_by_role("tab", name="Library").click()
    expect(page.locator("#library .caption-label").last).to_have_text("a cat · seed 5")
    settings = read_settings(kept)
    assert settings and (settings["prompt"], settings["seed"]) == ("a cat", 5)
    sampling = {name: settings[name] for name in ("seed", "guidance", "temperature")}
    [again] = model.draw("a cat", **sampling)
    assert again.image.tobytes() == Image.open(kept).tobytes()


@pytest.mark.usefixtures("full")
def test_a_reload_and_a_failure_keep_what_is_finished(page: Page, model: Janus):
    page.get_by_label("4", exact=True).check()
    draw(page, "a cat", seed="5")
    expect(page.locator("#gallery .caption-label")).to_have_count(1)
    page.reload()
    expect(page.locator(".chip.ready")).to_be_visible()
    wait_until(lambda: not is_busy(model))
    page.get_by_label("2", exact=True).check()
    draw(page, "a dog", seed="7")
    expect(page.locator("#gallery .caption-label")).to_have_text(["seed 7 · a dog"])
    with model.model.register_forward_pre_hook(_refuse):
        expect(page.get_by_test_id("toast-body")).to_be_visible()
    expect(page.locator("#draw")).to_be_visible()
    expect(page.locator("#gallery .caption-label")).to_have_text(["seed 7 · a dog"])
    page.get_by_role("tab", name="Library").click()
    expect(page.locator("#library .caption-label").first).to_have_text("a dog · seed 7")
    expect(page.locator("#library .caption-label").last).to_have_text("a cat · seed 5")


@pytest.mark.usefixtures("full")
def test_what_does_not_even_fit_alone_is_explained(open_page: Open, model: Janus):
    page = open_page(language="es")
    hook = model.model.register_forward_pre_hook(_refuse)
    page.locator("#prompt textarea").fill("un gato")
    page.locator("#draw").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("No hay memoria suficiente.")
    expect(toast).to_contain_text("Pide menos imágenes a la vez o usa un modelo más pequeño.")
    expect(page.locator("#draw")).to_be_visible()
    expect(page.locator("#prompt textarea")).to_have_value("un gato")
    hook.remove()


def _refuse(*_: Any) -> None:
    raise MemoryError
