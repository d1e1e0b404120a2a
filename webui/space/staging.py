"""The folder that becomes a Space, with what the Space runs and nothing else.

In: an empty folder, and the model that the Space is to show. Out: the folder, laid out as the root
of the Space's repository. Versions come from pyproject.toml, so it is built from a checkout only.
"""

import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load, metadata_save

from janus.errors import UsageError
from janus.saving import require_unused
from weights import catalog

CARD, APP, REQUIREMENTS, ATTRIBUTES = "README.md", "app.py", "requirements.txt", ".gitattributes"
LARGE_FILES = ("*.safetensors",)  # kept by the hub outside git, whose own limit is 10 MB
TORCH = "torch==2.11.*"  # the newest that ZeroGPU has
OF_THE_CARD = ("gradio",)  # installed as the card's sdk_version says
PLATFORM = "spaces"  # not pinned: it has to agree with the platform of the day
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """`is_large`: kept outside git."""

    path: str
    bytes: int
    is_large: bool


def stage(target: Path, model: str = catalog.BUNDLED) -> None:
    """Fills a folder that is new or empty.

    Raises:
        UsageError: there is no such model, or no checkout around this file.
        SaveError: the folder is in use.
    """
    entry, project = _entry(model), read_project()
    require_unused(target)
    target.mkdir(parents=True, exist_ok=True)
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.copytree(_ROOT / package, target / package, ignore=LEFT_BEHIND)
    for name in (APP, CARD):
        shutil.copy(_HERE / name, target)
    shutil.copy(_ROOT / "LICENSE", target)
    _complete_card(target / CARD, entry, sdk_version=pins(project)["gradio"])
    (target / REQUIREMENTS).write_text("\n".join(requirements(project)) + "\n", encoding="utf-8")
    rules = [f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE_FILES]
    (target / ATTRIBUTES).write_text("".join(rules), encoding="utf-8")


def staged_files(folder: Path) -> list[StagedFile]:
    """All files, by their path."""
    return [
        StagedFile(
            path=path.relative_to(folder).as_posix(),
            bytes=path.stat().st_size,
            is_large=any(fnmatch(path.name, pattern) for pattern in LARGE_FILES),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def read_project() -> dict[str, Any]:
    """pyproject.toml of the checkout that this file lies in."""
    path = _ROOT / "pyproject.toml"
    if not path.is_file():
        raise UsageError(
            "A Space is built from a checkout of the project, and this is an installed package.",
            "Clone the repository, and run `janus` there.",
        )
    return tomllib.loads(path.read_text(encoding="utf-8"))


def pins(project: Mapping[str, Any]) -> dict[str, str]:
    """Tested versions by package."""
    tested = project["tool"]["uv"]["constraint-dependencies"]
    return dict(line.split("==") for line in tested)


def requirements(project: Mapping[str, Any]) -> list[str]:
    """What the Space installs besides Gradio: the tested versions, with ZeroGPU's torch."""
    versions = pins(project)
    needed = map(_name, project["project"]["dependencies"])
    others = [name for name in needed if name not in ("torch", *OF_THE_CARD)]
    platform = [line for line in project["dependency-groups"]["dev"] if _name(line) == PLATFORM]
    return [TORCH, *(f"{name}=={versions[name]}" for name in others), *platform]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]


def _entry(model: str) -> catalog.CatalogEntry:
    entry = catalog.find(model)
    if entry is None or not entry.supported:
        known = [entry.name for entry in catalog.CATALOG if entry.supported]
        raise UsageError(f"A Space cannot show {model!r}.", f"Known are {', '.join(known)}.")
    return entry


def _complete_card(path: Path, entry: catalog.CatalogEntry, *, sdk_version: str) -> None:
    facts = metadata_load(path)
    assert facts
    facts["sdk_version"] = sdk_version
    facts["suggested_hardware"] = "cpu-basic" if entry.hub_id is None else "l4x1"
    if entry.hub_id is not None:
        facts |= {"models": [entry.hub_id], "preload_from_hub": [entry.hub_id]}
    metadata_save(path, facts)
