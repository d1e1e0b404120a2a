"""What happens when somebody chooses a part of a picture: two clicks, or sliders, make a box.

The sliders are what counts. A part belongs to one picture, and is forgotten with it.
"""

from dataclasses import astuple
from typing import TYPE_CHECKING

import gradio as gr
from gradio.processing_utils import save_pil_to_cache

from janus.errors import PictureError
from webui.events import PAGE, Update
from webui.part_layout import PartLayout
from webui.parts import Box, Point, between, canvas, marked
from webui.pictures import open_upload

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures = list[tuple[str, str | None]] | None  # as gr.Gallery gives them: paths and captions


class PartEvents:
    """Connects the choice to the pictures on the table."""

    def __init__(self, page: PartLayout, pictures: gr.Gallery) -> None:
        self.page = page
        self._connect(pictures)

    def cut_out(self, pictures: tuple[str, ...], path: str | None, box: Box) -> tuple[str, ...]:
        """What to ask about: the part alone, or else the pictures. The same part is one file."""
        if path not in pictures or box.is_whole:
            return pictures
        picture = open_upload(path)
        part = picture.crop(box.within(picture.size))
        cut = save_pil_to_cache(part, self.page.canvas.GRADIO_CACHE, name="part", format="png")
        self.page.canvas.temp_files.add(cut)  # where Gradio finds what it is to delete
        return (cut,)

    def _click(self, path: str, corner: Point | None, clicked: gr.SelectData) -> Update:
        picture = canvas(open_upload(path))
        x, y = clicked.index
        point = (round(100 * x / picture.width), round(100 * y / picture.height))
        if corner:
            return self._choose(between(corner, point))
        return {self.page.corner: point, self.page.canvas: marked(picture, Box(), point)}

    def _table(self, pictures: Pictures, path: str | None) -> Update:
        """Other pictures: the part is of the first one, unless its picture is still there."""
        paths = [path for path, _ in pictures or ()]
        if path in paths:
            return {self.page.path: path}
        return self._begin(paths[0] if paths else None)

    def _begin(self, path: str | None) -> Update:
        shown = {self.page.path: path, self.page.canvas: self._canvas(path, Box())}
        return shown | self._choose(Box())

    def _choose(self, box: Box) -> Update:
        return {self.page.corner: None} | dict(zip(self.page.edges, astuple(box), strict=True))

    def _canvas(self, path: str | None, box: Box) -> "Image | None":
        try:
            return marked(canvas(open_upload(path)), box) if path else None
        except PictureError:  # it is told once somebody asks about it
            return None

    def _connect(self, pictures: gr.Gallery) -> None:
        page = self.page
        outputs = [page.path, page.corner, page.canvas, *page.edges]
        pictures.change(self._table, [pictures, page.path], outputs, **PAGE)
        pictures.select(self._select, pictures, outputs, **PAGE)
        page.canvas.select(self._click, [page.path, page.corner], outputs, **PAGE)
        page.reset.click(lambda: self._choose(Box()), outputs=outputs, **PAGE)
        gr.on(
            [edge.change for edge in page.edges],
            lambda path, *edges: self._canvas(path, Box(*edges)),
            page.chosen,
            page.canvas,
            trigger_mode="always_last",
            **PAGE,
        )

    def _select(self, pictures: Pictures, selected: gr.SelectData) -> Update:
        return self._begin(pictures[selected.index][0] if pictures else None)
