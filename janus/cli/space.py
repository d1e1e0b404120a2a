"""`janus space`: the studio as a Hugging Face Space, built as a folder or uploaded at once."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, Results
from janus.errors import UsageError
from janus.plaintext import gigabytes, table
from weights.catalog import BUNDLED

if TYPE_CHECKING:
    from webui.space.staging import StagedFile

ShownModel = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME", help="What the Space shows where it has a GPU."),
]


@command
def build(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is new or empty.")],
    model: ShownModel = BUNDLED,
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Lay out a folder as the root of a Space, and check it.

    \b
    janus space build ./space
    janus space build ./space --model janus-pro-7b
    cd space && python app.py          the Space on this machine
    """
    files = _build(out, model)
    if results.json:
        results.print_json({"folder": str(out), **_facts(files)})
    else:
        results.print(f"{out}: {_summary(files)}")


@command
def push(
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="The Space on Hugging Face.")],
    model: ShownModel = BUNDLED,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be uploaded.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="For nobody else, where the Space is new.")
    ] = False,
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Upload the studio as a Space, in one commit that replaces what the Space holds.

    \b
    janus space push ada/janus --dry-run
    janus space push ada/janus --private
    janus space push ada/janus --model janus-pro-7b

    Needs a token that may write: log in with `hf auth login`, or set HF_TOKEN.
    """
    from webui.space.upload import check_name, upload

    check_name(name)
    with tempfile.TemporaryDirectory() as folder:
        files = _build(Path(folder), model)
        messages.note(f"Uploading {_summary(files)} ...")
        address = None if dry_run else upload(Path(folder), name, private=private)
    if results.json:
        results.print_json({"space": name, "address": address, **_facts(files)})
    else:
        results.print(address or _listed(files))


def _build(folder: Path, model: str) -> "list[StagedFile]":
    from webui.space.checks import problems
    from webui.space.staging import stage, staged_files

    stage(folder, model)
    if found := problems(folder):
        raise UsageError("The Space is not fit to be uploaded:", "\n  ".join(found))
    return staged_files(folder)


def _facts(files: "list[StagedFile]") -> dict:
    return {"bytes": _total(files), "files": [asdict(file) for file in files]}


def _listed(files: "list[StagedFile]") -> str:
    rows = [("FILE", "SIZE", "")]
    rows += [(f.path, _size(f.bytes), "large file" if f.is_large else "") for f in files]
    return f"{table(rows)}\n{_summary(files)}"


def _size(num_bytes: int) -> str:
    return gigabytes(num_bytes) if num_bytes >= 1e6 else f"{num_bytes / 1e3:.1f} kB"


def _summary(files: "list[StagedFile]") -> str:
    return f"{len(files)} files, {gigabytes(_total(files))}"


def _total(files: "list[StagedFile]") -> int:
    return sum(file.bytes for file in files)
