"""Build the sprite atlas of the emoji world from published artwork.

Enters: a folder of Fluent emoji pictures (`<hexcode>.webp`, RGBA); which ones, and in which order,
says `sprites.csv`. Leaves: `sprites.webp`, one RGBA atlas, beside this file.
Run as `python -m janus.training.emoji.build_sprites ASSETS_DIR`.
"""

import sys
from pathlib import Path

from PIL import Image

from janus.training.emoji.sprites import CELL, COLUMNS, read_names

QUALITY = 90
FAINT = 8  # alpha at or below this does not count as part of the drawing


def build(assets: Path, target: Path) -> None:
    """Write `sprites.webp` into the folder `target`."""
    atlas = _paint_atlas([assets / f"{sprite.hexcode}.webp" for sprite in read_names()])
    atlas.save(target / "sprites.webp", quality=QUALITY, alpha_quality=100, method=6)


def _paint_atlas(paths: list[Path]) -> Image.Image:
    rows = -(-len(paths) // COLUMNS)
    atlas = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    for index, path in enumerate(paths):
        drawing = _fit_to_cell(Image.open(path).convert("RGBA"))
        left = index % COLUMNS * CELL + (CELL - drawing.width) // 2
        top = index // COLUMNS * CELL + (CELL - drawing.height) // 2
        atlas.paste(drawing, (left, top))
    return atlas


def _fit_to_cell(drawing: Image.Image) -> Image.Image:
    visible = drawing.getchannel("A").point([255 * (alpha > FAINT) for alpha in range(256)])
    drawing = drawing.crop(visible.getbbox())
    scale = CELL / max(drawing.size)
    width, height = (max(1, round(side * scale)) for side in drawing.size)
    return drawing.resize((width, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(__file__).parent)
