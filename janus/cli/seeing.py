"""`janus caption` and `janus ask`: pictures in, words out.

One picture: the words as they come. Several: a line for each, and one that cannot be read does not
stop the others.
"""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus.cli.common import Failures, command, read_stdin
from janus.cli.options import Messages, ModelOptions, Results, TextOptions
from janus.errors import PictureError, UsageError
from janus.generation.params import TextParams, settings_from

if TYPE_CHECKING:
    from janus.pipeline import Janus

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILES...", help="Pictures; - reads one from standard input."),
]


@command
def caption(
    files: Files, text: TextOptions, model: ModelOptions, results: Results, messages: Messages
) -> None:
    """Say what pictures show.

    \b
    janus caption photo.jpg
    janus caption *.png --json > captions.jsonl
    cat photo.jpg | janus caption -
    """
    settings = _checked(text)
    janus = model.load(messages)
    from janus.pipeline import CAPTION_REQUEST

    _answer_each(janus, [[file] for file in files], CAPTION_REQUEST, settings, results)


@command
def ask(
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILES...", help="Pictures; - reads one from standard input."),
    ] = None,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask.")],
    text: TextOptions,
    together: Annotated[
        bool, typer.Option("--together", help="One question about all pictures at once.")
    ] = False,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Ask a question about pictures.

    \b
    janus ask photo.jpg "How many dogs are there?"
    janus ask left.png right.png "What is different?" --together
    janus ask *.jpg "Is it day or night?" --json
    """
    files = files or []
    if not files and os.path.isfile(question):
        raise UsageError("There is no question.", f'Such as: janus ask {question} "What is this?"')
    settings = _checked(text)
    shown = [files] if together or not files else [[file] for file in files]
    _answer_each(model.load(messages), shown, question, settings, results)


def _checked(text: TextOptions) -> dict[str, Any]:
    """The settings; wrong ones are refused before the model is loaded."""
    settings = text.given()
    settings_from(TextParams, settings)
    return settings


def _answer_each(
    janus: "Janus",
    shown: Sequence[Sequence[str]],
    question: str,
    settings: dict[str, Any],
    results: Results,
) -> None:
    failures = Failures()
    for files in shown:
        with failures.noted(PictureError):
            pictures = [read_stdin() if file == "-" else file for file in files]
            if results.json:
                answer = _describe(janus, pictures, question, settings)
                results.print_json({"files": files, "question": question, **answer})
            elif len(shown) > 1:
                line = " ".join(janus.ask(pictures, question, **settings).split())
                results.print(f"{files[0]}: {line}")
            else:
                for piece in janus.ask_stream(pictures, question, **settings):
                    results.print(piece, end="")
                results.print("")
    failures.exit()


def _describe(
    janus: "Janus", pictures: Sequence[Any], question: str, settings: dict[str, Any]
) -> dict[str, Any]:
    started = time.perf_counter()
    result = janus.answer(janus.text_request(pictures, question, **settings))
    return {
        "text": result.text,
        "finish_reason": result.finish_reason,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "seconds": round(time.perf_counter() - started, 3),
    }
