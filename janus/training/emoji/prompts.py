"""Drawing prompts for emoji scenes, in many wordings.

Enters: a scene, the sprites, a random generator, a language. Leaves: a prompt that asks for exactly
this scene; only the background may go unmentioned. No picture is looked at.
"""

import numpy as np

from janus.training.emoji.layouts import INVERSE
from janus.training.emoji.phrasing import WORDINGS, as_sentence, as_typed
from janus.training.emoji.scenes import Scene
from janus.training.emoji.sprites import Language, Sprites
from janus.training.emoji.wordings import Name, Wordings, pick

PLAIN_SHARE = 0.45  # without a frame such as "please draw ..."
BACKGROUND_SHARE = 0.8
APART_SHARE = 0.1  # the background in a sentence of its own
DIGIT_SHARE = 0.3
BARE_SHARE = 0.15  # names without articles, as in a list of keywords
CAPITAL_SHARE = 0.35
PERIOD_SHARE = 0.25


def prompt(
    scene: Scene,
    sprites: Sprites,
    rng: np.random.Generator,
    language: Language = "en",
    *,
    background_share: float = BACKGROUND_SHARE,
) -> str:
    """Ask for a drawing of the scene; only the background goes unmentioned, now and then."""
    words = WORDINGS[language]
    text = _subject(scene, sprites, rng, words)
    colour = pick(rng, words.colours[scene.background])
    has_background = rng.random() < background_share
    is_apart = rng.random() < APART_SHARE
    if has_background and not is_apart:
        text = pick(rng, words.prompt_background).format(what=text, colour=colour)
    if rng.random() >= PLAIN_SHARE:
        text = pick(rng, words.prompt_frames).format(what=text)
    if has_background and is_apart:
        apart = pick(rng, words.prompt_background_apart).format(colour=colour)
        text = f"{text if text.endswith('?') else text + '.'} {apart}"
    if rng.random() < CAPITAL_SHARE:
        text = as_sentence(text)
    if rng.random() < PERIOD_SHARE and not text.endswith("?"):
        text += "."
    return as_typed(text, rng)


def _subject(scene: Scene, sprites: Sprites, rng: np.random.Generator, words: Wordings) -> str:
    groups = [(words.any_name(sprites[index], rng), count) for index, count in scene.groups]
    if len(groups) == 1:
        ((name, count),) = groups
        if count == 1:
            return pick(rng, words.prompt_one).format(x=name)
        number = str(count) if rng.random() < DIGIT_SHARE else words.numbers[count]
        return pick(rng, words.prompt_many).format(n=number, x=name)
    relation = scene.relation
    if rng.random() < 0.5:
        groups, relation = groups[::-1], relation and INVERSE[relation]
    first, second = _counted_alike(groups, rng, words)
    templates = words.prompt_both if relation is None else words.prompt_related[relation]
    return pick(rng, templates).format(first=first, second=second)


def _counted_alike(
    groups: list[tuple[Name, int]], rng: np.random.Generator, words: Wordings
) -> list[str]:
    """Both in one manner: "a dog", "two cats"; "1 dog", "2 cats"; or only "dog", "cat"."""
    a = pick(rng, words.prompt_a)
    is_pair = all(count == 1 for _, count in groups)
    if is_pair and rng.random() < BARE_SHARE:
        return [name.one for name, _ in groups]
    if not is_pair and rng.random() < DIGIT_SHARE:
        return [f"{count} {name.one if count == 1 else name.many}" for name, count in groups]
    return [
        a.format(x=name) if count == 1 else words.counted(name, count) for name, count in groups
    ]
