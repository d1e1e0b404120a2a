from collections import Counter

import numpy as np
import pytest

from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.language import (
    Question,
    ask_caption,
    caption,
    describe_request,
    dialogue,
    follow_up,
    parse_caption,
    prompt,
    question,
    score_caption,
)
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.scenes import KINDS, Placement, Scene, sample_scene
from janus.training.emoji.sprites import LANGUAGES, Language, Sprites
from tests.training.emoji_reader import NUMBERS, SIDES, Reader, plain

SIDE_WORDS = {
    "en": {"left of": "left", "right of": "right", "above": "above", "below": "below"},
    "es": {"left of": "izquierda", "right of": "derecha", "above": "arriba", "below": "abajo"},
}
in_both_languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def scenes(sprites: Sprites) -> list[Scene]:
    """As many of every kind, from both sides of the exam."""
    rng = np.random.default_rng(0)
    return [
        sample_scene(rng, sprites, held_out, {kind: 1})
        for kind in KINDS
        for held_out in (False, True)
        for _ in range(90)
    ]


@pytest.fixture(params=LANGUAGES)
def reader(request: pytest.FixtureRequest, sprites: Sprites) -> Reader:
    return Reader(sprites, request.param)


@in_both_languages
def test_one_seed_is_one_text(sprites: Sprites, scenes: list[Scene], language: Language) -> None:
    for speak in (dialogue, question, prompt):
        texts = [
            [speak(scene, sprites, rng, language) for scene in scenes[::40]]
            for rng in (np.random.default_rng(4), np.random.default_rng(4))
        ]
        assert texts[0] == texts[1]


@in_both_languages
def test_captions_are_read_back_as_true(
    sprites: Sprites, scenes: list[Scene], language: Language
) -> None:
    other = "es" if language == "en" else "en"
    for scene in scenes:
        text = caption(scene, sprites, language)
        assert all(score_caption(text, scene, sprites, language).values()), text
        assert not score_caption(text, scene, sprites, other)["background"], text


def test_captions_look_as_promised(sprites: Sprites) -> None:
    dogs = _scene(sprites, ("dog", 0.2, 0.2), ("cat", 0.1, 0.8), ("dog", 0.8, 0.8))
    assert caption(dogs, sprites) == "two dogs and a cat on a blue background"
    assert caption(dogs, sprites, "es") == "dos perros y un gato sobre un fondo azul"
    beside = _scene(sprites, ("red heart", 0.8, 0.5), ("apple", 0.2, 0.5))
    assert caption(beside, sprites) == "an apple to the left of a red heart on a blue background"
    assert caption(beside, sprites, "es") == (
        "una manzana a la izquierda de un corazón rojo sobre un fondo azul"
    )
    stacked = _scene(sprites, ("blue circle", 0.5, 0.8), ("blue circle", 0.2, 0.2))
    assert caption(stacked, sprites, "es") == "dos círculos azules sobre un fondo azul"
    aslant = _scene(sprites, ("owl", 0.8, 0.8), ("moon", 0.2, 0.2))
    assert caption(aslant, sprites) == "a moon and an owl on a blue background"


def test_captions_are_read_by_their_elements(sprites: Sprites) -> None:
    assert parse_caption("A dog to the left of an eggplant on a pink background.", sprites) == {
        "objects": ("dog", "eggplant"),
        "counts": (1, 1),
        "relation": "left of",
        "background": "pink",
    }
    assert parse_caption("tres corazones rojos y una seta sobre un fondo rosa", sprites, "es") == {
        "objects": ("red heart", "mushroom"),
        "counts": (3, 1),
        "relation": None,
        "background": "pink",
    }


@in_both_languages
@pytest.mark.parametrize(
    "text", ["", "on a", "a dog on a boat", "seven dogs", " above ", "a a a", "un perro sobre un"]
)
def test_nonsense_is_parsed_without_error(sprites: Sprites, text: str, language: Language) -> None:
    assert parse_caption(text, sprites, language)["background"] is None


@in_both_languages
def test_each_wrong_element_is_marked_alone(sprites: Sprites, language: Language) -> None:
    words = WORDINGS[language]
    scene = _scene(sprites, ("fox", 0.2, 0.2), ("fox", 0.2, 0.8), ("cow", 0.8, 0.5))
    fox, cow, pig = (
        words.name(sprites[sprites.names.index(name)]) for name in ("fox", "cow", "pig")
    )
    blue, pink = (
        words.on_background.format(colour=words.colours[colour][0]) for colour in ("blue", "pink")
    )
    three, two = words.counted(fox, 3), words.counted(fox, 2)
    lies = {
        "objects": f"{words.both.format(first=two, second=pig.a)} {blue}",
        "count": f"{words.both.format(first=three, second=cow.a)} {blue}",
        "relation": f"{words.related['above'].format(first=two, second=cow.a)} {blue}",
        "background": f"{words.both.format(first=two, second=cow.a)} {pink}",
    }
    for element, text in lies.items():
        scores = score_caption(text, scene, sprites, language)
        assert [key for key, is_right in scores.items() if not is_right] == [element, "all"]


def test_numbers_must_be_those_of_their_objects(sprites: Sprites) -> None:
    scene = _scene(sprites, ("fox", 0.2, 0.2), ("fox", 0.2, 0.8), ("cow", 0.8, 0.5))
    scores = score_caption("two cows and a fox on a blue background", scene, sprites)
    assert [key for key, is_right in scores.items() if not is_right] == ["count", "all"]


def test_a_relation_may_be_told_from_either_side(sprites: Sprites) -> None:
    scene = _scene(sprites, ("fox", 0.2, 0.5), ("cow", 0.8, 0.5), relation="left of")
    told = {
        "a fox to the left of a cow": True,
        "a cow to the right of a fox": True,
        "a cow to the left of a fox": False,
        "a fox above a cow": False,
        "a fox and a cow": False,
    }
    for text, is_right in told.items():
        scores = score_caption(f"{text} on a blue background", scene, sprites)
        assert scores["all"] == scores["relation"] == is_right


def test_a_relation_nobody_asked_for_may_go_unsaid_but_not_be_wrong(sprites: Sprites) -> None:
    scene = _scene(sprites, ("fox", 0.2, 0.5), ("cow", 0.8, 0.5))
    told = {
        "a fox and a cow": True,
        "a cow to the right of a fox": True,
        "a fox above a cow": False,
    }
    for text, is_right in told.items():
        scores = score_caption(f"{text} on a blue background", scene, sprites)
        assert scores["all"] == is_right


@in_both_languages
def test_requests_for_captions_and_questions_never_coincide(
    sprites: Sprites, scenes: list[Scene], language: Language
) -> None:
    rng = np.random.default_rng(2)
    requests = {plain(describe_request(rng, language)) for _ in range(1000)}
    assert len(requests) == len({plain(text) for text in WORDINGS[language].describe})
    asked = {plain(question(scene, sprites, rng, language).text) for scene in scenes * 2}
    assert not requests & asked


@in_both_languages
def test_all_question_types_occur_and_yes_is_as_common_as_no(
    sprites: Sprites, scenes: list[Scene], language: Language
) -> None:
    rng = np.random.default_rng(3)
    questions = [question(scene, sprites, rng, language) for scene in scenes * 3]
    assert {asked.type for asked in questions} == {
        *("what", "count", "colour", "background", "where", "yesno")
    }
    verdicts = [asked.answer for asked in questions if asked.type == "yesno"]
    assert 0.44 < verdicts.count(WORDINGS[language].yes_no[0]) / len(verdicts) < 0.56


def test_answers_follow_from_the_scene(reader: Reader, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(5)
    for scene in scenes * 3:
        asked = question(scene, reader.sprites, rng, reader.language)
        read = reader.answer(asked.type, asked.text, scene)
        assert asked.answer in _spoken(read, asked, reader), (asked, scene)


def test_follow_ups_have_their_meaning_from_the_turn_before(
    reader: Reader, scenes: list[Scene]
) -> None:
    rng = np.random.default_rng(6)
    types = set()
    for scene in scenes * 3:
        start = ask_caption if rng.random() < 0.3 else question
        before = start(scene, reader.sprites, rng, reader.language)
        asked = follow_up(before, scene, reader.sprites, rng, reader.language)
        if asked is None:
            assert before.type == "background"
            continue
        types.add(asked.type)
        read = reader.answer(asked.type, asked.text, scene, before.topic)
        assert asked.answer in _spoken(read, asked, reader), (before, asked, scene)
    assert types == {"what", "count", "colour", "background", "where"}


def test_spanish_agrees_in_gender(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(11)
    genders = {
        "un": {"un", "el", "los", "del", "cuantos"},
        "una": {"una", "la", "las", "cuantas", "sola"},
    }
    reader = Reader(sprites, "es")
    for scene in scenes:
        asked = dialogue(scene, sprites, rng, "es")
        texts = [text for turn in asked for text in (turn.text, turn.answer)]
        for before, article in reader.nouns(" ".join([*texts, prompt(scene, sprites, rng, "es")])):
            others = genders["una" if article == "un" else "un"]
            assert before not in others, texts


@in_both_languages
def test_a_dialogue_asks_for_caption_and_background_at_most_once(
    sprites: Sprites, scenes: list[Scene], language: Language
) -> None:
    rng = np.random.default_rng(7)
    lengths: Counter[int] = Counter()
    num_captions = 0
    for scene in scenes:
        turns = dialogue(scene, sprites, rng, language)
        types = [turn.type for turn in turns]
        assert types.count("caption") <= 1
        assert types.count("background") <= 1
        if "caption" in types:
            assert turns[types.index("caption")].answer == caption(scene, sprites, language)
        num_captions += types.count("caption")
        lengths[len(turns)] += 1
    assert set(lengths) == {1, 2, 3} and lengths[1] > lengths[2] > lengths[3]
    assert 0.3 < num_captions / len(scenes) < 0.6


def test_prompts_ask_for_exactly_the_scene(reader: Reader, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(8)
    num_with_background = 0
    for scene in scenes:
        text = prompt(scene, reader.sprites, rng, reader.language)
        claimed = reader.claimed(text)
        assert dict(claimed) == dict(scene.groups) and len(claimed) == len(scene.groups), text
        named = list(dict(claimed))
        if scene.relation is None:
            assert not reader.sides(text), text
        else:
            assert _first_side(text, reader) == reader.relation(scene, named[0]), text
        backgrounds = reader.backgrounds(text)
        assert backgrounds <= {scene.background}, text
        num_with_background += len(backgrounds)
    assert 0.75 < num_with_background / len(scenes) < 0.85


@in_both_languages
def test_prompts_are_varied(sprites: Sprites, scenes: list[Scene], language: Language) -> None:
    rng = np.random.default_rng(9)
    texts = [prompt(scenes[0], sprites, rng, language) for _ in range(300)]
    assert len(set(texts)) > 150
    assert min(map(len, texts)) < 20 and max(map(len, texts)) > 70


@in_both_languages
def test_every_text_survives_the_vocabulary(
    vocabulary: JanusTokenizer, sprites: Sprites, scenes: list[Scene], language: Language
) -> None:
    rng = np.random.default_rng(10)
    for scene in scenes[::5]:
        turns = dialogue(scene, sprites, rng, language)
        texts = [prompt(scene, sprites, rng, language)]
        texts += [text for turn in turns for text in (turn.text, turn.answer)]
        for text in texts:
            assert vocabulary.decode(vocabulary.encode(text)) == text


def _scene(
    sprites: Sprites, *pieces: tuple[str, float, float], relation: str | None = None
) -> Scene:
    placements = tuple(Placement(sprites.names.index(name), x, y, 0.3) for name, x, y in pieces)
    return Scene(kind="any", background="blue", placements=placements, relation=relation)


def _spoken(read: str | int | bool | None, asked: Question, reader: Reader) -> set[str]:
    """How an answer may sound in the language."""
    language = reader.language
    if asked.type == "what":
        assert isinstance(read, int)
        return {reader.sprites[read].nouns[language][0].singular}
    if asked.type == "count":
        assert isinstance(read, int)
        is_feminine = language == "es" and read == 1 and _is_feminine(asked, reader)
        return {"una" if is_feminine else NUMBERS[language][read]}
    if asked.type == "yesno":
        return {("yes" if read else "no") if language == "en" else ("sí" if read else "no")}
    assert isinstance(read, str)
    if asked.type == "where":
        return {SIDE_WORDS[language][read]}
    return {WORDINGS[language].colours[read][0]}


def _is_feminine(asked: Question, reader: Reader) -> bool:
    articles = [article for _, article in reader.nouns(asked.text)]
    if not articles and asked.topic is not None:
        articles = [reader.sprites[asked.topic].nouns["es"][0].article]
    return articles[:1] == ["una"]


def _first_side(text: str, reader: Reader) -> str:
    """The relation that is told right after the first object."""
    places = {
        reader.without_names(text).split().index(word): relation
        for relation, words in SIDES[reader.language].items()
        for word in words
        if word in reader.without_names(text).split()
    }
    return places[min(places)]
