"""A drawing, as it should be shown.

In: the model, a prompt and its settings, and a sign to stop. Out: frames, at most four a second: a
new preview where there are new rows, how far it is, how long it will take; and at once whatever is
finished. Knows no Gradio.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vision.sheet import contact_sheet
from webui.pace import Pace
from webui.stopping import StopSign

if TYPE_CHECKING:
    from PIL.Image import Image

    from janus.generation.results import DrawStep, Picture
    from janus.pipeline import Janus

SECONDS_BETWEEN_FRAMES = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """`row` of `rows` is being drawn. `preview` is None where nothing new can be seen."""

    step: "DrawStep"
    row: int
    rows: int
    fraction: float
    seconds: float  # since the beginning
    seconds_left: float | None
    seconds_at_work: float | None  # for the whole, without what came before the first step
    preview: "Image | None" = None
    pictures: "tuple[Picture, ...] | None" = None
    new_pictures: "Mapping[int, Picture]"  # by their places
    held_back: bool = False  # memory did not suffice for all of it at once


def frames(model: "Janus", prompt: str, sign: StopSign, **settings: Any) -> Generator[Frame]:
    """Draws, until the sign is up. Closing the iterator stops the model."""
    clock = _Clock(rows=model.model.config.vision.grid_size)
    pace, seen = Pace(SECONDS_BETWEEN_FRAMES), -1
    with closing(model.draw_stream(prompt, **settings)) as steps:  # pyright: ignore[reportArgumentType]
        for step in steps:
            clock.tick(step)
            is_due = step.index and pace.is_due() and not sign.is_up
            if is_due or step.new_pictures or step.finished:
                row = int(step.fraction * clock.rows)
                with pace.update():
                    yield clock.frame(step, _preview(step, sign) if row > seen else None)
                seen = row
            if sign.is_up:
                return


def _preview(step: "DrawStep", sign: StopSign) -> "Image | None":
    """None where the sign goes up meanwhile: eight pictures take as long as many steps."""
    painted: list[Image] = []
    for picture in step.previews():
        if sign.is_up and not step.finished:
            return None
        painted.append(picture)
    return contact_sheet(painted)


class _Clock:
    """Reads the time left off the steps after the first, which also reads the prompt."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._began = time.monotonic()
        self._first: tuple[float, float] | None = None

    def tick(self, step: "DrawStep") -> None:
        if self._first is None and step.index:
            self._first = (time.monotonic(), step.fraction)

    def frame(self, step: "DrawStep", preview: "Image | None") -> Frame:
        return Frame(
            step=step,
            row=min(int(step.fraction * self.rows) + 1, self.rows),
            rows=self.rows,
            fraction=step.fraction,
            seconds=time.monotonic() - self._began,
            seconds_left=self._left(step.fraction),
            seconds_at_work=self._whole(step.fraction),
            preview=preview,
            pictures=step.pictures,
            new_pictures=step.new_pictures,
            held_back=step.held_back,
        )

    def _left(self, fraction: float) -> float | None:
        whole = self._whole(fraction)
        return None if whole is None else (1 - fraction) * whole

    def _whole(self, fraction: float) -> float | None:
        assert self._first is not None
        first_time, first_fraction = self._first
        if fraction <= first_fraction:
            return None
        return (time.monotonic() - first_time) / (fraction - first_fraction)
