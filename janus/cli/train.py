"""`janus train emoji`: trains the bundled model from nothing."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, Results


@command
def emoji(
    out: Annotated[Path, typer.Option(help="Where the model goes.")] = Path("janus-emoji"),
    run: Annotated[
        Path, typer.Option(help="Where states and logs go; the same folder goes on from there.")
    ] = Path("runs/janus-emoji"),
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:1, mps or cpu.")] = "auto",
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Train janus-emoji on this machine, without network or data.

    \b
    janus train emoji --out my-emoji --run runs/my-emoji
    """
    if not messages.quiet:
        logging.getLogger("janus").setLevel(logging.INFO)
    from janus.training.emoji.train import train

    model = train(output=out, run=run, device=device)
    if results.json:
        results.print_json({"path": str(out), "parameters": model.num_parameters})
    else:
        results.print(str(out))
