"""Another model, fetched from a small hub that runs in this process, in a real browser."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webui.conftest import Open, free_port
from tests.webui.test_app import LAUNCH, ROOT
from tests.webui.test_browser import draw, finish
from tests.webui.test_space_live import wait_for_model
from tests.weights.test_hub import Hub, serving

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import expect

PIECES = 20  # in which a file is sent
SECONDS_A_FILE = 3.0  # that is as large as weights are
LARGE = 100_000  # bytes


class SlowHub(Hub):
    def send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        super().send(status, body, headers, with_body=False)
        size = -(-len(body) // PIECES) or 1
        for start in range(0, len(body) if with_body else 0, size):
            self.wfile.write(body[start : start + size])
            time.sleep(SECONDS_A_FILE / PIECES if len(body) > LARGE else 0)


@pytest.fixture(scope="module")
def studio_with_hub(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a studio that takes another model for Janus-Pro-1B, and knows no 7B."""
    place = tmp_path_factory.mktemp("home")
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir() if path.is_file()}
    SlowHub.repositories = {"deepseek-ai/Janus-Pro-1B": files}
    port = free_port()
    code = LAUNCH.format(model=str(tiny_folder), port=port)
    own = {"HF_HOME": str(place / "hub"), "HF_TOKEN": "", "HF_HUB_OFFLINE": "0"}
    own |= {"GRADIO_TEMP_DIR": str(place / "gradio"), "XDG_DATA_HOME": str(place)}
    with serving(SlowHub) as hub:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **own, "HF_ENDPOINT": hub},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr and "http" in process.stderr.readline()
        address = f"http://127.0.0.1:{port}/"
        wait_for_model(address)
        yield address
        process.kill()
        process.wait()


def test_a_model_is_chosen_with_its_size_and_licence_and_fetched(
    open_page: Open, studio_with_hub: str
):
    page = open_page(address=studio_with_hub)
    page.get_by_role("tab", name="Models").click()
    page.get_by_label("janus-pro-1b · 4.2\N{NO-BREAK SPACE}GB").check()
    details = page.get_by_role("tabpanel")
    expect(details).to_contain_text("Needs about 5.5\N{NO-BREAK SPACE}GB of memory.")
    licence = details.get_by_role("link", name="DeepSeek Model License")
    expect(licence).to_have_attribute("href", re.compile("LICENSE-MODEL"))
    page.locator("#load").click()
    expect(page.locator(".chip.loading")).to_contain_text(
        re.compile(r"Downloading janus-pro-1b: 0\.0.GB of 4\.2.GB")
    )
    expect(page.locator(".chip.ready b")).to_have_text("janus-pro-1b", timeout=120_000)
    page.get_by_role("tab", name="Draw").click()
    draw(page, "a lighthouse", seed="1")
    finish(page)


def test_without_its_weights_the_old_model_stays(open_page: Open, studio_with_hub: str):
    page = open_page(address=studio_with_hub, language="es")
    page.get_by_role("tab").nth(3).click()
    page.get_by_label("janus-pro-7b ·").check()
    page.locator("#load").click()
    failed = page.locator(".chip.failed")
    expect(failed).to_contain_text("No se pudo cargar janus-pro-7b.")
    expect(failed).to_contain_text("un modelo privado necesita HF_TOKEN")
    page.get_by_role("tab").first.click()
    page.locator("#prompt textarea").fill("un faro")
    page.locator("#draw").click()
    expect(page.locator("#gallery img")).to_be_visible()
