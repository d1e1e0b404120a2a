"""Build the sprite atlas of the emoji world from published artwork.

Enters: a folder of Fluent emoji pictures (`<hexcode>.webp`, RGBA) and emojibase's `data.json`.
Leaves: `sprites.webp` (one RGBA atlas) and `sprites.json` (one record a sprite), beside this file.
Run as `python -m janus.training.emoji.build_sprites ASSETS_DIR EMOJIBASE_DATA_JSON`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from janus.training.emoji.sprites import CELL, COLUMNS

QUALITY = 90
MAX_KEYWORDS = 4
FAINT = 8  # alpha at or below this does not count as part of the drawing

# Singular names and code points; look-alikes and drawings of thin pale lines are left out.
OBJECTS = """
dog 1f436   cat 1f431   fox 1f98a   bear 1f43b   panda 1f43c   tiger 1f42f   cow 1f42e
pig 1f437   frog 1f438   monkey 1f435   penguin 1f427   bird 1f426   duck 1f986   owl 1f989
horse 1f434   bee 1f41d   butterfly 1f98b   snail 1f40c   ladybug 1f41e   turtle 1f422
snake 1f40d   octopus 1f419   crab 1f980   fish 1f420   whale 1f433   elephant 1f418
giraffe 1f992   flamingo 1f9a9   dinosaur 1f995   apple 1f34e   pear 1f350   lemon 1f34b
banana 1f34c   watermelon 1f349   strawberry 1f353   pineapple 1f34d   kiwi 1f95d
eggplant 1f346   avocado 1f951   carrot 1f955   mushroom 1f344   pizza 1f355   hamburger 1f354
donut 1f369   cookie 1f36a   cupcake 1f9c1   lollipop 1f36d   pretzel 1f968   teapot 1fad6
car 1f697   bus 1f68c   truck 1f69a   tractor 1f69c   train 1f682   airplane 2708-fe0f
rocket 1f680   helicopter 1f681   sailboat 26f5   house 1f3e0   tree 1f333   cactus 1f335
sunflower 1f33b   tulip 1f337   sun 2600-fe0f   moon 1f319   star 2b50   snowman 26c4
umbrella 2602-fe0f   gift 1f381   key 1f511   bell 1f514   chair 1fa91   telephone 260e-fe0f
guitar 1f3b8   basketball 1f3c0   shirt 1f455   hat 1f3a9   crown 1f451   diamond 1f48e
robot 1f916
"""
SHAPE_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = (
    ("heart", ("2764-fe0f", "1f9e1", "1f49b", "1f49a", "1f499", "1f49c")),
    ("circle", ("1f534", "1f7e0", "1f7e1", "1f7e2", "1f535", "1f7e3")),
    ("square", ("1f7e5", "1f7e7", "1f7e8", "1f7e9", "1f7e6", "1f7ea")),
)
IRREGULAR_PLURALS = (("fish", "fish"), ("cactus", "cacti"))


def build(assets: Path, emojibase: Path, target: Path) -> None:
    """Write `sprites.webp` and `sprites.json` into the folder `target`."""
    keywords = _read_keywords(emojibase)
    records = [*_object_records(), *_shape_records()]
    for record in records:
        record["keywords"] = keywords[_bare(record["hexcode"])][:MAX_KEYWORDS]
    atlas = _paint_atlas([assets / f"{record['hexcode']}.webp" for record in records])
    atlas.save(target / "sprites.webp", quality=QUALITY, alpha_quality=100, method=6)
    lines = ",\n".join(json.dumps(record) for record in records)
    (target / "sprites.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _object_records() -> list[dict[str, Any]]:
    words = OBJECTS.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return [_record(name, hexcode, kind="object") for name, hexcode in pairs]


def _shape_records() -> list[dict[str, Any]]:
    return [
        _record(f"{colour} {shape}", hexcode, kind="shape", shape=shape, colour=colour)
        for shape, hexcodes in SHAPES
        for colour, hexcode in zip(SHAPE_COLOURS, hexcodes, strict=True)
    ]


def _record(name: str, hexcode: str, **others: str) -> dict[str, Any]:
    article = "an" if name[0] in "aeio" or name.startswith("umbrella") else "a"
    return {
        "name": name,
        "plural": _plural(name),
        "article": article,
        "hexcode": hexcode,
        **others,
    }


def _plural(name: str) -> str:
    irregular = dict(IRREGULAR_PLURALS)
    if name in irregular:
        return irregular[name]
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


def _read_keywords(emojibase: Path) -> dict[str, list[str]]:
    entries = json.loads(emojibase.read_text(encoding="utf-8"))
    return {_bare(entry["hexcode"]): entry.get("tags", []) for entry in entries}


def _bare(hexcode: str) -> str:
    """Without the variation selector, which the two sources do not write alike."""
    return hexcode.lower().removesuffix("-fe0f")


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
    build(Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).parent)
