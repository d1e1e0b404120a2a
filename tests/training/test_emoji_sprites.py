import pickle
from collections import defaultdict

import numpy as np
import pytest

from janus.training.emoji.phrasing import WITHOUT_ACUTE, WORDINGS
from janus.training.emoji.sprites import LANGUAGES, Language, Noun, Sprites

AN_EXCEPTIONS = {"unicorn", "UFO", "hourglass"}  # by the sound, not by the letter
GENDER_EXCEPTIONS = {"planeta", "gorila", "panda", "koala", "moto", "radio"}
LOANWORDS = {"robot", "pretzel", "dónut", "croissant"}  # their plural adds only an s


def nouns(sprites: Sprites, language: Language) -> list[Noun]:
    return [noun for sprite in sprites.sprites for noun in sprite.nouns[language]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_or_synonym_names_two_sprites(sprites: Sprites, language: Language) -> None:
    owners = defaultdict(set)
    for index, sprite in enumerate(sprites.sprites):
        for noun in sprite.nouns[language]:
            for form in (noun.singular, noun.plural):
                owners[form.lower().translate(WITHOUT_ACUTE)].add(index)
    assert {form: found for form, found in owners.items() if len(found) > 1} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_is_a_colour_or_a_bare_shape(sprites: Sprites, language: Language) -> None:
    words = WORDINGS[language]
    taken = {colour for colours in words.colours.values() for colour in colours}
    taken |= {noun.singular for noun in words.shapes.values()}
    assert not taken & {noun.singular for noun in nouns(sprites, language)}


def test_objects_are_many_and_shapes_come_in_colours(sprites: Sprites) -> None:
    assert len(sprites) - len(sprites.shapes) >= 180
    shapes = [sprites[index] for index in sprites.shapes]
    for sprite in shapes:
        assert sprite.name == f"{sprite.colour} {sprite.shape}"
    for shape in ("heart", "circle", "square"):
        assert len({sprite.colour for sprite in shapes if sprite.shape == shape}) == 6
    assert {sprite.colour for sprite in shapes if sprite.shape == "book"} == {
        *("red", "green", "blue")
    }


def test_wider_names_are_names_of_sprites(sprites: Sprites) -> None:
    assert {sprite.kind_of for sprite in sprites.sprites} - {None} <= set(sprites.names)
    owl, bird, bee = (sprites[sprites.names.index(name)] for name in ("owl", "bird", "bee"))
    assert owl.is_akin_to(bird) and bird.is_akin_to(owl) and bird.is_akin_to(bird)
    assert not owl.is_akin_to(bee)


def test_english_articles_fit_the_sound(sprites: Sprites) -> None:
    for noun in nouns(sprites, "en"):
        starts_with_vowel = noun.singular[0].lower() in "aeiou"
        is_an = starts_with_vowel != (noun.singular in AN_EXCEPTIONS)
        assert noun.article == ("an" if is_an else "a"), noun


def test_spanish_genders_fit_the_ending(sprites: Sprites) -> None:
    for noun in nouns(sprites, "es"):
        head = noun.singular.split()[0]
        article = {"a": "una", "o": "un"}.get(head[-1], noun.article)
        assert (noun.article == article) != (head in GENDER_EXCEPTIONS), noun


def test_spanish_plurals_follow_the_rules(sprites: Sprites) -> None:
    for noun in nouns(sprites, "es"):
        one, many = noun.singular.split()[0], noun.plural.split()[0]
        assert many.translate(WITHOUT_ACUTE) == _spanish_plural(one), noun


def _spanish_plural(noun: str) -> str:
    """Without its accent, which may come and go."""
    plain = noun.translate(WITHOUT_ACUTE)
    if noun[-1] in "aeiouáéó" or noun in LOANWORDS:
        return f"{plain}s"
    is_stressed_at_the_end = (
        noun[-2] in "áéíóú" or sum(plain.count(vowel) for vowel in "aeiou") == 1
    )
    if noun[-1] == "s" and not is_stressed_at_the_end:
        return plain
    return f"{plain[:-1]}ces" if noun[-1] == "z" else f"{plain}es"


def test_spanish_shapes_agree_with_their_colour(sprites: Sprites) -> None:
    words = WORDINGS["es"]
    for sprite in (sprites[index] for index in sprites.shapes):
        assert sprite.shape and sprite.colour
        bare, (noun, *_) = words.shapes[sprite.shape], sprite.nouns["es"]
        colour = words.colours[sprite.colour][0]
        colours = f"{colour}s" if colour[-1] in "aeo" else f"{colour}es"
        assert noun == Noun(bare.article, f"{bare.singular} {colour}", f"{bare.plural} {colours}")


@pytest.mark.parametrize("size", [17, 40, 96])
def test_every_drawing_fills_its_longer_side(sprites: Sprites, size: int) -> None:
    for index in range(len(sprites)):
        pixels = sprites.resized(index, size)
        assert pixels.shape == (size, size, 4) and pixels.dtype == np.uint8
        rows = np.flatnonzero(pixels[..., 3].max(1))
        columns = np.flatnonzero(pixels[..., 3].max(0))
        assert max(np.ptp(rows), np.ptp(columns)) >= size - 2


def test_sprites_can_go_to_another_process(sprites: Sprites) -> None:
    there = pickle.loads(pickle.dumps(sprites))
    assert there.sprites == sprites.sprites
    np.testing.assert_array_equal(there.resized(3, 20), sprites.resized(3, 20))


def test_resized_drawings_are_remembered_and_read_only(sprites: Sprites) -> None:
    first = sprites.resized(0, 20)
    assert sprites.resized(0, 20) is first
    with pytest.raises(ValueError, match="read-only"):
        first[:] = 0
