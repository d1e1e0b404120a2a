"""Captions of emoji scenes, in one canonical form a language, and how they are read back.

Enters: a scene and the sprites, or somebody's caption. Leaves: text that is true of the scene; what
a caption claims; which of its claims are true. No picture is looked at.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import TypedDict

import numpy as np

from janus.training.emoji.layouts import INVERSE
from janus.training.emoji.phrasing import WORDINGS, as_typed
from janus.training.emoji.scenes import BACKGROUNDS, Scene
from janus.training.emoji.sprites import Language, Sprites
from janus.training.emoji.wordings import Wordings, pick


class ParsedCaption(TypedDict):
    """What a caption claims, objects by their English names and with the number of each.

    A part that could not be read is None, or missing from the tuples.
    """

    objects: tuple[str, ...]
    counts: tuple[int | None, ...]
    relation: str | None
    background: str | None


def caption(scene: Scene, sprites: Sprites, language: Language = "en") -> str:
    """Describe a scene in the canonical form.

    Two objects that plainly lie side by side or above each other are told with their relation, the
    left or upper one first; otherwise more objects come before fewer, then left before right.
    """
    words = WORDINGS[language]
    relation = scene.visible_relation
    groups = sorted(scene.groups, key=lambda group: _reading_order(scene, *group))
    parts = [words.counted(words.name(sprites[index]), count) for index, count in groups]
    if relation is not None:
        relation = "left of" if relation in ("left of", "right of") else "above"
        what = words.related[relation].format(first=parts[0], second=parts[1])
    else:
        what = parts[0] if len(parts) == 1 else words.both.format(first=parts[0], second=parts[1])
    colour = words.colours[scene.background][0]
    return f"{what} {words.on_background.format(colour=colour)}"


def describe_request(rng: np.random.Generator, language: Language = "en") -> str:
    """Some way to ask for a caption."""
    return as_typed(pick(rng, WORDINGS[language].describe), rng)


def parse_caption(text: str, sprites: Sprites, language: Language = "en") -> ParsedCaption:
    """Read a caption element by element, as written; never raises."""
    words = WORDINGS[language]
    text = " ".join(text.lower().strip().rstrip(".").split())
    body, background = _split_background(text, words)
    relation, parts = _split_parts(body, words)
    claims = [_parse_counted(part, sprites, words) for part in parts]
    known = [(name, count) for name, count in claims if name]
    return {
        "objects": tuple(name for name, _ in known),
        "counts": tuple(count for _, count in known),
        "relation": relation,
        "background": background,
    }


def score_caption(
    text: str, scene: Scene, sprites: Sprites, language: Language = "en"
) -> dict[str, bool]:
    """Which elements of a caption are true of the scene, and under "all" whether all are.

    A relation may go unsaid where the scene is not about it, but never be wrong.
    """
    parsed = parse_caption(text, sprites, language)
    names = tuple(sprites[index].name for index in scene.sprites)
    scores = {
        "objects": sorted(parsed["objects"]) == sorted(names),
        "count": _is_true_count(parsed, scene, names),
        "relation": _is_true_relation(parsed, scene, names),
        "background": parsed["background"] == scene.background,
    }
    return {**scores, "all": all(scores.values())}


def _reading_order(scene: Scene, index: int, count: int) -> tuple[float, ...]:
    places = [(piece.x, piece.y) for piece in scene.placements if piece.sprite == index]
    left, top = min(x for x, _ in places), min(y for _, y in places)
    is_stacked = scene.visible_relation in ("above", "below")
    return (-count, top if is_stacked else left)


def _is_true_count(parsed: ParsedCaption, scene: Scene, names: tuple[str, ...]) -> bool:
    """Each object's own number; where other objects are claimed, the numbers as such."""
    wanted = [count for _, count in scene.groups]
    if sorted(parsed["objects"]) != sorted(names):
        return Counter(parsed["counts"]) == Counter(wanted)
    claimed = zip(parsed["objects"], parsed["counts"], strict=True)
    return dict(claimed) == dict(zip(names, wanted, strict=True))


def _is_true_relation(parsed: ParsedCaption, scene: Scene, names: tuple[str, ...]) -> bool:
    if parsed["relation"] is None:
        return scene.relation is None
    if scene.visible_relation is None:
        return False
    readings = (
        (names, scene.visible_relation),
        (names[::-1], INVERSE[scene.visible_relation]),
    )
    return (parsed["objects"], parsed["relation"]) in readings


def _split_background(text: str, words: Wordings) -> tuple[str, str | None]:
    """What stands before the background, and the background."""
    before, after = words.on_background.split("{colour}")
    body, _, ending = text.rpartition(f" {before}")
    for background in BACKGROUNDS:
        if ending == f"{words.colours[background][0]}{after}":
            return body, background
    return body or text, None


def _split_parts(body: str, words: Wordings) -> tuple[str | None, tuple[str, ...]]:
    """The relation, and the phrases of the one or two things."""
    for relation, phrase in words.related.items():
        first, separator, second = body.partition(phrase.format(first="", second=""))
        if separator:
            return relation, (first, second)
    return None, tuple(body.split(words.both.format(first="", second="")))


def _parse_counted(text: str, sprites: Sprites, words: Wordings) -> tuple[str | None, int | None]:
    """Name and number in "a dog", "three dogs", "two fish"."""
    word, _, noun = text.partition(" ")
    articles = dict.fromkeys(words.determiners, 1)
    count = {**articles, **{word: i for i, word in enumerate(words.numbers)}}.get(word)
    singulars, plurals = _names_by_noun(sprites, words.language)
    return (singulars if count == 1 else plurals).get(noun), count


@lru_cache(maxsize=8)
def _names_by_noun(
    sprites: Sprites, language: Language
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    names = [(WORDINGS[language].name(sprite), sprite.name) for sprite in sprites.sprites]
    return (
        {name.one.lower(): identity for name, identity in names},
        {name.many.lower(): identity for name, identity in names},
    )
