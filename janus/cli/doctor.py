"""`janus doctor`: whether this machine can run a model, and what it would run on.

Every check is a line: what was looked at, what was found, and what to do where that is a problem.
Changes nothing and downloads nothing.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from janus.checkup import Check, as_text, environment, machine, packages
from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions, Results
from janus.cli.weights import find_here
from janus.plaintext import gigabytes
from weights import catalog


@command
def doctor(model: ModelOptions, results: Results, messages: Messages) -> None:
    """Check this installation. The exit code is 0 where a model can run.

    \b
    janus doctor
    janus doctor --json
    """
    checks = [*packages(), *machine(), *_models(model), *environment()]
    ok = all(check.status != "problem" for check in checks)
    if results.json:
        results.print_json({"ok": ok, "checks": [asdict(check) for check in checks]})
    else:
        results.print(as_text(checks))
    if not ok:
        raise typer.Exit(1)


def _models(options: ModelOptions) -> Iterator[Check]:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    yield Check(name="model cache", found=f"{cache}, {gigabytes(free)} free")
    here = find_here(catalog.BUNDLED)
    yield Check(name="bundled model", found=here or "missing", status="ok" if here else "warning")
    yield _chosen_model(options)


def _chosen_model(options: ModelOptions) -> Check:
    here = find_here(options.name)
    if here:
        return Check(name="model", found=f"{options.name}, in {here}")
    entry = catalog.find(options.name)
    if entry and entry.hub_id and not options.offline:
        size = f", {gigabytes(entry.bytes)}" if entry.bytes else ""
        return Check(
            name="model",
            found=f"{options.name}, not here yet",
            status="warning",
            hint=f"The first use downloads it{size}: janus weights get {options.name}",
        )
    return Check(
        name="model",
        found=f"{options.name}, not here",
        status="problem",
        hint="Choose another with --model; `janus weights list` shows them.",
    )
