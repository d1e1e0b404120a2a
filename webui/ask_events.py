"""What happens when somebody asks: pieces of the answer become updates of the conversation.

The question box is emptied once the model has accepted the question, and filled again should the
answer fail, so that nothing typed is ever lost.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing

import gradio as gr

from janus.errors import UsageError
from webui import asking, markup
from webui.ask_layout import AskLayout
from webui.errors import toasts
from webui.events import ENGINE, PAGE, Update, exchange
from webui.loader import ModelLoader
from webui.pace import Pace
from webui.pictures import open_upload
from webui.texts import text

SECONDS_BETWEEN_PIECES = 0.08

Pictures = list[tuple[str, str | None]] | None  # as gr.Gallery gives them: paths and captions


class AskEvents:
    """Connects the tab to the model."""

    def __init__(self, page: AskLayout, loader: ModelLoader) -> None:
        self.page, self.loader = page, loader
        self._connect()

    def ask(self, question: str, pictures: Pictures, turns: asking.Turns) -> Iterator[Update]:
        with toasts():
            if not question.strip():
                raise UsageError(text("ask.no_question"), text("ask.no_question.hint"))
            turn = asking.Turn(_paths(pictures), question.strip())
            yield from self._answer(turn, turns, question)

    def describe(self, pictures: Pictures, turns: asking.Turns) -> Iterator[Update]:
        with toasts():
            if not pictures:
                raise UsageError(text("ask.no_picture"), text("ask.no_picture.hint"))
            turn = asking.Turn(_paths(pictures), text("ask.describe.question"))
            yield from self._answer(turn, turns)

    def _answer(
        self, turn: asking.Turn, turns: asking.Turns, typed: str | None = None
    ) -> Iterator[Update]:
        page = self.page
        for _ in self.loader.waiting():
            yield {page.status: markup.note(text("wait.model"))}
        pieces = self._begin(turn, turns)
        asked = (*turns, turn)
        box = {} if typed is None else {page.question: ""}
        yield self._show(asked) | box | {page.status: markup.note("")}
        try:
            with closing(pieces):
                for answer in _growing(pieces):
                    asked = asking.answered(asked, answer)
                    yield self._show(asked)
        except Exception:
            yield self._show(turns) | ({} if typed is None else {page.question: typed})
            raise

    def _begin(self, turn: asking.Turn, turns: asking.Turns) -> Generator[str]:
        pictures = [open_upload(path) for path in turn.pictures]
        told = asking.history(turns, turn.pictures)
        return self.loader.model().ask_stream(pictures, turn.question, history=told)

    def _show(self, turns: asking.Turns) -> Update:
        return {self.page.chat: asking.messages(turns), self.page.turns: turns}

    def _connect(self) -> None:
        page = self.page
        triggers = [page.question.submit, page.start.click]
        outputs = [page.chat, page.turns, page.question, page.status]
        exchange([*triggers, page.describe.click], hidden=page.start, shown=page.stop)
        answering = gr.on(
            triggers, self.ask, [page.question, page.pictures, page.turns], outputs, **ENGINE
        )
        describing = page.describe.click(
            self.describe, [page.pictures, page.turns], outputs, **ENGINE
        )
        endings = [answering.then, describing.then, page.stop.click, page.clear.click]
        exchange(endings, hidden=page.stop, shown=page.start)
        page.stop.click(None, cancels=[answering, describing], **PAGE)
        page.clear.click(
            lambda: ([], ()),
            outputs=[page.chat, page.turns],
            cancels=[answering, describing],
            **PAGE,
        )


def _paths(pictures: Pictures) -> tuple[str, ...]:
    return tuple(path for path, _ in pictures or ())


def _growing(pieces: Iterator[str]) -> Iterator[str]:
    """The answer so far, again and again, and at last the whole."""
    answer, shown, pace = "", "", Pace(SECONDS_BETWEEN_PIECES)
    for piece in pieces:
        answer += piece
        if pace.is_due():
            began = time.monotonic()
            yield (shown := answer)
            pace.shown(began)
    if answer != shown:
        yield answer
