"""The house rules of design and style, checked by the tools that know them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("janus", "vision", "webui", "weights")
# Packages that may be missing on an accelerator machine, and the folders that are about them.
OPTIONAL = {
    "gradio": ("webui",),
    "diffusers": ("janus/diffusers.py",),
    "fastapi": ("janus/server", "webui"),
    "uvicorn": ("janus/server", "webui"),
    "typer": ("janus/cli",),
    "ray": ("janus/server/cluster.py",),
    "xformers": (),
}


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff(arguments: list[str]):
    done = subprocess.run(
        [tool("ruff"), *arguments, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_bandit_finds_nothing():
    command = [tool("bandit"), "--quiet", "--recursive", "--configfile", "pyproject.toml"]
    done = subprocess.run(
        [*command, *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_point_down_only():
    done = subprocess.run(
        [tool("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", OPTIONAL)
def test_optional_packages_stay_where_they_belong(package: str):
    strays = [
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*.py")
        if package in imported_packages(path)
        and not path.relative_to(ROOT).as_posix().startswith(OPTIONAL[package])
    ]
    assert not strays


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def imported_packages(path: Path) -> set[str]:
    """Top-level names of every import in a file, wherever in the file it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
