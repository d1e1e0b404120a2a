"""The studio of a service that has keys: nobody sees it without one, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from janus.pipeline import Janus
from janus.server.app import create_app
from janus.server.keys import new_key
from janus.server.settings import ServerSettings
from tests.server.conftest import Running, run, same_model
from webui.app import mount

CLOSED = (
    "/gradio_api/info",
    "/gradio_api/mcp/",
    "/config",
    "/gradio_api/queue/data?session_hash=a",
    "/docs",
)


@pytest.fixture
def locked(
    model: Janus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Running, str]]:
    """A service with the studio, and its only key."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    key = new_key("alice", tmp_path / "keys.txt")
    janus = same_model(model)
    app = create_app(janus, ServerSettings(keys_file=tmp_path / "keys.txt"), slots=4, name="mine")
    mount(app, janus)
    running = run(app)
    yield running, key
    running.stop()


def test_a_key_opens_the_studio(locked: tuple[Running, str], browser: Browser):
    running, key = locked
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.url)
    expect(page).to_have_url(f"{running.url}/login")
    page.get_by_label("API key").fill("sk-wrong")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("not known")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button").click()
    expect(page).to_have_url(re.compile(f"{running.url}/?$"))
    page.get_by_label("What to draw").fill("two red hearts")
    page.locator("#draw").click()
    expect(page.locator("#progress")).to_contain_text("Finished", timeout=60_000)
    context.close()


def test_its_own_routes_are_closed_too(locked: tuple[Running, str]):
    running, key = locked
    for path in CLOSED:
        assert httpx.get(running.url + path).status_code == 401, path
    headers = {"authorization": f"Bearer {key}"}
    assert httpx.get(f"{running.url}/gradio_api/info", headers=headers).status_code == 200
