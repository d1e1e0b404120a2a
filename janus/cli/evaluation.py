"""`janus eval`: measurements of a model, as tables or JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from janus.cli.common import command, table
from janus.cli.options import Messages, ModelOptions, Offline, Results


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


@command
def emoji(
    scenes: Annotated[int, typer.Option(min=1, help="How many scenes to see.")] = 200,
    drawings: Annotated[int, typer.Option(min=1, help="How many pictures of each kind.")] = 100,
    sheet: Annotated[
        Path | None, typer.Option(help="Save the first 64 drawings as one PNG, wrong ones marked.")
    ] = None,
    *,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Mark a model on emoji scenes that training never saw, seeing and drawing.

    \b
    janus eval emoji
    janus eval emoji --scenes 40 --drawings 20 --sheet drawings.png

    Drawings are marked by a judge that uses no model; the rows "limit" are its marks on true
    pictures, and on pictures that only went through the VQ tokenizer and back.
    """
    from janus.evaluation.emoji import take_exam
    from janus.evaluation.emoji_sheet import draw_sheet

    exam = take_exam(model.load(messages), num_scenes=scenes, num_drawings=drawings)
    if sheet is not None:
        draw_sheet(exam.sample(64)).save(sheet)
    if results.json:
        results.print_json(exam.marks)
    else:
        results.print(table([(name, f"{mark:.3f}") for name, mark in exam.marks.items()]))


def _silence_transformers() -> None:
    """It draws its own progress bars and warns of what it will change one day."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
