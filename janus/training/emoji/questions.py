"""Questions about scenes of the emoji world, each with its one right answer.

Enters: a scene, the sprites, a random generator. Leaves: a `Question` whose answer is true of
the scene by construction. No picture is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from janus.training.emoji.scenes import BACKGROUNDS, INVERSE, Scene
from janus.training.emoji.sprites import Sprite, Sprites
from janus.training.emoji.wordings import (
    ASK_BACKGROUND,
    ASK_COLOUR,
    ASK_COUNT,
    ASK_IF_BACKGROUND,
    ASK_IF_RELATED,
    ASK_NUMBER,
    ASK_ONE,
    ASK_PRESENCE,
    ASK_TOTAL,
    ASK_TOTAL_SHARE,
    ASK_WHAT,
    ASK_WHAT_BESIDE,
    ASK_WHAT_PLURAL,
    ASK_WHERE,
    CAPTION_PHRASE,
    NUMBERS,
    fill_colour,
    one,
    pick,
    read_relation,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a scene, its type, and the one right answer in lower case."""

    type: str
    text: str
    answer: str


def question(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    """Ask something that the scene answers; every type that applies is equally likely."""
    askers = [_ask_what, _ask_count, _ask_background, _ask_yes_no]
    if scene.relation is not None:
        askers.append(_ask_where)
    if _nouns_of_shapes(scene, sprites):
        askers.append(_ask_colour)
    return askers[int(rng.integers(len(askers)))](scene, sprites, rng)


def _ask_what(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    if scene.relation is not None:
        (first, second), relation = read_relation(scene, sprites, rng)
        template = pick(rng, ASK_WHAT_BESIDE)
        text = template.format(phrase=CAPTION_PHRASE[relation], other=second.name)
        return Question(type="what", text=text, answer=first.name)
    text = pick(rng, ASK_WHAT if scene.count == 1 else ASK_WHAT_PLURAL)
    return Question(type="what", text=text, answer=sprites[scene.sprites[0]].name)


def _ask_count(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    sprite = sprites[int(rng.choice(scene.sprites))]
    if rng.random() < ASK_TOTAL_SHARE:
        text, count = pick(rng, ASK_TOTAL), scene.count
    else:
        text = pick(rng, ASK_COUNT).format(plural=sprite.plural)
        count = _count_of(scene, sprites, sprite)
    return Question(type="count", text=text, answer=NUMBERS[count])


def _ask_colour(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    nouns = _nouns_of_shapes(scene, sprites)
    shape, colour = tuple(nouns.items())[int(rng.integers(len(nouns)))]
    is_one = scene.count == 1 or scene.relation is not None
    be, noun = ("is", shape) if is_one else ("are", f"{shape}s")
    text = pick(rng, ASK_COLOUR).format(be=be, noun=noun)
    return Question(type="colour", text=text, answer=colour)


def _ask_background(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    return Question(type="background", text=pick(rng, ASK_BACKGROUND), answer=scene.background)


def _ask_where(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    (first, second), relation = read_relation(scene, sprites, rng)
    text = pick(rng, ASK_WHERE).format(name=first.name, other=second.name)
    return Question(type="where", text=text, answer=relation.removesuffix(" of"))


def _ask_yes_no(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Question:
    claims: list[Callable[[Scene, Sprites, np.random.Generator, bool], str]]
    claims = [_claim_presence, _claim_background]
    claims.append(_claim_number if scene.relation is None else _claim_relation)
    is_true = bool(rng.random() < 0.5)
    text = claims[int(rng.integers(len(claims)))](scene, sprites, rng, is_true)
    return Question(type="yesno", text=text, answer="yes" if is_true else "no")


def _claim_presence(scene: Scene, sprites: Sprites, rng: np.random.Generator, is_true: bool) -> str:
    absent = [index for index in range(len(sprites)) if index not in scene.sprites]
    sprite = sprites[int(rng.choice(scene.sprites if is_true else absent))]
    if scene.count > 1 and scene.relation is None:
        return f"Are there any {sprite.plural}?"
    return pick(rng, ASK_PRESENCE).format(a_name=one(sprite))


def _claim_number(scene: Scene, sprites: Sprites, rng: np.random.Generator, is_true: bool) -> str:
    sprite = sprites[scene.sprites[0]]
    others = [count for count in range(1, len(NUMBERS)) if count != scene.count]
    count = scene.count if is_true else int(rng.choice(others))
    template = pick(rng, ASK_ONE if count == 1 else ASK_NUMBER)
    return template.format(name=sprite.name, plural=sprite.plural, number=NUMBERS[count])


def _claim_background(
    scene: Scene, sprites: Sprites, rng: np.random.Generator, is_true: bool
) -> str:
    others = tuple(name for name in BACKGROUNDS if name != scene.background)
    colour = scene.background if is_true else pick(rng, others)
    return fill_colour(pick(rng, ASK_IF_BACKGROUND), colour)


def _claim_relation(scene: Scene, sprites: Sprites, rng: np.random.Generator, is_true: bool) -> str:
    (first, second), relation = read_relation(scene, sprites, rng)
    phrase = CAPTION_PHRASE[relation if is_true else INVERSE[relation]]
    template = pick(rng, ASK_IF_RELATED)
    return template.format(name=first.name, phrase=phrase, other=second.name)


def _nouns_of_shapes(scene: Scene, sprites: Sprites) -> dict[str, str]:
    """Shape to colour, for shapes that the bare noun tells apart: "the heart" must be unique."""
    shown = [sprites[index] for index in scene.sprites]
    shapes = [sprite.shape for sprite in shown]
    return {
        sprite.shape: sprite.colour
        for sprite in shown
        if sprite.shape and sprite.colour and shapes.count(sprite.shape) == 1
    }


def _count_of(scene: Scene, sprites: Sprites, sprite: Sprite) -> int:
    return sum(sprites[placement.sprite] is sprite for placement in scene.placements)
