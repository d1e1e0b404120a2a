"""`janus train`: trains the bundled model from nothing, and shows how training went."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, Results
from janus.errors import UsageError


@command
def emoji(
    out: Annotated[Path, typer.Option(help="Where the model goes.")] = Path("janus-emoji"),
    run: Annotated[
        Path, typer.Option(help="Where states and logs go; the same folder goes on from there.")
    ] = Path("runs/janus-emoji"),
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Of the longest stages, in which seeing and drawing are learned."),
    ] = None,
    dense: Annotated[
        bool, typer.Option("--dense", help="Without routed experts, at the same active size.")
    ] = False,
    encoders: Annotated[
        str | None,
        typer.Option(
            metavar="<model>",
            help="Take the vision encoder and the VQ tokenizer of this model, and train the rest.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:1, mps or cpu.")] = "auto",
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Train janus-emoji on this machine, without network or data.

    \b
    janus train emoji --out my-emoji --run runs/my-emoji
    janus train emoji --dense --out dense-emoji --run runs/dense-emoji
    janus train emoji --encoders janus-emoji --steps 1500
    """
    if not messages.quiet:
        logging.getLogger("janus").setLevel(logging.INFO)
    from janus.pipeline import Janus
    from janus.training.emoji.recipe import stages_of
    from janus.training.emoji.train import train

    stages = {} if steps is None else stages_of(steps)
    taken = None if encoders is None else Janus.from_pretrained(encoders).model
    model = train(output=out, run=run, dense=dense, encoders=taken, device=device, **stages)
    if results.json:
        results.print_json({"path": str(out), "parameters": model.num_parameters})
    else:
        results.print(str(out))


@command
def curves(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders that `janus train` wrote its logs to.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = Path(
        "curves.png"
    ),
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Draw the losses of one run, or of up to four side by side.

    \b
    janus train curves runs/janus-emoji runs/dense-emoji -o curves.png
    """
    from janus.training.curves import plot_curves

    for run in runs:
        if not (run / "log.jsonl").exists():
            raise UsageError(f"There is no log of a training run in {run}.")
    plot_curves(runs, output)
    results.print_json({"path": str(output)}) if results.json else results.print(str(output))
