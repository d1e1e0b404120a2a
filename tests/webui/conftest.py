"""A studio that runs in this process, on a random model of the bundled one's size; a browser."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.recipe import emoji_config
from janus.training.initial import initialise_convolutions, initialise_linears

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CONTEXT = 256  # short, because a random model never ends its answers
SECONDS_A_STEP = 0.02  # at least, so that a drawing lasts on any machine

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000  # milliseconds, for slow and busy machines

Open = Callable[..., "Page"]


@pytest.fixture(scope="package")
def model(vocabulary: JanusTokenizer) -> Janus:
    """It sees and draws as the bundled one does, but has less to think with."""
    config = emoji_config(vocabulary.special.image)
    transformer = replace(config.transformer, num_hidden_layers=2, max_position_embeddings=CONTEXT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = JanusModel(replace(config, transformer=transformer)).eval()
        network.requires_grad_(False)
        initialise_linears(network)
        initialise_convolutions(network.vqmodel)
    network.register_forward_pre_hook(lambda *_: time.sleep(SECONDS_A_STEP))
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    model = Janus(network, vocabulary, style, name="janus-emoji", guidance=2.0)
    model.draw("anything", count=4)  # from now on there is room for several at a time
    return model


@pytest.fixture(scope="package")
def studio(model: Janus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", os.fspath(tmp_path_factory.mktemp("gradio")))
        from webui.app import build, serve

        page = build(model, can_switch=True)
        yield serve(page, host="127.0.0.1", port=free_port())
        page.close(verbose=False)


@pytest.fixture(scope="package")
def own_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures that somebody draws on their own machine."""
    return tmp_path_factory.mktemp("owner") / "library"


@pytest.fixture(scope="package")
def own_studio(model: Janus, own_library: Path, studio: str) -> Iterator[str]:
    """The address of a studio that keeps its pictures; it shares its cache with the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        from webui.app import build, serve

        page = build(model, library=own_library)
        yield serve(page, host="127.0.0.1", port=free_port())
        page.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium or Chrome")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: "Browser", studio: str) -> Iterator[Open]:
    """Opens the studio as a new visitor; at the end, nothing may have been asked of others."""
    from playwright.sync_api import expect

    foreign: list[str] = []
    contexts = []

    def open_page(width: int = 1280, language: str = "en-US", address: str = studio) -> "Page":
        size: Any = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, locale=language)
        contexts.append(context)
        context.on("request", lambda request: foreign.append(request.url))
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        expect(page.locator(".chip.ready")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [
        url for url in foreign if not url.startswith(("http://127.0.0.1", "data:", "blob:"))
    ]


@pytest.fixture
def page(open_page: Open) -> "Page":
    return open_page()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "teal.png")
    return tmp_path / "teal.png"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
