"""`janus eval`: measurements of a model, as tables or JSON."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command, table
from janus.cli.options import Messages, ModelOptions, Offline, Results
from janus.errors import SaveError
from weights.catalog import BUNDLED

if TYPE_CHECKING:
    from PIL import Image

    from janus.evaluation.routing_report import Routing
    from janus.pipeline import Janus

Device = Annotated[str, typer.Option(envvar="JANUS_DEVICE", help="Where to compute.")]
SHUFFLE_HELP = "First exchange the rows of every router at random, with this seed."


@command
def parity(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, a hub id or a folder.")],
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Device = "auto",
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
    shuffle: Annotated[
        int | None, typer.Option("--shuffle-routers", metavar="SEED", help=SHUFFLE_HELP)
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

    janus = _load(model, shuffle, messages)
    exam = take_exam(janus, num_scenes=scenes, num_drawings=drawings)
    shuffled = {} if shuffle is None else {"shuffled_routers": shuffle}
    if sheet is not None:
        _save(draw_sheet(exam.sample(64)), sheet)
    if results.json:
        results.print_json({**shuffled, **exam.marks})
    else:
        rows = [(name, f"with seed {seed}") for name, seed in shuffled.items()]
        rows += [(name, f"{mark:.3f}") for name, mark in exam.marks.items()]
        results.print(table(rows))


@command
def routing(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help=f"A name, a hub id or a folder. [env: JANUS_MODEL; default: {BUNDLED}]",
        ),
    ] = None,
    *,
    scenes: Annotated[
        int, typer.Option(min=1, help="How many emoji scenes to ask about and to draw.")
    ] = 40,
    see: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Ask about this picture, not about scenes; repeatable."),
    ] = None,
    draw: Annotated[
        list[str] | None,
        typer.Option(metavar="PROMPT", help="Draw this, not the scenes; repeatable."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Save a PNG with a map of the experts for each modality.")
    ] = None,
    shuffle: Annotated[int | None, typer.Option(metavar="SEED", help=SHUFFLE_HELP)] = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    offline: Offline = False,
    results: Results,
    messages: Messages,
) -> None:
    """Count which experts a model uses for text, for pictures it sees and for those it draws.

    \b
    janus eval routing janus-emoji --picture routing.png
    janus eval routing ./my-model --see cat.jpg --see dog.jpg --draw "a red bicycle"

    Loads are in multiples of the fair share. Without pictures or prompts of yours, the model is
    asked about emoji scenes that no training saw, and to draw them.
    """
    from janus.evaluation.routing import measure_routing
    from janus.evaluation.routing_picture import draw_routing, require_matplotlib
    from janus.evaluation.routing_work import prepare_work

    if picture is not None:
        require_matplotlib()
    options = ModelOptions(model=model, device=device, dtype=dtype, offline=offline)
    janus = _load(options, shuffle, messages)
    work = prepare_work(janus, num_scenes=scenes, pictures=see or (), prompts=draw or ())
    with messages.progress("Answering and drawing") as show:
        report = replace(measure_routing(janus, work, on_progress=show), shuffled=shuffle)
    if results.json:
        results.print_json(report.figures())
    else:
        results.print(_routing_text(report))
    if picture is not None:
        _save(draw_routing(report), picture)


def _load(options: ModelOptions, shuffle: int | None, messages: Messages) -> "Janus":
    janus = options.load(messages)
    if shuffle is not None:
        from janus.evaluation.routing import shuffle_routers

        shuffle_routers(janus.model, shuffle)
    return janus


def _routing_text(report: "Routing") -> str:
    """A row for each layer, between what was done and how to read it."""
    from janus.evaluation.routing_report import MODALITIES

    tokens = ", ".join(f"{report.num_tokens(name)} {name}" for name in MODALITIES)
    num_all = len(report.layers) * report.num_experts
    return (
        f"{report.subject}: {report.num_chosen} of {report.num_experts} experts a token\n"
        f"{report.work}: {tokens} tokens\n\n"
        f"{table(_routing_rows(report))}\n\n"
        "Loads of the least and the most used expert, in multiples of the fair share, "
        f"1/{report.num_experts}.\n"
        "Starved, with less than a quarter of the fair share of all tokens: "
        f"{len(report.starved())} of {num_all} experts.\n"
        "Distances between modalities (Jensen-Shannon): 0 the same experts, 1 none in common."
    )


def _routing_rows(report: "Routing") -> list[tuple[str, ...]]:
    from janus.evaluation.routing_report import MODALITIES, PAIRS

    loads = [*(report.loads(name) for name in MODALITIES), report.total_loads()]
    distances = [report.distances(*pair) for pair in PAIRS]
    starved = [layer for layer, _, _ in report.starved()]
    names = ["layer", *MODALITIES, "all", "starved", *("-".join(pair) for pair in PAIRS)]
    rows = [tuple(name.upper() for name in names)]
    for i, layer in enumerate(report.layers):
        ranges = [f"{float(of[i].min()):.2f} to {float(of[i].max()):.2f}" for of in loads]
        apart = [f"{of[i]:.2f}" for of in distances]
        rows.append((str(layer), *ranges, str(starved.count(layer)), *apart))
    return rows


def _save(image: "Image.Image", path: Path) -> None:
    try:
        image.save(path, format="PNG")
    except OSError as error:
        raise SaveError(
            f"Cannot write '{path}': {error.strerror}.", "Choose a folder that you may write to."
        ) from error


def _silence_transformers() -> None:
    """It draws its own progress bars and warns of what it will change one day."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
