"""Yes-or-no questions about scenes of the emoji world: claims that are true every other time.

Enters: an `Asker`. Leaves: a `Question` whose answer is yes or no. A claim and its form do not give
away which: what is not there is asked for in the words that would fit what is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from janus.training.emoji.asking import Asker, Question
from janus.training.emoji.layouts import RELATIONS
from janus.training.emoji.scenes import BACKGROUNDS
from janus.training.emoji.wordings import pick

MOST = 4  # of one kind of object

Claimed = tuple[str, int | None]  # the question, and the sprite that it is about, if that is there


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that may be said of scenes where it applies, truly or not."""

    applies: Callable[[Asker], bool]
    say: Callable[[Asker, bool], Claimed]


def ask_yes_no(asker: Asker, names: Iterable[str] | None = None) -> Question:
    """Whether something is so: every one of `CLAIMS` that applies is equally likely.

    With `names`, every one of those.
    """
    claims = CLAIMS.values() if names is None else map(CLAIMS.__getitem__, names)
    fitting = [claim for claim in claims if claim.applies(asker)]
    is_true = bool(asker.rng.random() < 0.5)
    text, topic = pick(asker.rng, fitting).say(asker, is_true)
    answer = asker.words.yes_no[0 if is_true else 1]
    return Question(type="yesno", text=text, answer=answer, topic=topic)


def _claim_presence(asker: Asker, is_true: bool) -> Claimed:
    index, count = asker.any_group()
    name = asker.name(index if is_true else asker.absent())
    return asker.say(asker.words.is_there[count > 1], x=name), index if is_true else None


def _claim_number(asker: Asker, is_true: bool) -> Claimed:
    index, count = asker.any_group()
    if not is_true:
        count = pick(asker.rng, [other for other in range(1, MOST + 1) if other != count])
    templates = asker.words.is_number[count > 1]
    return asker.say(templates, x=asker.name(index), n=asker.words.numbers[count]), index


def _claim_background(asker: Asker, is_true: bool) -> Claimed:
    shown = asker.scene.background
    others = [colour for colour in BACKGROUNDS if colour != shown]
    colour = shown if is_true else pick(asker.rng, others)
    return asker.say(asker.words.is_background, colour=asker.colour(colour)), None


def _claim_more(asker: Asker, is_true: bool) -> Claimed:
    fewer, more = sorted(asker.scene.groups, key=lambda group: group[1])
    (index, _), (other, _) = (more, fewer) if is_true else (fewer, more)
    return asker.say(asker.words.is_more, x=asker.name(index), y=asker.name(other)), None


def _claim_relation(asker: Asker, is_true: bool) -> Claimed:
    index, other = asker.rng.permutation(asker.scene.sprites).tolist()
    relation = asker.relation_of(index)
    assert relation is not None
    if not is_true:
        relation = pick(asker.rng, [wrong for wrong in RELATIONS if wrong != relation])
    where = asker.beside(other, relation)
    return asker.say(asker.words.is_related, x=asker.name(index), where=where), index


def _claim_colour(asker: Asker, is_true: bool) -> Claimed:
    index, _ = pick(asker.rng, [group for group in asker.lone_shapes() if group[1] == 1])
    shown = asker.sprites[index].colour
    others = {asker.sprites[i].colour for i in asker.sprites.shapes} - {shown}
    colour = shown if is_true else pick(asker.rng, sorted(filter(None, others)))
    assert colour is not None
    text = asker.say(asker.words.is_colour, x=asker.shape_name(index), colour=asker.colour(colour))
    return text, index


def _always(asker: Asker) -> bool:
    return True


def _has_more_of_one(asker: Asker) -> bool:
    return len({count for _, count in asker.scene.groups}) == 2


def _is_related(asker: Asker) -> bool:
    return asker.scene.visible_relation is not None


def _has_coloured_shape(asker: Asker) -> bool:
    return any(count == 1 for _, count in asker.lone_shapes())


CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        "presence": Claim(_always, _claim_presence),
        "number": Claim(_always, _claim_number),
        "background": Claim(_always, _claim_background),
        "more": Claim(_has_more_of_one, _claim_more),
        "relation": Claim(_is_related, _claim_relation),
        "colour": Claim(_has_coloured_shape, _claim_colour),
    }
)
