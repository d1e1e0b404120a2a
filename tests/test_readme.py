"""The README is a promise: its commands and its Python are run as they stand."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = ["pip install uv && uv run janus web", "pip install uv && uv run pytest"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.strip()]


def janus(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    script = str(Path(sys.executable).parent / "janus")
    expanded = [path for a in arguments for path in (glob(a, root_dir=folder) or [a])]
    return subprocess.run(
        [script, *expanded], cwd=folder, capture_output=True, text=True, check=False
    )


def test_exactly_two_commands_set_everything_up():
    assert [line for line in commands() if "pip install" in line] == SETUP


def test_ci_runs_the_readmes_test_command():
    assert SETUP[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def run_python(snippet: str, folder: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_python_snippet(tmp_path: Path):
    snippet, *_ = blocks("python")
    caption, background = run_python(snippet, tmp_path)
    assert "heart" in caption
    assert background == "blue"
    assert (tmp_path / "heart.png").is_file()


def test_the_snippet_that_looks_back(tmp_path: Path):
    _, snippet, *_ = blocks("python")
    run_python(snippet, tmp_path)
    assert (tmp_path / "looked_at.png").is_file()


def test_the_snippet_with_diffusers(tmp_path: Path):
    _, _, snippet, _ = blocks("python")
    assert run_python(snippet, tmp_path) == ["4"]
    assert len(list(tmp_path.glob("drawing_*.png"))) == 4


def test_the_command_lines(tmp_path: Path):
    lines = [line for line in commands() if line.startswith("uv run janus ")]
    runnable = [line for line in lines if line.split()[3] not in ("web", "serve")]
    assert len(runnable) >= 5
    for line in runnable:
        done = janus(shlex.split(line.removeprefix("uv run janus ")), tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip(), line


@contextlib.contextmanager
def served(folder: Path, *command: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """What listens on a port of its own."""
    script = str(Path(sys.executable).parent / "janus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [script, *command, "--port", str(port)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_the_web_command_serves_the_studio(tmp_path: Path):
    with served(tmp_path, "web", "--no-open") as (port, process):
        assert "janus-emoji" in wait_for_page(f"http://127.0.0.1:{port}", process)


def test_the_service_and_its_snippet(tmp_path: Path):
    """The studio is beside it."""
    *_, snippet = blocks("python")
    assert "uv run janus serve" in commands()
    with served(tmp_path, "serve") as (port, process):
        assert "janus-emoji" in wait_for_page(f"http://127.0.0.1:{port}", process)
        (answer,) = run_python(snippet.replace(":8000", f":{port}"), tmp_path)
    assert "heart" in answer


def wait_for_page(address: str, process: subprocess.Popen, seconds: float = 60) -> str:
    for _ in range(int(seconds * 5)):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.read().decode("utf-8")
        except OSError:
            time.sleep(0.2)
    process.kill()
    assert process.stderr is not None
    raise AssertionError(process.stderr.read().decode("utf-8", "replace"))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w./-]+)\)", README))))
def test_links_lead_somewhere(path: str):
    assert (ROOT / path).exists()
