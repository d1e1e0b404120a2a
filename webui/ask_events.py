"""What happens when somebody asks: pieces of the answer become updates of the conversation.

The question box is emptied once the model has accepted the question, and filled again should the
answer fail, so that nothing typed is ever lost.
"""

from collections.abc import Iterator
from contextlib import closing

import gradio as gr

from janus.errors import UsageError
from webui import markup
from webui.answering import answers
from webui.ask_layout import AskLayout
from webui.conversation import Turn, Turns, answered, messages
from webui.errors import errors_as, toast
from webui.events import ENGINE, OFF, ON, PAGE, StartStop, Update
from webui.loader import ModelLoader
from webui.spoken import spoken_to
from webui.words import Words, words_of

Pictures = list[tuple[str, str | None]] | None  # as gr.Gallery gives them: paths and captions


class AskEvents:
    """Connects the tab to the model."""

    def __init__(self, page: AskLayout, loader: ModelLoader) -> None:
        self.page, self.loader = page, loader
        self.buttons = StartStop(page.start, page.stop)
        self._connect()

    def ask(
        self, question: str, pictures: Pictures, turns: Turns, request: gr.Request
    ) -> Iterator[Update]:
        box, words = self.page.question, words_of(request)
        with errors_as(toast(words)):
            if not question.strip():
                raise UsageError("The question is empty.", "Type one, or press Describe.")
            turn = Turn(_paths(pictures), question.strip())
            yield from self._answer(words, turn, turns, accepted={box: ""}, failed={box: question})

    def describe(self, pictures: Pictures, turns: Turns, request: gr.Request) -> Iterator[Update]:
        words = words_of(request)
        with errors_as(toast(words)):
            if not pictures:
                raise UsageError("There is no picture.", "Drop, paste or upload one first.")
            spoken = spoken_to(self.loader.state.name, words)
            turn = Turn(_paths(pictures), spoken("ask.describe.question"))
            yield from self._answer(words, turn, turns, accepted={}, failed={})

    def _answer(
        self, words: Words, turn: Turn, turns: Turns, *, accepted: Update, failed: Update
    ) -> Iterator[Update]:
        yield self.buttons.begun()
        calm = {self.page.status: markup.note("")}
        try:
            for _ in self.loader.waiting():
                yield {self.page.status: markup.note(words("wait.model"))}
            asked = (*turns, turn)
            with closing(answers(self.loader.model(), asked)) as growing:
                yield self._show(asked) | accepted | calm
                for answer in growing:
                    yield self._show(answered(asked, answer))
        except Exception:
            yield self._show(turns) | failed | calm
            raise

    def _show(self, turns: Turns) -> Update:
        return {self.page.chat: messages(turns), self.page.turns: turns}

    def _connect(self) -> None:
        page = self.page
        triggers = [page.question.submit, page.start.click]
        outputs = [page.chat, page.turns, page.question, page.status, page.stop]
        self.buttons.begin([*triggers, page.describe.click], {page.describe: OFF, page.clear: OFF})
        asked = gr.on(
            triggers, self.ask, [page.question, page.pictures, page.turns], outputs, **ENGINE
        )
        described = page.describe.click(
            self.describe, [page.pictures, page.turns], outputs, **ENGINE
        )
        # A piece of the answer may arrive after `stop`: at the end nothing can follow a `clear`.
        self.buttons.end(asked, described, others={page.describe: ON, page.clear: ON})
        page.clear.click(lambda: ([], ()), outputs=[page.chat, page.turns], **PAGE)


def _paths(pictures: Pictures) -> tuple[str, ...]:
    return tuple(path for path, _ in pictures or ())
