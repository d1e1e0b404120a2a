"""Figures as pictures, drawn by matplotlib. Needs the extra `train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFont

from janus.errors import MissingExtraError, SaveError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def require_matplotlib() -> None:
    """Raises `MissingExtraError`: better now than after a long measurement."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "The picture needs matplotlib.", "pip install 'janus-multimodal[train]'"
        ) from error


def new_figure(width: float, height: float, **options: Any) -> "Figure":
    """An empty figure of so many inches."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", **options)


def load_font(size: float) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has no accented letters."""
    require_matplotlib()
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def to_image(figure: "Figure") -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_picture(image: Image.Image, path: Path) -> None:
    """As a PNG. Raises `SaveError`."""
    try:
        image.save(path, format="PNG")
    except OSError as error:
        raise SaveError(
            f"Cannot write '{path}': {error.strerror}.", "Choose a folder that you may write to."
        ) from error
