"""Styles in the studio: chips, the prompt that they make, and the way back from a picture."""

import pytest
from PIL import Image, ImageChops

from janus.metadata import read_settings
from janus.pipeline import Janus
from janus.prompts.styles import styled
from tests.webui.conftest import Open
from webui.style_chips import NONE, restored, suited
from webui.words import words_in

PRO, EMOJI = "janus-pro-7b", "janus-emoji"


def test_what_was_chosen_stays_where_the_model_has_it():
    words = words_in("en")
    assert "value" not in suited(PRO, words, "ink")
    assert suited(EMOJI, words, "ink")["value"] == NONE
    assert suited(EMOJI, words_in("es"), "pink")["value"] == NONE
    assert [name for _, name in suited(EMOJI, words_in("es"), NONE)["choices"]][1] == "blanco"


def test_only_chips_that_are_shown_are_chosen_for_a_picture():
    drawn = styled("two red hearts", "pink", EMOJI)
    settings = {"prompt": drawn, "typed": "two red hearts", "style": "pink"}
    assert restored(settings, EMOJI, words_in("zh-CN")) == ("two red hearts", "pink")
    assert restored(settings, EMOJI, words_in("es")) == (drawn, NONE)
    assert restored(settings, PRO, words_in("en")) == (drawn, NONE)


def test_a_style_is_shown_drawn_and_found_again(open_page: Open, model: Janus):
    pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    from playwright.sync_api import expect

    from tests.webui.test_browser import download, draw, finish

    page = open_page()
    prompt, shown = page.get_by_label("What to draw"), page.locator("#styled")
    prompt.fill("two red")
    expect(shown).to_be_hidden()
    page.get_by_label("On pink").check()
    expect(shown).to_have_text("The model is told: two red on a pink background")
    draw(page, "two red hearts.", "7")
    expect(shown).to_have_text("The model is told: two red hearts on a pink background")
    finish(page)
    caption = page.locator("#gallery .caption-label")
    expect(caption).to_have_text("seed 7 · two red hearts on a pink background")
    file = download(page, "#gallery img")
    settings = read_settings(file) or {}
    assert settings["prompt"] == "two red hearts on a pink background"
    assert (settings["style"], settings["typed"]) == ("pink", "two red hearts.")
    [same] = model.draw(settings["prompt"], seed=7)
    assert ImageChops.difference(Image.open(file), same.image).getbbox() is None
    prompt.fill("a fox")
    page.get_by_label("None", exact=True).check()
    expect(shown).to_be_hidden()
    page.locator("#use-all").click()
    expect(prompt).to_have_value("two red hearts.")
    expect(page.get_by_label("On pink")).to_be_checked()
    expect(shown).to_contain_text("on a pink background")


def test_a_spanish_style_is_spanish(open_page: Open):
    pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    from playwright.sync_api import expect

    page = open_page(width=360, language="es-ES")
    page.locator("#prompt textarea").fill("dos corazones rojos")
    page.get_by_label("Fondo azul").check()
    expect(page.locator("#styled")).to_contain_text("dos corazones rojos sobre un fondo azul")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
