"""The command line as people use it, run in this process on a small model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from janus.cli.main import app
from janus.pipeline import Janus
from tests.small_model import small_janus


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint called `small`."""
    folder = tmp_path_factory.mktemp("models") / "small"
    small_janus().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def janus(folder: Path) -> Janus:
    return Janus.from_pretrained(folder)


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., "Result"]:
    """Runs `janus` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JANUS_MODEL", str(folder))

    def run(*arguments: object, input: str | bytes = b"") -> "Result":
        outcome = CliRunner().invoke(app, [str(a) for a in arguments], input=input)
        return Result(outcome.exit_code, outcome.stdout_bytes, outcome.stderr)

    return run


class Result:
    def __init__(self, code: int, stdout: bytes, stderr: str) -> None:
        self.code, self.bytes, self.stderr = code, stdout, stderr

    @property
    def stdout(self) -> str:
        return self.bytes.decode()

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.bytes!r}\n{self.stderr}"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(path)
    return path


@pytest.fixture
def other_picture(tmp_path: Path) -> Path:
    path = tmp_path / "gradient.png"
    Image.linear_gradient("L").save(path)
    return path
