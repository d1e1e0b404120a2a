"""What happens when somebody draws: frames of the drawing become updates of the page.

A picture is kept as soon as it is finished, whatever becomes of the others, and is shown as the
file that we wrote, because that carries its settings.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from janus.errors import SaveError
from janus.formats import Format
from webui import markup, stopping, style_chips
from webui.draw_layout import DrawLayout
from webui.drawing import Frame, frames
from webui.errors import errors_as, toast, warn
from webui.estimates import Estimates
from webui.events import (
    HIDDEN,
    IN_TURN,
    OFF,
    ON,
    PAGE,
    StartStop,
    Update,
    in_browser,
)
from webui.expert_events import for_drawing
from webui.finished import Drawn, Finished
from webui.given import Given
from webui.libraries import Libraries
from webui.line import Line, Place
from webui.loader import ModelLoader
from webui.stopping import StopSign
from webui.watching import Traces
from webui.words import Words, words_of

LONGEST_SEED = 30  # digits; Python reads no number of thousands of them
ROWS_A_PICTURE = 2  # of the engine; one where guidance is off


class DrawEvents:
    """Connects the tab to the model; finished pictures go to the library that `key` opens."""

    def __init__(
        self,
        page: DrawLayout,
        loader: ModelLoader,
        libraries: Libraries,
        key: Component,
        line: Line,
        estimates: Estimates,
    ) -> None:
        self.page, self.loader, self.libraries, self.key = page, loader, libraries, key
        self.line, self.estimates = line, estimates
        self.buttons, self.sign = StartStop(page.start, page.stop), gr.State(StopSign())
        self._connect()

    def draw(
        self,
        prompt: str,
        style: str,
        count: int,
        seed: str,
        guidance: float,
        temperature: float,
        format: str,
        drawn: Drawn,
        key: str | None,
        traces: Traces,
        sign: StopSign,
        given: Given,
        request: gr.Request,
    ) -> Iterator[Update]:
        sign.is_up = False
        words, library = words_of(request), self.libraries.of(key)
        settings = {"count": count, "guidance": guidance, "temperature": temperature}
        settings |= {"seed": _whole_number(seed), "style": style or None}
        finished = Finished(partial(library.add, format=Format(format)), drawn)
        with errors_as(toast(words)):
            try:
                yield self.buttons.begun()
                with self.line.place() as place:
                    yield from self._wait(words, place, settings, sign, given)
                    if sign.is_up:
                        yield {self.page.progress: _stopped(words, finished)}
                    else:
                        yield from self._draw(words, prompt, settings, finished, traces, sign)
            except Exception:
                yield {self.page.progress: markup.note("")}
                raise

    def _wait(
        self,
        words: Words,
        place: Place,
        settings: dict[str, Any],
        sign: StopSign,
        given: Given,
    ) -> Iterator[Update]:
        """For one's turn, and for the model."""
        for number in place.waiting():
            if sign.is_up:
                return
            said = words("wait.line", number=number, together=self.line.at_once)
            yield {self.page.progress: markup.note(said)}
        must_load = False
        for _ in self.loader.waiting():
            if sign.is_up:
                return
            must_load = True
            yield {self.page.progress: markup.note(words("wait.model"))}
        if must_load:  # the page could not know what suits the model
            given.drop_others(settings)

    def _draw(
        self,
        words: Words,
        prompt: str,
        settings: dict[str, Any],
        finished: Finished,
        traces: Traces,
        sign: StopSign,
    ) -> Iterator[Update]:
        model, rows = self.loader.model(), ROWS_A_PICTURE * settings["count"]
        begin = words("wait.room") if model.must_wait(rows) else words("draw.begin")
        begun = markup.bar(0, begin)
        yield {self.page.progress: begun, self.page.stage: gr.update(alt_text=prompt)}
        for frame in frames(model, prompt, sign, **settings):
            traces.step = frame.step
            update = self._going_on(words, frame) | self.page.watching.update(traces, words)
            if frame.new_pictures:
                update |= self._keep(words, frame, finished, traces)
            yield update
            if frame.pictures is not None:
                if frame.seconds_at_work is not None:
                    self.estimates.add(model, settings["count"], frame.seconds_at_work)
                return
        yield {self.page.progress: _stopped(words, finished)}

    def _going_on(self, words: Words, frame: Frame) -> Update:
        stage: Update = {} if frame.preview is None else {self.page.stage: frame.preview}
        if frame.pictures is not None:
            return stage | {self.page.progress: _finished(words, frame)}
        said = [words("draw.row", row=frame.row, rows=frame.rows)]
        if frame.seconds_left is not None:
            said.append(words("draw.left", seconds=words.duration(frame.seconds_left)))
        if frame.held_back:
            said.append(words("draw.apart"))
        return stage | {self.page.progress: markup.bar(frame.fraction, " · ".join(said))}

    def _keep(self, words: Words, frame: Frame, finished: Finished, traces: Traces) -> Update:
        try:
            finished.keep(frame.new_pictures)
        except SaveError as error:  # they stay on the stage
            warn(error, words)
            return {}
        shown = finished.gallery(words)
        traces.keep(finished.pictures, {path for path, _ in shown})
        is_alone = len(frame.step.ids) == 1
        file = {self.page.stage: next(iter(finished.pictures))} if is_alone else {}
        return file | {self.page.drawn: shown}

    def _connect(self) -> None:
        self._connect_drawing()
        self._connect_gallery()

    def _connect_drawing(self) -> None:
        page = self.page
        style_chips.connect(page.style, page.prompt, self.loader)
        triggers = [page.prompt.submit, page.start.click]
        # What it sorts would be overwritten by the gallery with new pictures.
        self.buttons.begin(triggers, {page.match: OFF, page.experts.worked: HIDDEN})
        drawing = gr.on(
            triggers,
            self.draw,
            inputs=[
                *(*page.settings, page.format, page.drawn),
                *(self.key, page.watching.traces, self.sign, page.given),
            ],
            outputs=[page.stage, page.progress, page.drawn, page.stop, page.watching.mosaic],
            **IN_TURN,
        )
        self.buttons.end(drawing, others={page.match: ON})
        stopping.connect(page.stop, self.sign)
        page.examples.click(lambda sample: sample[0], page.examples, page.prompt, **PAGE).then(
            None, js="() => document.querySelector('#draw').click()", **PAGE
        )

    def _connect_gallery(self) -> None:
        page = self.page
        shown = [page.gallery, page.actions, page.chosen]
        looked_at = [page.opened, page.chosen]
        in_browser([page.gallery.select, page.gallery.preview_close], {page.experts.worked: HIDDEN})
        changes = [
            page.drawn.change(_show, [page.drawn, page.opened], shown, **PAGE),
            page.gallery.select(_open, page.drawn, looked_at, **PAGE),
            page.gallery.preview_close(_close, page.drawn, looked_at, **PAGE),
        ]
        page.copy_link.connect(page.chosen, changes)
        page.experts.connect(self.loader, for_drawing, [page.chosen, page.watching.traces])


def _finished(words: Words, frame: Frame) -> str:
    assert frame.pictures
    width, height = frame.pictures[0].image.size
    seconds = words.duration(frame.seconds)
    said = [words("draw.finished", seconds=seconds, width=width, height=height)]
    if frame.held_back:
        said.append(words("draw.apart"))
    return markup.note(" · ".join(said))


def _stopped(words: Words, finished: Finished) -> str:
    count = len(finished.kept)
    return markup.note(words("draw.stopped.kept", count=count) if count else words("draw.stopped"))


def _show(drawn: Drawn, opened: str | None) -> tuple[gr.Gallery, gr.Row, str | None]:
    """The gallery with new pictures in front; the one that somebody looks at stays open."""
    here = [(path, caption) for path, caption in drawn if Path(path).exists()]
    paths = [path for path, _ in here]
    selected = paths.index(opened) if opened in paths else None
    gallery = gr.Gallery(here, visible=bool(here), selected_index=selected)
    chosen = opened if opened in paths else next(iter(paths), None)
    return gallery, gr.Row(visible=bool(here)), chosen


def _open(drawn: Drawn, selected: gr.SelectData) -> tuple[str, str]:
    # Not the path that the browser tells: that may be Gradio's copy.
    path, _ = drawn[selected.index]
    return path, path


def _close(drawn: Drawn) -> tuple[None, str | None]:
    return None, next((path for path, _ in drawn), None)


def _whole_number(typed: str) -> int | str | None:
    """What was typed as a number, or as it is: the model says what is wrong with it."""
    typed = typed.strip()
    return int(typed) if typed.isdecimal() and len(typed) < LONGEST_SEED else typed or None
