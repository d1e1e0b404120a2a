"""Questions about scenes of the emoji world, each with its one right answer.

Enters: a scene, the sprites, a random generator, a language. Leaves: a `Question` whose answer is
true of the scene by construction, in the same language. No picture is looked at.
"""

import numpy as np

from janus.training.emoji.asking import Asker, Question
from janus.training.emoji.claims import ask_yes_no
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.scenes import Scene
from janus.training.emoji.sprites import Language, Sprites
from janus.training.emoji.wordings import pick

BESIDE_SHARE = 0.5  # of the questions for one of two objects that lie plainly
TOTAL_SHARE = 0.25  # of the questions for a number
ZERO_SHARE = 0.1
BARE_SHAPE_SHARE = 0.4  # of the questions for a number of shapes: "hearts", not "red hearts"


def question(
    scene: Scene, sprites: Sprites, rng: np.random.Generator, language: Language = "en"
) -> Question:
    """Ask something that the scene answers; types that apply to few scenes go before others."""
    asker = Asker(scene, sprites, rng, WORDINGS[language])
    asks = [_ask_what, _ask_what, _ask_count, _ask_count, ask_yes_no, ask_yes_no, _ask_background]
    if scene.visible_relation:
        asks += [ask_where] * 3
    if asker.lone_shapes():
        asks += [ask_colour] * 3
    return pick(rng, asks)(asker)


def _ask_what(asker: Asker) -> Question:
    index, count = asker.any_group()
    other = asker.other_group(index)
    relation = asker.relation_of(index)
    if other is None:
        text = asker.say(asker.words.what[count > 1])
    elif relation and asker.rng.random() < BESIDE_SHARE:
        text = asker.say(asker.words.what_beside, where=asker.beside(other[0], relation))
    else:
        name = asker.name(other[0])
        these, of_these = (
            (name.the, name.of_the) if other[1] == 1 else (name.the_many, name.of_the_many)
        )
        text = asker.say(asker.words.what_else, these=these, of_these=of_these)
    return Question(type="what", text=text, answer=asker.answer_name(index), topic=index)


def _ask_count(asker: Asker) -> Question:
    kind = asker.rng.random()
    if kind < TOTAL_SHARE:
        answer = asker.words.numbers[asker.scene.count]
        return Question(type="count", text=asker.say(asker.words.total), answer=answer)
    if kind < TOTAL_SHARE + ZERO_SHARE:
        text = asker.say(asker.words.count, x=asker.name(asker.absent()))
        return Question(type="count", text=text, answer=asker.words.numbers[0])
    index, count = asker.any_group()
    if asker.sprites[index].shape and asker.rng.random() < BARE_SHAPE_SHARE:
        return _ask_shape_count(asker, index)
    return ask_number(asker, index, count)


def ask_number(asker: Asker, index: int, count: int) -> Question:
    """How many there are of one kind."""
    name = asker.name(index)
    text, answer = asker.say(asker.words.count, x=name), asker.words.number(count, name)
    return Question(type="count", text=text, answer=answer, topic=index)


def _ask_shape_count(asker: Asker, index: int) -> Question:
    """Over all colours."""
    alike, name = asker.same_shape(index), asker.shape_name(index)
    return Question(
        type="count",
        text=asker.say(asker.words.count, x=name),
        answer=asker.words.number(sum(count for _, count in alike), name),
        topic=index if len(alike) == 1 else None,
    )


def ask_colour(asker: Asker) -> Question:
    """The colour of one of the `lone_shapes`, of which there must be some."""
    index, count = pick(asker.rng, asker.lone_shapes())
    text = asker.say(asker.words.colour[count > 1], x=asker.shape_name(index))
    return Question(type="colour", text=text, answer=asker.answer_colour(index), topic=index)


def _ask_background(asker: Asker) -> Question:
    text, answer = asker.say(asker.words.background), asker.colour(asker.scene.background)
    return Question(type="background", text=text, answer=answer)


def ask_where(asker: Asker) -> Question:
    """On which side of one thing another is; the scene must have a visible relation."""
    first, second = asker.scene.sprites
    index, other = (first, second) if asker.rng.random() < 0.5 else (second, first)
    relation = asker.relation_of(index)
    assert relation is not None
    text = asker.say(asker.words.where, x=asker.name(index), y=asker.name(other))
    return Question(type="where", text=text, answer=asker.words.sides[relation], topic=index)
