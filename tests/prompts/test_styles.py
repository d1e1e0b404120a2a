"""Styles: what they make of a prompt, and how a picture tells which was chosen."""

import pytest

from janus.errors import UsageError
from janus.prompts.styles import GAP, asked_for, styled, styles_of
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.scenes import BACKGROUNDS

PRO, EMOJI = "janus-pro-7b", "janus-emoji"


@pytest.mark.parametrize("model", [PRO, EMOJI])
def test_every_template_has_one_gap_and_says_something(model: str):
    for template in styles_of(model).values():
        assert template.count(GAP) == 1
        assert len(template.split()) > 3


def test_a_model_of_free_prompts_has_twelve_styles():
    assert len(styles_of("deepseek-ai/Janus-Pro-1B")) == 12
    assert styles_of("/models/my-own") == styles_of(PRO)


def test_the_bundled_model_has_the_backgrounds_that_it_knows_in_its_languages():
    templates = {
        (f"{GAP} {words.on_background}").format(colour=words.colours[name][0], prompt=GAP)
        for words in WORDINGS.values()
        for name in BACKGROUNDS
    }
    assert set(styles_of(EMOJI).values()) == templates


@pytest.mark.parametrize("typed", ["two red hearts", " two red hearts.\n", "two red hearts。"])
def test_a_style_goes_on_with_the_sentence(typed: str):
    assert styled(typed, "blue", EMOJI) == "two red hearts on a blue background"


def test_what_is_typed_is_never_taken_for_a_template():
    assert styled("{prompt} {0} %s", "azul", EMOJI) == "{prompt} {0} %s sobre un fondo azul"


def test_nothing_stays_nothing_and_no_style_changes_nothing():
    assert styled(" ", "ink", PRO) == ""
    assert styled(" a fox. ", None, PRO) == " a fox. "


def test_an_unknown_style_is_answered_with_those_of_the_model():
    with pytest.raises(UsageError, match=r"^There is no style 'ink' for janus-emoji\.") as caught:
        styled("a fox", "ink", EMOJI)
    assert "'pink'" in caught.value.hint
    assert "morado" in caught.value.hint


def test_a_picture_is_asked_for_again_with_its_style():
    told = {"prompt": styled("a fox", "ink", PRO), "typed": "a fox", "style": "ink"}
    assert asked_for(told, styles_of(PRO)) == ("a fox", "ink")


@pytest.mark.parametrize(
    "told",
    [
        {"typed": "a fox", "style": "ink"},  # whose template was another one
        {"typed": "a fox", "style": "blue"},  # of another model
        {"style": "ink"},
        {"typed": ["a fox"], "style": ["ink"]},
        {},
    ],
)
def test_what_was_drawn_counts(told: dict):
    drawn = "a fox, in ink as it was once"
    assert asked_for({"prompt": drawn, **told}, styles_of(PRO)) == (drawn, None)
