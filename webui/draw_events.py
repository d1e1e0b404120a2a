"""What happens when somebody draws: frames of the drawing become updates of the page.

Finished pictures are shown as the files that we wrote, because those carry their settings; the
gallery is left alone until then.
"""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from webui import markup
from webui.draw_layout import DrawLayout
from webui.drawing import Frame, frames
from webui.errors import toasts
from webui.events import ENGINE, PAGE, Update, exchange
from webui.loader import ModelLoader
from webui.pictures import save_all
from webui.texts import duration, text

LARGEST_GALLERY = 60

Drawn = list[tuple[str, str]]


class DrawEvents:
    """Connects the tab to the model; pictures are written below `folder`."""

    def __init__(self, page: DrawLayout, loader: ModelLoader, folder: Path) -> None:
        self.page, self.loader, self.folder = page, loader, folder
        self._connect()

    def draw(
        self,
        prompt: str,
        count: int,
        seed: int | None,
        guidance: float,
        temperature: float,
        drawn: Drawn,
    ) -> Iterator[Update]:
        settings = {"count": count, "seed": seed, "guidance": guidance, "temperature": temperature}
        with toasts():
            for _ in self.loader.waiting():
                yield {self.page.progress: markup.note(text("wait.model"))}
            model = self.loader.model()
            yield {self.page.progress: markup.bar(0, text("draw.begin"))}
            for frame in frames(model, prompt, **settings):
                yield self._going_on(frame) if frame.pictures is None else self._done(frame, drawn)

    def _going_on(self, frame: Frame) -> Update:
        words = [text("draw.row", row=frame.row, rows=frame.rows)]
        if frame.seconds_left is not None:
            words.append(text("draw.left", seconds=duration(frame.seconds_left)))
        update: Update = {self.page.progress: markup.bar(frame.fraction, " · ".join(words))}
        return update if frame.preview is None else update | {self.page.stage: frame.preview}

    def _done(self, frame: Frame, drawn: Drawn) -> Update:
        pictures = frame.pictures or ()
        paths = [str(path) for path in save_all(pictures, self.folder)]
        captions = [text("draw.caption", seed=picture.seed) for picture in pictures]
        new = list(zip(paths, captions, strict=True))
        drawn = (new + drawn)[:LARGEST_GALLERY]
        finished = text("draw.finished", seconds=duration(frame.seconds))
        return {
            self.page.stage: paths[0] if len(paths) == 1 else frame.preview,
            self.page.gallery: drawn,
            self.page.drawn: drawn,
            self.page.progress: markup.note(finished),
        }

    def _connect(self) -> None:
        page = self.page
        triggers = [page.prompt.submit, page.start.click]
        exchange(triggers, hidden=page.start, shown=page.stop)
        drawing = gr.on(
            triggers,
            self.draw,
            inputs=[page.prompt, page.count, page.seed, page.guidance, page.temperature, page.drawn],
            outputs=[page.stage, page.progress, page.gallery, page.drawn],
            **ENGINE,
        )
        exchange([drawing.then, page.stop.click], hidden=page.stop, shown=page.start)
        page.stop.click(
            lambda: markup.note(text("draw.stopped")),
            outputs=page.progress,
            cancels=drawing,
            **PAGE,
        )
        page.examples.click(lambda sample: sample[0], page.examples, page.prompt, **PAGE).then(
            None, js="() => document.querySelector('#draw').click()", **PAGE
        )
