"""What people and the model say about scenes of the emoji world.

Enters: a scene, the sprites, a random generator. Leaves: text that is true of the scene:
captions in one canonical form, questions with their short answers, drawing prompts in many
wordings. `parse_caption` and `score_caption` read captions back. No picture is looked at.
"""

from typing import TypedDict

import numpy as np

from janus.training.emoji.questions import Question, question
from janus.training.emoji.scenes import BACKGROUNDS, INVERSE, Scene
from janus.training.emoji.sprites import Sprites
from janus.training.emoji.wordings import (
    BACKGROUND_PHRASES,
    CAPITAL_SHARE,
    CAPTION_PHRASE,
    DESCRIBE_REQUESTS,
    LEADS,
    NO_BACKGROUND_SHARE,
    NUMBER_WORD_SHARE,
    NUMBERS,
    PERIOD_SHARE,
    PLAIN_LEAD_SHARE,
    RELATION_PHRASES,
    counted,
    fill_colour,
    one,
    pick,
    read_relation,
)

__all__ = [
    "ParsedCaption",
    "Question",
    "caption",
    "describe_request",
    "parse_caption",
    "prompt",
    "question",
    "score_caption",
]


class ParsedCaption(TypedDict):
    """What a caption claims; a part that could not be read is None, or an empty tuple."""

    objects: tuple[str, ...]
    count: int | None
    relation: str | None
    background: str | None


def caption(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> str:
    """Describe a scene in the canonical form; a relation may be read from either side."""
    if scene.relation is None:
        what = counted(sprites[scene.sprites[0]], scene.count)
    else:
        (first, second), relation = read_relation(scene, sprites, rng)
        what = f"{one(first)} {CAPTION_PHRASE[relation]} {one(second)}"
    return f"{what} on a {scene.background} background"


def describe_request(rng: np.random.Generator) -> str:
    """Some way to ask for a caption."""
    return pick(rng, DESCRIBE_REQUESTS)


def prompt(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> str:
    """Ask for a drawing of the scene. The background may go unmentioned, nothing else does."""
    text = _subject(scene, sprites, rng)
    if rng.random() >= PLAIN_LEAD_SHARE:
        text = pick(rng, LEADS) + text
    if rng.random() >= NO_BACKGROUND_SHARE:
        text += fill_colour(pick(rng, BACKGROUND_PHRASES), scene.background)
    if rng.random() < CAPITAL_SHARE:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < PERIOD_SHARE else text


def parse_caption(text: str, sprites: Sprites) -> ParsedCaption:
    """Read a caption element by element, as written; never raises."""
    text = " ".join(text.lower().strip().rstrip(".").split())
    body, _, ending = text.rpartition(" on a ")
    word, _, rest = ending.partition(" ")
    background = word if word in BACKGROUNDS and rest == "background" else None
    parsed = ParsedCaption(objects=(), count=None, relation=None, background=background)
    for relation, phrase in CAPTION_PHRASE.items():
        first, separator, second = (body or text).partition(f" {phrase} ")
        if separator:
            parts = [_parse_counted(part, sprites) for part in (first, second)]
            objects = tuple(name for name, _ in parts if name)
            return {**parsed, "objects": objects, "count": 2, "relation": relation}
    name, count = _parse_counted(body or text, sprites)
    return {**parsed, "objects": (name,) if name else (), "count": count}


def score_caption(text: str, scene: Scene, sprites: Sprites) -> dict[str, bool]:
    """Which elements of a caption are true of the scene, and under "all" whether all are."""
    parsed = parse_caption(text, sprites)
    names = tuple(sprites[index].name for index in scene.sprites)
    claim = (parsed["objects"], parsed["relation"])
    readings = [(names, scene.relation)]
    if scene.relation is not None:
        readings.append((names[::-1], INVERSE[scene.relation]))
    scores = {
        "objects": sorted(parsed["objects"]) == sorted(names),
        "count": parsed["count"] == scene.count,
        "relation": claim in readings if scene.relation else parsed["relation"] is None,
        "background": parsed["background"] == scene.background,
    }
    return {**scores, "all": all(scores.values())}


def _subject(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> str:
    if scene.relation is not None:
        (first, second), relation = read_relation(scene, sprites, rng)
        phrase = pick(rng, RELATION_PHRASES[relation])
        return phrase.format(first=one(first), second=one(second))
    sprite = sprites[scene.sprites[0]]
    if scene.count > 1:
        number = NUMBERS[scene.count] if rng.random() < NUMBER_WORD_SHARE else str(scene.count)
        return f"{number} {sprite.plural}"
    return pick(rng, (one(sprite), one(sprite), sprite.name, f"one {sprite.name}"))


def _parse_counted(text: str, sprites: Sprites) -> tuple[str | None, int | None]:
    """Name and number in "a dog", "three dogs", "two fish"."""
    word, _, noun = text.partition(" ")
    count = {"a": 1, "an": 1, **{number: value for value, number in enumerate(NUMBERS)}}.get(word)
    for sprite in sprites.sprites:
        if noun == (sprite.name if count == 1 else sprite.plural):
            return sprite.name, count
    return None, count
