"""A Space from its folder alone: a new environment, Python 3.12, ZeroGPU's torch, real clients.

Run with `pytest -m slow -s tests/webui/test_space_live.py`; packages are downloaded where uv has
not kept them. Prints how long a cold start takes.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from gradio_client import Client, handle_file
from huggingface_hub import metadata_load

from janus.metadata import read_settings
from tests.webui.conftest import BROWSERS, FLAGS, free_port
from webui.space.staging import stage, staged_files

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds
EMULATED = """
import app
from spaces.zero import torch as emulation
from spaces.zero.decorator import decorated_cache
print("packed", emulation.pack(), "functions", len(set(decorated_cache.values())))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spaces") / "space"
    stage(folder)
    return folder


@pytest.fixture(scope="module")
def python(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a new environment with what the folder asks for, and nothing else."""
    base, uv = find_python(), shutil.which("uv")
    if base is None or uv is None:
        pytest.skip("needs Python 3.12 and uv")
    place = tmp_path_factory.mktemp("environments") / "space"
    subprocess.run([uv, "venv", "-q", "--python", base, place], check=True)
    python = place / "bin" / "python"
    card = metadata_load(folder / "README.md")
    assert card
    wanted = ["-r", folder / "requirements.txt", f"gradio=={card['sdk_version']}"]
    install = [uv, "pip", "install", "-q", "--python", python, *wanted]
    subprocess.run(install, cwd=folder, check=True)  # elsewhere our own pins would count too
    return python


@pytest.fixture(scope="module")
def address(folder: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the running Space."""
    port = free_port()
    own = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio")),
        "HF_HUB_OFFLINE": "1",
    }
    began = time.monotonic()
    with subprocess.Popen([python, "app.py"], cwd=folder, env=environment() | own) as process:
        address = f"http://127.0.0.1:{port}/"
        wait_for(address, process)
        print(f"\ncold start: the page is there after {time.monotonic() - began:.1f} s")
        wait_for_model(address)
        print(f"cold start: the model is there after {time.monotonic() - began:.1f} s")
        yield address
        process.terminate()


def test_programs_draw_and_ask(address: str, tmp_path: Path):
    client = Client(address, verbose=False, download_files=str(tmp_path))
    [file] = client.predict(prompt="two red hearts", seed=7, api_name="/draw")
    settings = read_settings(file)
    assert settings and (settings["model"], settings["seed"]) == ("janus-emoji", 7)
    assert "two red hearts" in client.predict(handle_file(file), api_name="/caption")
    answer = client.predict([handle_file(file)], "How many hearts are there?", api_name="/ask")
    assert "two" in answer.lower() or "2" in answer
    client.close()


def test_visitors_read_the_banner_and_draw(address: str):
    library = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium or Chrome")
    with library.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(address)
        expect: Any = library.expect
        expect.set_options(timeout=PATIENCE * 1000)
        expect(page.locator("#banner")).to_contain_text("JANUS_MODEL")
        page.locator("#prompt textarea").fill("a rocket above a tree")
        page.locator("#draw").click()
        expect(page.locator("#stage img")).to_be_visible()
        expect(page.locator("#gallery .caption-label")).to_have_text(re.compile(r"\d+"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()


def test_zero_gpu_finds_the_whole_model_where_it_looks(folder: Path, python: Path, tmp_path: Path):
    """In its emulation of a GPU, which needs none; its workers do, and are not started."""
    own = {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9",
        "ZEROGPU_OFFLOAD_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [python, "-c", EMULATED],
        cwd=folder,
        env=environment() | own,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"packed (\d+) functions (\d+)", done.stdout)
    assert found, done.stdout
    packed, functions = map(int, found.groups())
    weights = next(file for file in staged_files(folder) if file.is_large)
    assert packed == pytest.approx(weights.bytes, rel=0.01)
    assert functions == 3  # one draws, one answers, one looks into the model


def environment() -> dict[str, str]:
    """Without what could lead the Space to this checkout or another model."""
    dropped = ("PYTHON", "JANUS", "VIRTUAL_ENV", "SPACE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def find_python() -> Path | None:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which("python3.12"), *sorted(versions.glob("3.12.*/bin/python"))]
    return next((Path(path) for path in found if path and works(path)), None)


def works(python: str | Path) -> bool:
    """Some are only shims for versions that are not chosen."""
    return subprocess.run([python, "--version"], capture_output=True).returncode == 0


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urlopen(address).close()
        except URLError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def wait_for_model(address: str) -> None:
    """The API does so by itself."""
    client = Client(address, verbose=False)
    client.predict(prompt="a dog", api_name="/draw")
    client.close()
