"""Conversations about emoji scenes: some turns lean on the one before.

Enters: a scene, the sprites, a random generator, a language. Leaves: questions with their answers,
in order; at most one of them asks for a caption, and a follow-up such as "And what color is it?"
has its meaning from the turn before. No picture is looked at.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from janus.training.emoji.asking import Asker, Group, Question
from janus.training.emoji.captions import caption, describe_request
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.questions import question
from janus.training.emoji.scenes import Scene
from janus.training.emoji.sprites import Language, Sprites
from janus.training.emoji.wordings import pick

CAPTION_SHARE = 0.35  # of the turns, until there is a caption
GOES_ON_SHARE = 0.35  # of the turns that are followed by another
MOST_TURNS = 3
FOLLOW_UP_SHARE = 0.4  # of the turns that could be one


def dialogue(
    scene: Scene, sprites: Sprites, rng: np.random.Generator, language: Language = "en"
) -> list[Question]:
    """A conversation about a scene."""
    turns: list[Question] = []
    while not turns or (len(turns) < MOST_TURNS and rng.random() < GOES_ON_SHARE):
        has_caption = any(turn.type == "caption" for turn in turns)
        if not has_caption and rng.random() < CAPTION_SHARE:
            turns.append(ask_caption(scene, sprites, rng, language))
        else:
            turns.append(_next_question(turns, scene, sprites, rng, language))
    return turns


def ask_caption(
    scene: Scene, sprites: Sprites, rng: np.random.Generator, language: Language = "en"
) -> Question:
    """Ask for a caption."""
    return Question(
        type="caption",
        text=describe_request(rng, language),
        answer=caption(scene, sprites, language),
        topic=scene.sprites[0] if len(scene.groups) == 1 else None,
    )


def follow_up(
    previous: Question,
    scene: Scene,
    sprites: Sprites,
    rng: np.random.Generator,
    language: Language = "en",
) -> Question | None:
    """A question that goes on from the previous one, if there is any."""
    asker = Asker(scene, sprites, rng, WORDINGS[language])
    asks: list[Callable[[], Question]] = []
    if previous.type != "background":
        asks.append(partial(_ask_background, asker))
    if previous.topic is not None:
        asks += _asks_about(asker, previous, previous.topic)
    return pick(rng, asks)() if asks else None


def _next_question(
    turns: list[Question],
    scene: Scene,
    sprites: Sprites,
    rng: np.random.Generator,
    language: Language,
) -> Question:
    """The background comes up only once: there is nothing else to be asked about it."""
    while True:
        asked = None
        if turns and rng.random() < FOLLOW_UP_SHARE:
            asked = follow_up(turns[-1], scene, sprites, rng, language)
        asked = asked or question(scene, sprites, rng, language)
        if all(asked.type != "background" or turn.type != "background" for turn in turns):
            return asked


def _asks_about(asker: Asker, previous: Question, topic: int) -> list[Callable[[], Question]]:
    asks: list[Callable[[], Question]] = []
    if previous.type not in ("count", "yesno"):
        asks.append(partial(_ask_count, asker, topic))
    if previous.type != "colour" and asker.sprites[topic].shape:
        asks.append(partial(_ask_colour, asker, topic))
    if previous.type != "where" and asker.scene.visible_relation:
        asks.append(partial(_ask_where, asker, topic))
    other = asker.other_group(topic)
    if other is not None:
        asks.append(partial(_ask_else, asker, other))
        asks += _asks_about_other(asker, previous, other)
    return asks


def _asks_about_other(
    asker: Asker, previous: Question, other: Group
) -> list[Callable[[], Question]]:
    """The previous question again, of the other object."""
    if previous.type == "count":
        return [partial(_ask_count_of, asker, other)]
    if previous.type == "where":
        return [partial(_ask_where_other, asker, other[0])]
    if previous.type == "colour" and other in asker.lone_shapes() and other[1] == 1:
        return [partial(_ask_colour_of_other, asker, other[0])]
    return []


def _ask_background(asker: Asker) -> Question:
    text, answer = asker.say(asker.words.then_background), asker.colour(asker.scene.background)
    return Question(type="background", text=text, answer=answer)


def _ask_count(asker: Asker, topic: int) -> Question:
    name = asker.words.name(asker.sprites[topic])
    answer = asker.words.number(dict(asker.scene.groups)[topic], name)
    text = asker.say(asker.words.then_count, x=name)
    return Question(type="count", text=text, answer=answer, topic=topic)


def _ask_colour(asker: Asker, topic: int) -> Question:
    is_many = dict(asker.scene.groups)[topic] > 1
    text, answer = asker.say(asker.words.then_colour[is_many]), asker.answer_colour(topic)
    return Question(type="colour", text=text, answer=answer, topic=topic)


def _ask_where(asker: Asker, topic: int) -> Question:
    return _where(asker, asker.say(asker.words.then_where), topic)


def _ask_else(asker: Asker, other: Group) -> Question:
    text, answer = asker.say(asker.words.then_else), asker.answer_name(other[0])
    return Question(type="what", text=text, answer=answer, topic=other[0])


def _ask_count_of(asker: Asker, other: Group) -> Question:
    name = asker.name(other[0])
    text, answer = asker.say(asker.words.then_count_of, y=name), asker.words.number(other[1], name)
    return Question(type="count", text=text, answer=answer, topic=other[0])


def _ask_where_other(asker: Asker, other: int) -> Question:
    return _where(asker, asker.say(asker.words.then_other, y=asker.name(other)), other)


def _ask_colour_of_other(asker: Asker, other: int) -> Question:
    text = asker.say(asker.words.then_other, y=asker.shape_name(other))
    return Question(type="colour", text=text, answer=asker.answer_colour(other), topic=other)


def _where(asker: Asker, text: str, index: int) -> Question:
    relation = asker.relation_of(index)
    assert relation is not None
    return Question(type="where", text=text, answer=asker.words.sides[relation], topic=index)
