"""`janus bench`: how fast a model draws and sees on this machine."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command, table
from janus.cli.options import Messages, ModelOptions, Results
from janus.errors import UsageError

if TYPE_CHECKING:
    from janus.evaluation.bench_peer import Transformers
    from janus.model.model import JanusModel

PEERS = ("transformers",)
NUM_COMPARED = 8  # ids


@command
def bench(
    *,
    random: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Random weights of this model's size; nothing is downloaded."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=3, help="Passes that each figure is from.")] = 24,
    pictures: Annotated[
        str, typer.Option(metavar="N,N,...", help="How many pictures to draw at once.")
    ] = "1",
    windows: Annotated[
        str, typer.Option(metavar="N,N,...", help="How many ids of a picture to check a pass.")
    ] = "",
    against: Annotated[
        str | None, typer.Option(metavar="transformers", help="Time the same weights there too.")
    ] = None,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Measure speed: milliseconds a step, pictures a second, share of the memory's speed.

    \b
    janus bench
    janus bench --random janus-pro-1b --quantize int8 --against transformers
    janus bench --random janus-pro-1b --pictures 1,4,8 --json

    Run it on a machine that does nothing else.
    """
    from janus.evaluation.bench import likeliest
    from janus.evaluation.bench_report import measure

    if against not in (None, *PEERS):
        raise UsageError(f"against is {against!r}.", f"Use {', '.join(PEERS)}.")
    if random is not None and model.model is not None:
        raise UsageError("There are --model and --random.", "Give one of them.")
    if random is not None and (model.device not in ("auto", "cpu") or model.dtype is not None):
        raise UsageError(
            "Random models are in bfloat16 and on the CPU.", "Leave out --device and --dtype."
        )
    name = random or model.name
    several, wide = _numbers(pictures, "pictures"), _numbers(windows, "windows")
    ours = _ours(random, model, messages)
    theirs = _theirs(random, model, messages) if against else None
    figures = measure(
        ours,
        steps=steps,
        pictures=several,
        windows=wide,
        against=theirs,
        on_part=lambda part: messages.note(f"Measuring {part} ..."),
    )
    if theirs is not None and ours.quantization is None:
        figures["same_ids"] = theirs.likeliest(NUM_COMPARED) == likeliest(ours, NUM_COMPARED)
    subject = {"model": name, "random": random is not None, "number_type": ours.number_type}
    if results.json:
        results.print_json({**subject, **figures})
    else:
        results.print(table([(key, _shown(value)) for key, value in (subject | figures).items()]))


def _ours(random: str | None, options: ModelOptions, messages: Messages) -> "JanusModel":
    if random is None:
        return options.load(messages).model
    from janus.evaluation.random_model import random_model, size_named

    return random_model(size_named(random), quantize=options.quantize)


def _theirs(random: str | None, options: ModelOptions, messages: Messages) -> "Transformers":
    from janus.evaluation.bench_peer import Transformers
    from janus.evaluation.random_model import random_model, size_named

    if random is None:
        whole = replace(options, quantize=None).load(messages).model
        if whole.quantization is not None:
            raise UsageError(
                f"{options.name} is quantized, which transformers does not read.",
                "Leave out --against, or give the whole weights and --quantize.",
            )
        return Transformers(whole)
    return Transformers(random_model(size_named(random), packed=False))


def _numbers(text: str, option: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",") if part]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise UsageError(f"--{option} is {text!r}.", "Give whole numbers such as 1,4,8.")
    return numbers


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
