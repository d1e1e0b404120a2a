"""`janus eval`: measurements of a model, as tables or JSON."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions, Offline, Results, knob
from janus.generation.params import DrawParams
from janus.plaintext import table
from weights.catalog import BUNDLED

if TYPE_CHECKING:
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
    limit: Annotated[
        int, typer.Option(min=1, help="Prompts of each category, and scenes of each kind.")
    ] = 50,
    guidance: Annotated[float | None, knob(DrawParams, "guidance")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Save 64 of the drawings as one PNG, wrong ones marked.")
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
    janus eval emoji --limit 10 --sheet drawings.png
    janus eval emoji --json > exam.json

    Each prompt is drawn four times. Drawings are marked by a judge that uses no model; the rows
    "ceiling" are its marks on true pictures, and on pictures that only went through the VQ
    tokenizer and back. JSON has every drawing too, with its prompt, its seed and the verdict.
    """
    from janus.evaluation.emoji import take_exam
    from janus.evaluation.emoji_sheet import draw_sheet
    from janus.figures import require_matplotlib, save_picture

    if sheet is not None:
        require_matplotlib()
    janus = _load(model, shuffle, messages)
    if guidance is not None:
        janus.guidance = DrawParams(guidance=guidance).guidance
    exam = take_exam(janus, limit=limit)
    subject = {"guidance": janus.guidance}
    if shuffle is not None:
        subject["shuffled_routers"] = shuffle
    if sheet is not None:
        save_picture(draw_sheet(exam.sample(64)), sheet)
    if results.json:
        drawings = [drawing.record() for drawing in exam.drawings]
        confusions = [
            {"wanted": wanted, "found": found, "times": times}
            for wanted, found, times in exam.confusions
        ]
        lists = {"confusions": confusions, "drawings": drawings}
        results.print_json({"model": janus.name, **subject, **exam.marks, **lists})
    else:
        rows = [(name, f"{value:g}") for name, value in subject.items()]
        rows += [(name, f"{mark:.3f}") for name, mark in exam.marks.items()]
        worst = [
            (f"{wanted}, drawn as {found}", str(times))
            for wanted, found, times in exam.confusions[:10]
        ]
        results.print(table([*rows, *worst]))


@command
def guidance(
    strengths: Annotated[
        list[float] | None,
        typer.Argument(metavar="STRENGTH...", help="Such as 1 3 5. [default: eight from 1 to 10]"),
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Prompts of each category.")] = 20,
    picture: Annotated[Path | None, typer.Option(help="Save the curve as a PNG.")] = None,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Mark drawings of emoji scenes at several strengths of guidance.

    \b
    janus eval guidance
    janus eval guidance 1 2 5 --limit 5 --picture guidance.png
    """
    from janus.evaluation.emoji_guidance import STRENGTHS, draw_curve, measure_guidance
    from janus.figures import require_matplotlib, save_picture

    if picture is not None:
        require_matplotlib()
    chosen = [DrawParams(guidance=strength).guidance for strength in strengths or STRENGTHS]
    janus = model.load(messages)
    with messages.progress("Drawing") as show:
        marks = measure_guidance(janus, limit=limit, strengths=chosen, on_progress=show)
    if results.json:
        rows = [{"guidance": strength, **found} for strength, found in marks.items()]
        results.print_json({"model": janus.name, "guidance": rows})
    else:
        names = list(marks[chosen[0]])
        header = ("guidance", *(name.removeprefix("drawing.") for name in names))
        rows = [(f"{s:g}", *(f"{found[n]:.3f}" for n in names)) for s, found in marks.items()]
        results.print(table([header, *rows]))
    if picture is not None:
        save_picture(draw_curve(marks, janus.name), picture)


@command
def precision(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help=f"A name, a hub id or a folder. [env: JANUS_MODEL; default: {BUNDLED}]",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="TYPE", help="The number type that the others are held against.")
    ] = "float32",
    types: Annotated[
        str, typer.Option(metavar="TYPE,TYPE,...", help="float16 (on a GPU), bfloat16, int8, int4.")
    ] = "bfloat16,int8,int4",
    device: Device = "auto",
    offline: Offline = False,
    *,
    results: Results,
    messages: Messages,
) -> None:
    """Measure what fewer bits change: logits, and the likeliest words and image codes.

    \b
    janus eval precision
    janus eval precision janus-pro-1b --against bfloat16 --types int8,int4

    The same ids are given to all; the models are loaded one after the other. `janus eval emoji
    --quantize int4` shows what it means for the bundled model's drawings.
    """
    from janus.evaluation.precision import compare
    from janus.model.quantized import QUANTIZATIONS

    subject = ModelOptions(model=model)

    def load(number_type: str) -> "Janus":
        is_packed = number_type in QUANTIZATIONS
        return replace(
            subject,
            device=device,
            offline=offline,
            dtype=None if is_packed else number_type,
            quantize=number_type if is_packed else None,
        ).load(messages)

    found = compare(load, against, [name for name in types.split(",") if name])
    if results.json:
        rows = [asdict(agreement) for agreement in found]
        results.print_json({"model": subject.name, "against": against, "types": rows})
    else:
        header = ("TYPE", "WORDS: ERROR", "SAME", "CODES: ERROR", "SAME")
        rows = [
            (
                each.number_type,
                f"{each.words_error:.2g}",
                f"{each.words_same:.1%}",
                f"{each.codes_error:.2g}",
                f"{each.codes_same:.1%}",
            )
            for each in found
        ]
        results.print(f"{subject.name}, against {against}\n\n{table([header, *rows])}")


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
    from janus.evaluation.routing_picture import draw_routing
    from janus.evaluation.routing_work import prepare_work
    from janus.figures import require_matplotlib, save_picture

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
        save_picture(draw_routing(report), picture)


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


def _silence_transformers() -> None:
    """It draws its own progress bars and warns of what it will change one day."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
