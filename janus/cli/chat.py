"""`janus chat`: a conversation on standard input, typed or piped, a line for each turn."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus.cli.common import Failures, command
from janus.cli.drawing import draw_portions
from janus.cli.options import Messages, ModelOptions, Results, TextOptions
from janus.cli.targets import FileOptions, Target
from janus.errors import JanusError, UsageError, as_janus_error
from janus.generation.params import TextParams, settings_from

if TYPE_CHECKING:
    from janus.pipeline import Janus

COMMANDS = "/picture FILE, /draw PROMPT, /reset, /quit"


@command
def chat(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(metavar="PICTURES...", help="Shown with the first question."),
    ] = None,
    *,
    text: TextOptions,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Talk about pictures, a line for each turn.

    \b
    janus chat photo.jpg
    printf '%s\\n' "What is it?" "And its colour?" | janus chat photo.jpg

    \b
    /picture FILE   show another picture with the next question
    /draw PROMPT    draw, and save in this folder
    /reset          forget everything said and shown
    /quit           end; so does the end of the input
    """
    settings = text.given()
    settings_from(TextParams, settings)
    janus = model.load(messages)
    conversation = Conversation(janus, settings, results, messages)
    for picture in pictures or []:
        conversation.show(picture)
    messages.note(f"Ask away. Commands: {COMMANDS}")
    failures = Failures()
    for line in _lines():
        if line == "/quit":
            break
        with failures.noted(JanusError):
            conversation.take(line)
    failures.exit()


class Conversation:
    """What has been said so far, and the pictures that wait for the next question."""

    def __init__(
        self, janus: "Janus", settings: dict[str, Any], results: Results, messages: Messages
    ) -> None:
        self.janus, self.settings = janus, settings
        self.results, self.messages = results, messages
        self.history: list[dict[str, Any]] = []
        self.waiting: list[Any] = []

    def take(self, line: str) -> None:
        """Does what a line says."""
        word, _, rest = line.partition(" ")
        match word:
            case "/picture":
                self.show(rest.strip())
            case "/draw":
                self._draw(rest.strip())
            case "/reset":
                self.history, self.waiting = [], []
            case _ if word.startswith("/"):
                raise UsageError(f"There is no command {word}.", f"There are {COMMANDS}.")
            case _:
                self._ask(line)

    def show(self, file: str) -> None:
        """Reads a picture at once, so that a wrong name is noticed now."""
        from vision.pixels import load_picture

        try:
            self.waiting.append(load_picture(Path(file).expanduser()))
        except Exception as error:
            raise as_janus_error(error) or error from error

    def _ask(self, question: str) -> None:
        pieces: list[str] = []
        for piece in self.janus.ask_stream(
            self.waiting, question, history=self.history, **self.settings
        ):
            pieces.append(piece)
            if not self.results.json:
                self.results.print(piece, end="")
        answer = "".join(pieces)
        if self.results.json:
            self.results.print_json({"question": question, "text": answer})
        else:
            self.results.print("")
        self._remember(question, answer)

    def _remember(self, question: str, answer: str) -> None:
        self.history += [
            {"role": "user", "content": question, "pictures": []},
            {"role": "assistant", "content": answer},
        ]
        # The turn in which `Janus.ask` has just shown them.
        is_first = not any(message.get("pictures") for message in self.history)
        shown_in = self.history[0] if is_first else self.history[-2]
        shown_in["pictures"] = self.waiting
        self.waiting = []

    def _draw(self, prompt: str) -> None:
        target = Target.of(FileOptions(), several=False)
        for portion in draw_portions(self.janus, prompt, {}, self.messages):
            [(_, picture)] = portion
            path = target.save(picture, 1, self.results)
            if self.results.json:
                self.results.print_json({"prompt": prompt, "path": path})
            else:
                self.results.print(path)


def _lines() -> Iterator[str]:
    """Lines that say something; with a prompt and line editing where a person types them."""
    if not sys.stdin.isatty():
        yield from filter(None, map(str.strip, sys.stdin))
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  gives `input` its history

    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line:
            yield line
