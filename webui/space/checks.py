"""What can be wrong with a Space's folder, found before it is uploaded.

In: a staged folder. Out: a line for each problem. Nothing is imported from the folder and nothing
is asked of the network.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load
from packaging.requirements import InvalidRequirement, Requirement

from webui.space.staging import (
    APP,
    CARD,
    OF_THE_CARD,
    REQUIREMENTS,
    pins,
    read_project,
    staged_files,
)
from weights import catalog

LARGEST_IN_GIT = 10_000_000  # bytes; the hub takes larger files only outside git
LARGEST_SPACE = 100_000_000  # bytes; more means that something strayed in
LONGEST_DESCRIPTION = 60
PYTHON = "3.12"  # ZeroGPU has this one; the platform's default is too old
TORCH_OF_ZERO_GPU = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
HARDWARE = {"cpu-basic", "l4x1"}
REQUIRED = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "license"}
# huggingface.co/docs/hub/spaces-config-reference; those that a Gradio Space may have.
KNOWN = REQUIRED | {
    "python_version",
    "suggested_hardware",
    "short_description",
    "models",
    "datasets",
    "tags",
    "thumbnail",
    "header",
    "fullWidth",
    "pinned",
    "hf_oauth",
    "hf_oauth_scopes",
    "hf_oauth_expiration_minutes",
    "disable_embedding",
    "startup_duration_timeout",
    "preload_from_hub",
}
STRAYS = re.compile(r"(^|/)(tests|__pycache__|\.env|\.git|\.venv|\.netrc|\.pypirc)(/|$)|\.pem$")
SECRET = re.compile(
    rb"\bhf_[A-Za-z]{30,}\b|\bsk-[A-Za-z0-9_-]{32,}|\bAKIA[0-9A-Z]{16}\b"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def problems(folder: Path) -> list[str]:
    """What keeps a staged folder from being uploaded; none, if all is well."""
    return [
        *_card_problems(metadata_load(folder / CARD) or {}),
        *_requirement_problems((folder / REQUIREMENTS).read_text(encoding="utf-8").splitlines()),
        *_file_problems(folder),
        *_source_problems(folder),
    ]


def _card_problems(card: dict[str, Any]) -> Iterator[str]:
    yield from (f"{CARD}: {key} is missing" for key in sorted(REQUIRED - card.keys()))
    yield from (f"{CARD}: there is no key {key}" for key in sorted(card.keys() - KNOWN))
    allowed = {
        "sdk": {"gradio"},
        "sdk_version": {pins(read_project())["gradio"]},
        "python_version": {PYTHON},
        "app_file": {APP},
        "colorFrom": COLOURS,
        "colorTo": COLOURS,
        "suggested_hardware": HARDWARE,
    }
    for key, values in allowed.items():
        if card.get(key) not in values:
            yield f"{CARD}: {key} is {card.get(key)!r}, not {' or '.join(sorted(values))}"
    if len(card.get("short_description", "")) > LONGEST_DESCRIPTION:
        yield f"{CARD}: short_description has more than {LONGEST_DESCRIPTION} characters"
    known = {entry.hub_id for entry in catalog.CATALOG if entry.supported and entry.hub_id}
    named = [*card.get("models", []), *card.get("preload_from_hub", [])]
    yield from (f"{CARD}: {name} is not in the catalogue" for name in named if name not in known)


def _requirement_problems(lines: list[str]) -> Iterator[str]:
    found: dict[str, Requirement] = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            yield f"{REQUIREMENTS}: {line!r} cannot be read: {error}"
        else:
            found[requirement.name] = requirement
    for name in OF_THE_CARD:
        if name in found:
            yield f"{REQUIREMENTS}: {name} belongs into the card, as sdk_version"
    missing = {"torch", "spaces"} - found.keys()
    yield from (f"{REQUIREMENTS}: {name} is missing" for name in sorted(missing))
    torch = found.get("torch")
    if torch and not any(version in torch.specifier for version in TORCH_OF_ZERO_GPU):
        yield f"{REQUIREMENTS}: ZeroGPU has no {torch}"


def _file_problems(folder: Path) -> Iterator[str]:
    files = staged_files(folder)
    for file in files:
        if STRAYS.search(file.path):
            yield f"{file.path}: does not belong into a Space"
        if file.bytes > LARGEST_IN_GIT and not file.is_large:
            yield f"{file.path}: has {file.bytes / 1e6:.0f} MB, too much for git"
        if not file.is_large and SECRET.search((folder / file.path).read_bytes()):
            yield f"{file.path}: holds what looks like a password or key"
    total = sum(file.bytes for file in files)
    if total > LARGEST_SPACE:
        yield f"all files together have {total / 1e6:.0f} MB, more than {LARGEST_SPACE / 1e6:.0f}"


def _source_problems(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            yield f"{name}: {error}"
            continue
        if any(_compiles(node) for node in ast.walk(tree)):
            yield f"{name}: uses torch.compile, which ZeroGPU cannot"


def _compiles(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.compile"
