"""What happens when somebody asks: pieces of the answer become updates of the conversation.

The question box is emptied once the model has accepted the question, and filled again should the
answer fail, so that nothing typed is ever lost.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from janus.errors import UsageError
from webui import markup
from webui.answering import answers
from webui.ask_layout import AskLayout
from webui.conversation import Turn, Turns, answered, asked_again, edited, messages
from webui.errors import errors_as, toast
from webui.events import (
    ENGINE,
    HIDDEN,
    IN_TURN,
    OFF,
    ON,
    PAGE,
    SHOWN,
    StartStop,
    Update,
    endings,
    in_browser,
)
from webui.expert_events import for_answer
from webui.line import Line
from webui.loader import ModelLoader
from webui.looking import glowing
from webui.part_events import PartEvents, Pictures
from webui.parts import Box
from webui.spoken import GAP, chips_for
from webui.words import Words, words_of

FREER = 0.7  # temperature of another answer to the same question
_SELECT_GAP = f"""(question) => {{
    const box = document.querySelector('#question textarea'), at = question.indexOf('{GAP}');
    if (at < 0) return;
    box.focus();
    box.setSelectionRange(at, at + 1);
}}"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Turns of which the last is to be answered, and what then becomes of the question box."""

    turns: Turns
    accepted: Update = field(default_factory=dict)
    failed: Update = field(default_factory=dict)
    again: bool = False  # the same question, for which another answer is wanted


class AskEvents:
    """Connects the tab to the model, and to the prompt that an answer may become."""

    def __init__(
        self,
        page: AskLayout,
        loader: ModelLoader,
        tabs: gr.Tabs,
        prompt: gr.Textbox,
        line: Line,
    ) -> None:
        self.page, self.loader, self.line = page, loader, line
        self.tabs, self.prompt = tabs, prompt
        self.buttons = StartStop(page.start, page.stop)
        self.part = PartEvents(page.part, page.pictures)
        self._connect()

    def ask(
        self,
        question: str,
        pictures: Pictures,
        part_of: str | None,
        left: float,
        top: float,
        right: float,
        bottom: float,
        max_tokens: int,
        temperature: float,
        turns: Turns,
        event: gr.EventData,
        request: gr.Request,
    ) -> Iterator[Update]:
        """One function for all that asks: while it runs, Gradio does not let it begin again."""
        words = words_of(request)
        with errors_as(toast(words)):
            yield self.buttons.begun()
            chosen = self._chosen(event, words)
            if chosen and GAP in chosen:
                yield {self.page.question: chosen}
                return
            box = Box(left, top, right, bottom)
            table = self.part.cut_out(_paths(pictures), part_of, box)
            asked = self._asked(event, chosen, question, table, turns)
            if asked.again:
                temperature = temperature or FREER
            settings = {"max_tokens": max_tokens, "temperature": temperature}
            with self.line.place() as place:
                for number in place.waiting():
                    said = words("wait.line", number=number, together=self.line.at_once)
                    yield {self.page.status: markup.note(said)}
                yield from self._answer(words, asked, turns, settings)

    def _chosen(self, event: gr.EventData, words: Words) -> str | None:
        """The question of the chip that was clicked."""
        places = [chip.elem_id for chip in self.page.chips]
        if _place(event) not in places:
            return None
        return chips_for(self.loader.name, words)[places.index(_place(event))].question

    def _asked(
        self,
        event: gr.EventData,
        chosen: str | None,
        question: str,
        pictures: tuple[str, ...],
        turns: Turns,
    ) -> Asked:
        if _place(event) == self.page.chat.elem_id:
            return self._changed(turns, event, draft=question)
        if chosen:
            if not pictures:
                raise UsageError("There is no picture.", "Drop, paste or upload one first.")
            return Asked((*turns, Turn(pictures, chosen)))
        question = _typed(question)
        box = self.page.question
        return Asked((*turns, Turn(pictures, question)), {box: ""}, {box: question})

    def _changed(self, turns: Turns, event: gr.EventData, *, draft: str) -> Asked:
        """What the buttons below a message ask for: another answer, or another question."""
        if getattr(event, "previous_value", None) is None:
            return Asked(asked_again(turns), again=True)
        question = _typed(event.value)
        failed = {self.page.question: draft or question}
        return Asked(edited(turns, event.index, question), failed=failed)

    def _answer(
        self, words: Words, asked: Asked, before: Turns, settings: dict[str, Any]
    ) -> Iterator[Update]:
        calm = {self.page.status: markup.note("")}
        try:
            for _ in self.loader.waiting():
                yield {self.page.status: markup.note(words("wait.model"))}
            with closing(answers(self.loader.model(), asked.turns, **settings)) as growing:
                yield self._show(asked.turns) | asked.accepted | calm
                for answer in growing:
                    yield self._show(answered(asked.turns, answer))
        except Exception:
            yield self._show(before) | asked.failed | calm
            raise

    def _show(self, turns: Turns) -> Update:
        return {self.page.chat: messages(turns), self.page.turns: turns}

    def look(self, turns: Turns, request: gr.Request) -> Iterator[Update]:
        words = words_of(request)
        yield {self.page.status: markup.note(words("ask.look.begin"))}
        try:
            with errors_as(toast(words)):
                shown = glowing(self.loader.model(), turns)
            yield {self.page.looked: gr.update(**SHOWN), self.page.glow: shown}
        finally:
            yield {self.page.status: markup.note("")}

    def _offer(self, turns: Turns) -> Update:
        """What can be done with the last answer."""
        answer, pictures = (turns[-1].answer, turns[-1].pictures) if turns else ("", ())
        return {
            self.page.look: gr.update(interactive=bool(answer and pictures)),
            self.page.draw: gr.update(interactive=bool(answer)),
            self.page.experts.button: gr.update(interactive=bool(answer)),
        }

    def _connect(self) -> None:
        self._connect_asking()
        self._connect_answer()

    def _connect_asking(self) -> None:
        page = self.page
        triggers = [
            *(page.question.submit, page.start.click, page.chat.retry, page.chat.edit),
            *(chip.click for chip in page.chips),
        ]
        others = [*page.chips, page.clear]
        about_the_last = {page.look: OFF, page.draw: OFF, page.experts.button: OFF}
        about_the_last |= {page.looked: HIDDEN, page.experts.worked: HIDDEN}
        self.buttons.begin(triggers, dict.fromkeys(others, OFF) | about_the_last)
        asking = gr.on(
            triggers,
            self.ask,
            inputs=[
                *(page.question, page.pictures, *page.part.chosen),
                *(page.max_tokens, page.temperature, page.turns),
            ],
            outputs=[page.chat, page.turns, page.question, page.status, page.stop],
            **IN_TURN,
        )
        # A piece of the answer may arrive after `stop`: at the end nothing can follow a `clear`.
        self.buttons.end(asking, others=dict.fromkeys(others, ON))
        page.stop.click(None, cancels=[asking], **PAGE)
        offered = [page.look, page.draw, page.experts.button]
        for listen in endings(asking):
            listen(None, page.question, js=_SELECT_GAP, **PAGE)
            listen(self._offer, page.turns, offered, **PAGE)
        in_browser([page.clear.click], about_the_last)
        page.clear.click(lambda: ([], ()), outputs=[page.chat, page.turns], **PAGE)

    def _connect_answer(self) -> None:
        page = self.page
        in_browser([page.look.click], {page.look: OFF})
        looking = page.look.click(
            self.look, page.turns, [page.looked, page.glow, page.status], **ENGINE
        )
        offered = [page.look, page.draw, page.experts.button]
        for listen in endings(looking):
            listen(self._offer, page.turns, offered, **PAGE)
        page.experts.connect(self.loader, for_answer, [page.turns])
        page.draw.click(
            lambda turns: (gr.Tabs(selected="draw"), turns[-1].answer),
            page.turns,
            [self.tabs, self.prompt],
            **PAGE,
        )


def _place(event: gr.EventData) -> str | None:
    """Where it happened: not the component itself, of which Gradio gives a copy."""
    return event.target.elem_id if event.target else None


def _typed(question: str) -> str:
    if not question.strip():
        raise UsageError("The question is empty.", "Type one, or press Describe.")
    return question.strip()


def _paths(pictures: Pictures) -> tuple[str, ...]:
    return tuple(path for path, _ in pictures or ())
