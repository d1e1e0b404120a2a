"""Launching, as `janus web` does it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from janus.errors import ServerError, UsageError
from janus.pipeline import Janus
from tests.webui.conftest import free_port
from webui.app import build, launch, serve

ROOT = Path(__file__).parents[2]
LAUNCH = """
from webui.app import launch
launch({model!r}, device="cpu", dtype="auto", host="127.0.0.1", port={port}, share=False,
       open_browser=False)
"""


def test_it_serves_until_interrupted_and_keeps_stdout_free(tiny_folder: Path, tmp_path: Path):
    port = free_port()
    code = LAUNCH.format(model=str(tiny_folder), port=port)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "GRADIO_TEMP_DIR": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        assert f"http://127.0.0.1:{port}/" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stdout.read() == ""


def test_a_taken_port_is_explained(studio: str, model: Janus):
    port = urlsplit(studio).port
    assert port
    with pytest.raises(ServerError, match=str(port)) as caught:
        serve(build(model), host="127.0.0.1", port=port)
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("address", [{"host": "0.0.0.0"}, {"host": "127.0.0.1", "share": True}])
def test_the_owners_pictures_are_shown_to_nobody_else(address: dict[str, Any], tmp_path: Path):
    options: dict[str, Any] = {"share": False, **address, "library": tmp_path}
    with pytest.raises(UsageError, match="--library is for a page that only this machine"):
        launch("any", device="cpu", dtype="auto", port=0, open_browser=False, **options)
