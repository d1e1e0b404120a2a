"""What a link or a person sets while the model is still being loaded, in a real browser."""

from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from janus.metadata import read_settings
from janus.pipeline import Janus
from tests.webui.conftest import PATIENCE, free_port
from tests.webui.test_browser import download, draw, finish
from webui.given import Given
from webui.loader import Loading, ModelLoader, Report
from webui.opening import Opening

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Browser, Page, expect


@pytest.fixture
def go() -> Event:
    """Lets the model be there."""
    return Event()


@pytest.fixture
def slow_studio(model: Janus, go: Event, studio: str) -> Iterator[str]:
    """The address of a studio whose model is still being loaded."""

    def load(name: str, report: Report) -> Janus:
        go.wait()
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        from webui.app import build, serve

        loader = ModelLoader(load, Loading("some/folder"))
        loader.start("some/folder")
        page = build(loader)
        yield serve(page, host="127.0.0.1", port=free_port())
        go.set()
        page.close(verbose=False)


@pytest.fixture
def open_loading(browser: Browser, slow_studio: str):
    context = browser.new_context(locale="en-US")

    def open_loading(query: str = "") -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(slow_studio + query)
        expect(page.locator(".chip")).to_be_visible()
        return page

    yield open_loading
    context.close()


def test_a_drawing_takes_them_and_the_model_decides_the_rest(open_loading, go: Event):
    page = open_loading("?temperature=0.5&guidance=5")
    page.get_by_role("button", name="More").click()
    temperature = page.get_by_label("number input for Temperature")
    expect(temperature).to_have_value("0.5")
    temperature.fill("0.8")
    temperature.press("Tab")
    drawn = drawn_when_loaded(page, go)
    # The link asks for just what the page shows before it knows the model, whose own is 2.
    assert (drawn["guidance"], drawn["temperature"]) == (5, 0.8)
    expect(page.get_by_label("number input for Guidance")).to_have_value("5")
    expect(temperature).to_have_value("0.8")


def test_what_nobody_set_is_left_to_the_model(open_loading, go: Event):
    page = open_loading()
    drawn = drawn_when_loaded(page, go)
    assert (drawn["guidance"], drawn["temperature"]) == (2, 1)
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("number input for Guidance")).to_have_value("2")


def test_another_model_begins_anew():
    given = Given()
    given.begin_loading()
    given.set({"guidance": 3, "count": 4})
    given.begin_loading()
    assert given.values == {"guidance": 3}
    given.is_for_loaded = True
    given.begin_loading()
    assert not given.values


def test_what_the_page_shows_is_not_written_over():
    """It is asked for twice a second, and a person may be typing."""

    def load(name: str, report: Report) -> Janus:
        raise AssertionError

    draw: Any = SimpleNamespace(guidance="guidance", temperature="temperature")
    ask: Any = None
    request: Any = SimpleNamespace(query_params={"temperature": "0.5"})
    with gr.Blocks():
        opening = Opening(draw, ask, ModelLoader(load, Loading("some/folder")))
    given = Given()
    assert opening.of_model({}, given, request) == {"temperature": 0.5}
    assert opening.of_model({}, given, request) == {}
    given.set({"guidance": 3})
    assert opening.of_model({"some/folder": {"guidance": 4}}, given, request) == {}


def drawn_when_loaded(page: Page, go: Event) -> dict:
    draw(page, "a dog", seed="1")
    expect(page.locator("#progress")).to_contain_text("model")
    go.set()
    finish(page)
    settings = read_settings(download(page, "#gallery img"))
    assert settings
    return settings
