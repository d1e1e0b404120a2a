"""The wordings of the emoji world: phrases with gaps, and the small steps that fill them.

Enters: a sprite, a colour word or a scene. Leaves: noun phrases and randomly picked templates.
It composes no sentences; `language` and `questions` do.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from janus.training.emoji.scenes import INVERSE, Scene
from janus.training.emoji.sprites import Sprite, Sprites

NUMBERS = ("zero", "one", "two", "three", "four")

DESCRIBE_REQUESTS = (
    "Describe this picture.",
    "Describe the image.",
    "Describe it.",
    "Caption it.",
    "Caption this image.",
    "Write a caption for this picture.",
    "What is in the picture?",
    "What is in this image?",
    "What do you see?",
    "What does the picture show?",
    "Tell me what you see.",
    "describe",
    "caption this",
)
ASK_WHAT = (
    "What is this?",
    "What object is it?",
    "Name the object.",
    "Which object is shown?",
)
ASK_WHAT_PLURAL = (
    "What are these?",
    "Which objects are shown?",
    "What kind of object is shown?",
)
ASK_WHAT_BESIDE = (
    "What is {phrase} the {other}?",
    "Which object is {phrase} the {other}?",
)
ASK_COUNT = (
    "How many {plural} are there?",
    "How many {plural} do you see?",
    "How many {plural} are in the picture?",
    "Count the {plural}.",
)
ASK_TOTAL = ("How many objects are there?", "How many things are in the picture?")
ASK_COLOUR = (
    "What color {be} the {noun}?",
    "What colour {be} the {noun}?",
    "Which color {be} the {noun}?",
    "Name the color of the {noun}.",
)
ASK_BACKGROUND = (
    "What color is the background?",
    "What colour is the background?",
    "Which color is the background?",
    "Name the background color.",
)
ASK_WHERE = (
    "Where is the {name}?",
    "Where is the {name}, seen from the {other}?",
    "On which side of the {other} is the {name}?",
)
ASK_PRESENCE = (
    "Is there {a_name}?",
    "Do you see {a_name}?",
    "Is there {a_name} in the picture?",
)
ASK_NUMBER = ("Are there {number} {plural}?", "Do you see {number} {plural}?")
ASK_ONE = ("Is there exactly one {name}?", "Do you see exactly one {name}?")
ASK_IF_BACKGROUND = (
    "Is the background {colour}?",
    "Does it have {a_colour} background?",
)
ASK_IF_RELATED = ("Is the {name} {phrase} the {other}?",)

LEADS = (
    "a picture of ",
    "an image of ",
    "a drawing of ",
    "draw ",
    "draw a picture of ",
    "please draw ",
    "show me ",
    "generate an image of ",
    "paint ",
    "I want ",
)
PLAIN_LEAD_SHARE = 0.5
NO_BACKGROUND_SHARE = 0.2
CAPITAL_SHARE = 0.35
PERIOD_SHARE = 0.3
NUMBER_WORD_SHARE = 0.7
ASK_TOTAL_SHARE = 0.25
BACKGROUND_PHRASES = (
    " on {a_colour} background",
    " on {a_colour} background",
    " on {a_colour} background",
    " with {a_colour} background",
    " in front of {a_colour} background",
    " on {colour}",
    ", {colour} background",
    ". The background is {colour}",
)
CAPTION_PHRASE: Mapping[str, str] = MappingProxyType(
    {
        "left of": "to the left of",
        "right of": "to the right of",
        "above": "above",
        "below": "below",
    }
)
RELATION_PHRASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "left of": (
            "{first} to the left of {second}",
            "{first} left of {second}",
            "{first} on the left and {second} on the right",
        ),
        "right of": (
            "{first} to the right of {second}",
            "{first} right of {second}",
            "{first} on the right and {second} on the left",
        ),
        "above": (
            "{first} above {second}",
            "{first} over {second}",
            "{first} at the top and {second} at the bottom",
        ),
        "below": (
            "{first} below {second}",
            "{first} under {second}",
            "{first} at the bottom and {second} at the top",
        ),
    }
)


def pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """One of the choices, each equally likely."""
    return choices[int(rng.integers(len(choices)))]


def one(sprite: Sprite) -> str:
    """ "a dog"."""
    return f"{sprite.article} {sprite.name}"


def counted(sprite: Sprite, count: int) -> str:
    """ "a dog" or "three dogs"."""
    return one(sprite) if count == 1 else f"{NUMBERS[count]} {sprite.plural}"


def fill_colour(template: str, colour: str) -> str:
    """Put a background colour into the gaps `colour` and `a_colour`."""
    return template.format(colour=colour, a_colour=f"a {colour}")


def read_relation(
    scene: Scene, sprites: Sprites, rng: np.random.Generator
) -> tuple[tuple[Sprite, Sprite], str]:
    """The two objects and how the first lies to the second, from either side by chance."""
    assert scene.relation is not None
    first, second = (sprites[index] for index in scene.sprites)
    if rng.random() < 0.5:
        return (first, second), scene.relation
    return (second, first), INVERSE[scene.relation]
