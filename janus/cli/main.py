"""`janus`: the table of commands. Importing it loads neither torch nor transformers."""

import sys
from typing import Annotated

import typer

from janus import __version__
from janus.cli import (
    bench,
    chat,
    doctor,
    drawing,
    evaluation,
    info,
    seeing,
    serve,
    space,
    train,
    web,
    weights,
)
from janus.cli.common import EXIT_CODES

PLAIN = {
    "rich_markup_mode": None,  # rich would take longer to import than everything else together
    "pretty_exceptions_enable": False,
    "no_args_is_help": True,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
_CODES = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    name="janus",
    epilog=f"\b\nExit codes:\n{_CODES}\n\nStandard output carries results only.",
    **PLAIN,
)
app.command()(seeing.caption)
app.command()(seeing.ask)
app.command()(drawing.draw)
app.command()(chat.chat)
app.command()(web.web)
app.command()(serve.serve)
app.command()(info.info)
app.command()(doctor.doctor)

bench_app = typer.Typer(invoke_without_command=True, **{**PLAIN, "no_args_is_help": False})
bench_app.callback()(bench.bench)
bench_app.command("serve")(bench.serve)
app.add_typer(bench_app, name="bench")

weights_app = typer.Typer(help="List, download, check, upcycle and quantize models.", **PLAIN)
weights_app.command("list")(weights.list_models)
weights_app.command("get")(weights.get)
weights_app.command("verify")(weights.verify)
weights_app.command("upcycle")(weights.upcycle)
weights_app.command("quantize")(weights.quantize)
app.add_typer(weights_app, name="weights")

space_app = typer.Typer(
    help="Put the studio on Hugging Face, as a Space.\n\n\b\n"
    "janus space build ./space\n"
    "janus space push ada/janus --dry-run",
    **PLAIN,
)
space_app.command()(space.build)
space_app.command()(space.push)
app.add_typer(space_app, name="space")

evaluation_app = typer.Typer(help="Measure a model.", **PLAIN)
evaluation_app.command()(evaluation.parity)
evaluation_app.command()(evaluation.emoji)
evaluation_app.command()(evaluation.guidance)
evaluation_app.command()(evaluation.precision)
evaluation_app.command()(evaluation.routing)
app.add_typer(evaluation_app, name="eval")

train_app = typer.Typer(help="Train a model.", **PLAIN)
train_app.command()(train.emoji)
train_app.command()(train.curves)
app.add_typer(train_app, name="train")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"janus {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """One model that sees and draws.

    \b
    janus caption photo.jpg
    janus ask photo.jpg "How many dogs are there?"
    janus draw "two red hearts" -n 4 --seed 7
    janus draw --like picture.png          the same picture again
    janus web                              the studio in your browser
    janus serve                            the same for programs, as OpenAI's API
    """


def main() -> None:
    """The entry point of the `janus` script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its number, instead of ending the command.
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    app()
