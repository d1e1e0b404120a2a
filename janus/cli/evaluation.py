"""`janus eval`: measurements of a model, as tables or JSON."""

from dataclasses import asdict
from typing import Annotated

import typer

from janus.cli.common import command, table
from janus.cli.options import Messages, Offline, Results


@command
def parity(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, a hub id or a folder.")],
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(envvar="JANUS_DEVICE", help="Where to compute.")] = "auto",
    tokens: Annotated[int, typer.Option(min=1, help="How many words' ids to compare.")] = 32,
    offline: Offline = False,
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Compare this package with stock transformers on the same weights.

    \b
    janus eval parity deepseek-ai/Janus-Pro-1B
    janus eval parity ./my-model --json

    Both models are loaded one after the other. The exit code is 0 where they agree.
    """
    from janus.evaluation.parity import compare

    if not messages.verbose:
        _silence_transformers()
    report = compare(
        model,
        device=device,
        dtype=dtype,
        num_tokens=tokens,
        local_files_only=offline,
        tell=messages.note,
    )
    if results.json:
        results.print_json({**asdict(report), "passed": report.passed})
    else:
        rows = [("CHECK", "RESULT", "REQUIRED", "")]
        rows += [(c.name, c.result, c.required, c.verdict) for c in report.checks]
        results.print(f"{report.subject}\n\n{table(rows)}\n\n{report.verdict}")
    if not report.passed:
        raise typer.Exit(1)


def _silence_transformers() -> None:
    """It draws its own progress bars and warns of what it will change one day."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
