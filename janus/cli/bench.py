"""`janus bench`: how fast a model draws and sees on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions, Results
from janus.errors import MissingExtraError, ServerError, UsageError
from janus.plaintext import table

if TYPE_CHECKING:
    from janus.engine.request import ImageRequest, TextRequest
    from janus.evaluation.bench_openvino import OpenVino
    from janus.evaluation.bench_peer import Transformers
    from janus.model.model import JanusModel
    from janus.pipeline import Janus

PEERS = ("transformers", "openvino")
SUITES = ("gpu",)
NUM_COMPARED = 8  # ids


@command
def bench(
    context: typer.Context,
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
    drawings: Annotated[
        int,
        typer.Option(
            min=0,
            help="Whole pictures to draw: with and without guessing ids, alone and in company.",
        ),
    ] = 0,
    against: Annotated[
        str | None,
        typer.Option(metavar="transformers|openvino", help="Time the same weights there too."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the figures as a picture, too.")
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(metavar="gpu", help="Measure all that a GPU can show instead, in minutes."),
    ] = None,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Measure speed: milliseconds a step, pictures a second, share of the memory's speed.

    \b
    janus bench
    janus bench --drawings 12
    janus bench --random janus-pro-1b --quantize int8 --against transformers
    janus bench --random janus-pro-1b --quantize int8 --against openvino
    janus bench --random janus-pro-1b --pictures 1,4,8 --json
    janus bench --suite gpu
    janus bench serve http://127.0.0.1:8000 --clients 50

    Run it on a machine that does nothing else.
    """
    from janus.evaluation.bench import likeliest, same_in_company, time_guessing
    from janus.evaluation.bench_picture import draw_bench
    from janus.evaluation.bench_report import measure
    from janus.figures import require_matplotlib, save_picture

    if context.invoked_subcommand is not None:
        return
    if suite is not None:
        _run_suite(suite, results, messages)
        return
    if plot is not None:
        require_matplotlib()
    if against not in (None, *PEERS):
        raise UsageError(f"against is {against!r}.", f"Use {', '.join(PEERS)}.")
    if random is not None and model.model is not None:
        raise UsageError("There are --model and --random.", "Give one of them.")
    if random is not None and drawings:
        raise UsageError(
            "Guessing the ids of a random model says nothing.", "Leave out --drawings, or --random."
        )
    if random is not None and (model.device not in ("auto", "cpu") or model.dtype is not None):
        raise UsageError(
            "Random models are in bfloat16 and on the CPU.", "Leave out --device and --dtype."
        )
    name = random or model.name
    several, wide = _numbers(pictures, "pictures"), _numbers(windows, "windows")
    janus = None if random else model.load(messages)
    ours = janus.model if janus else _random(name, model)
    theirs = _theirs(against, random, model, messages) if against else None
    figures = measure(
        ours,
        steps=steps,
        pictures=several,
        windows=wide,
        against=theirs,
        on_part=lambda part: messages.note(f"Measuring {part} ..."),
    )
    if janus and drawings:
        messages.note("Measuring whole pictures ...")
        requests = _drawings(janus, drawings)
        figures |= time_guessing(ours, requests)
        figures["company.same_ids"] = same_in_company(ours, requests, _answers(janus))
    if theirs is not None and ours.quantization is None:
        figures["same_ids"] = theirs.likeliest(NUM_COMPARED) == likeliest(ours, NUM_COMPARED)
    subject = {"model": name, "random": random is not None, "number_type": ours.number_type}
    if plot is not None:
        save_picture(draw_bench(subject | figures), plot)
    if results.json:
        results.print_json({**subject, **figures})
    else:
        results.print(table([(key, _shown(value)) for key, value in (subject | figures).items()]))


@command
def serve(
    url: Annotated[str, typer.Argument(help="Of a running service.")] = "http://127.0.0.1:8000",
    *,
    clients: Annotated[
        int, typer.Option(min=1, help="That each wait for their reply and ask again.")
    ] = 50,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="New requests a second instead, whoever still waits.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 30.0,
    draw_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the requests, how many are drawings.")
    ] = 0.3,
    key: Annotated[
        str | None,
        typer.Option(envvar="JANUS_API_KEY", help="The API key.", show_default=False),
    ] = None,
    results: Results,
    messages: Messages,
) -> None:
    """Load a running service with chats and drawings: latencies, refusals, lost and wrong replies.

    \b
    janus bench serve
    janus bench serve http://127.0.0.1:8000 --clients 200 --seconds 60
    janus bench serve http://127.0.0.1:8000 --rate 4 --json

    Run it on another machine than the service, or leave it cores of its own.
    """
    import asyncio

    try:
        import httpx

        from janus.evaluation.bench_serve import measure
    except ImportError as error:
        raise MissingExtraError(
            f"The load test cannot start: {error}.",
            "Install it with: pip install 'janus-multimodal[server]'",
        ) from error
    messages.note(f"Asking {url} ...")
    load = measure(url, clients=clients, seconds=seconds, rate=rate, draw_share=draw_share, key=key)
    try:
        figures = asyncio.run(load)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(
            f"{url} does not answer as a service does: {error}.", "Start one with: janus serve"
        ) from error
    if results.json:
        results.print_json({"url": url, **figures})
    else:
        results.print(table([(name, _shown(value)) for name, value in figures.items()]))


def _run_suite(suite: str, results: Results, messages: Messages) -> None:
    from janus.devices import choose_device
    from janus.evaluation.gpu_suite import published

    if suite not in SUITES:
        raise UsageError(f"suite is {suite!r}.", f"Use {', '.join(SUITES)}.")
    choose_device("cuda")
    parts = {}
    for part, figures in published():
        messages.note(f"{part}: {', '.join(f'{key} {_shown(x)}' for key, x in figures.items())}")
        parts[part] = figures
    if results.json:
        results.print_json({"suite": suite, "parts": parts})
    else:
        rows = [(p, key, _shown(x)) for p, figures in parts.items() for key, x in figures.items()]
        results.print(table(rows))


def _drawings(janus: "Janus", num: int) -> "list[ImageRequest]":
    """Of things that most models know, each with another seed."""
    from janus.evaluation.precision import PROMPTS

    return [janus.image_request(PROMPTS[i % len(PROMPTS)], seed=i) for i in range(num)]


def _answers(janus: "Janus") -> "list[TextRequest]":
    """To questions about a picture; without an end, so that no drawing is soon by itself."""
    from PIL import Image

    from janus.evaluation.precision import PROMPTS

    picture = Image.new("RGB", (janus.image_size, janus.image_size), "orange")
    length = janus.model.config.num_image_tokens
    asked = (
        janus.text_request(picture, f"Is this {prompt}?", seed=i, temperature=1, max_tokens=length)
        for i, prompt in enumerate(PROMPTS)
    )
    return [replace(request, eos_ids=frozenset()) for request in asked]


def _random(name: str, options: ModelOptions) -> "JanusModel":
    from janus.evaluation.random_model import random_model, size_named

    return random_model(size_named(name), quantize=options.quantize)


def _theirs(
    against: str, random: str | None, options: ModelOptions, messages: Messages
) -> "Transformers | OpenVino":
    from janus.evaluation.bench_openvino import OpenVino
    from janus.evaluation.bench_peer import Transformers
    from janus.evaluation.random_model import random_model, size_named

    if random is None:
        whole = replace(options, quantize=None).load(messages).model
        if whole.quantization is not None:
            raise UsageError(
                f"{options.name} is quantized, which {against} does not read.",
                "Leave out --against, or give the whole weights and --quantize.",
            )
    else:
        whole = random_model(size_named(random), packed=False)
    if against == "openvino":
        return OpenVino(whole, quantize=options.quantize)
    return Transformers(whole)


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
