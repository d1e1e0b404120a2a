"""What makes drawing pleasant: examples, hints beforehand, the line, the title, a calm page."""

import re
from collections.abc import Iterator

import pytest

from janus.metadata import read_settings
from janus.pipeline import Janus
from tests.webui.conftest import Open, free_port
from tests.webui.test_browser import download, draw, finish, num_requests, wait_until
from webui.cards import cards_for
from webui.locale import TAGS, locale
from webui.words import words_in

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

PARTS = ("#prompt", "#examples", "#count", "#stage", "#progress", "#estimate", "footer")


@pytest.fixture
def other_studio(model: Janus, studio: str) -> Iterator[str]:
    """The address of a studio that has drawn nothing, with another model, for one at a time."""
    other = Janus(model.model, model.tokenizer, model.template.style, name="somebody/else")
    other.engine = model.engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setattr("webui.app.AT_ONCE", 1)
        from webui.app import build, serve

        page = build(other)
        yield serve(page, host="127.0.0.1", port=free_port())
        page.close(verbose=False)


@pytest.mark.parametrize("language", ["en-US", "es-MX", "zh-CN"])
def test_a_card_fills_in_all_that_draws_its_picture(open_page: Open, language: str):
    page = open_page(language=language)
    tag = next(tag for tag in TAGS if tag[:2] == language[:2])
    cards = page.locator("#cards button")
    expect(cards).to_have_count(6)
    for image in cards.locator("img").all():
        expect(image).to_have_js_property("naturalWidth", 128)
    page.locator("#count label").nth(1).click()
    cards.nth(3).click()
    card = cards_for("janus-emoji", words_in(tag))[3]
    expect(page.locator("#prompt textarea")).to_have_value(card.settings.prompt)
    expect(page.locator("#seed textarea, #seed input")).to_have_value(
        str(card.settings.params.seed)
    )
    expect(page.locator("#progress")).to_have_text(locale(tag).texts["draw.card"])
    page.locator("#draw").click()
    expect(page.locator("#gallery img")).to_have_count(1)
    expect(page.locator("#cards")).to_be_hidden()
    drawn, kept = read_settings(download(page, "#gallery img")), read_settings(card.path)
    assert drawn and kept and {**drawn, "dtype": ""} == {**kept, "dtype": ""}


def test_a_card_is_taken_with_the_keyboard(page: Page):
    page.locator("#cards button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#prompt textarea")).not_to_have_value("")


def test_another_model_has_no_cards(open_page: Open, other_studio: str):
    page = open_page(address=other_studio)
    expect(page.locator("#examples button").first).to_be_visible()
    expect(page.locator("#cards")).to_be_hidden()
    expect(page.locator("#stage")).to_be_visible()


def test_the_length_of_the_prompt_is_counted_and_a_long_one_is_marked(page: Page, model: Janus):
    prompt, length = page.get_by_label("What to draw"), page.locator("#length")
    expect(length).to_have_text("")
    prompt.press_sequentially("two red hearts")
    tokens, limit = model.prompt_length("two red hearts")
    expect(length).to_have_text(f"{tokens} of {limit} tokens")
    too_long = "heart " * (limit + 9)
    prompt.fill(too_long)
    expect(length.locator(".warning")).to_contain_text("Too long for this model")
    page.locator("#draw").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Shorten the text")
    assert prompt.input_value() == too_long
    page.locator("#examples button").first.click()
    expect(length.locator(".warning")).to_have_count(0)
    finish(page)


def test_the_last_length_counts_however_fast_one_types(page: Page, model: Janus):
    prompt = page.get_by_label("What to draw")
    for number in range(1, 30):
        prompt.fill("heart " * number)
    tokens, limit = model.prompt_length("heart " * 29)
    expect(page.locator("#length")).to_have_text(f"{tokens} of {limit} tokens")
    assert prompt.input_value() == "heart " * 29


def test_time_is_estimated_once_it_was_measured(open_page: Open, other_studio: str):
    page = open_page(address=other_studio)
    estimate = page.locator("#estimate")
    expect(estimate).to_have_text("")
    draw(page, "a fox")
    finish(page)
    expect(estimate).to_contain_text(re.compile(r"Takes about \d+\.\d s"))
    page.get_by_label("4", exact=True).check()
    expect(estimate).to_contain_text(re.compile(r"Takes at most about \d+\.\d s"))
    draw(page, "a fox")
    finish(page)
    expect(estimate).to_contain_text("Takes about")
    second = open_page(address=other_studio, language="es-ES")
    expect(second.locator("#estimate")).to_contain_text(re.compile(r"Tarda unos \d+,\d s"))


def test_those_who_wait_know_their_number_and_may_leave(
    open_page: Open, other_studio: str, model: Janus
):
    languages = ("en-US", "zh-CN", "es-ES")
    first, second, third = (open_page(address=other_studio, language=tag) for tag in languages)
    first.get_by_label("8", exact=True).check()
    draw(first, "a fox")
    wait_until(lambda: num_requests(model) == 1)
    for page, said in ((second, "您排在第 1 位"), (third, "Tienes el número 2 en la cola")):
        page.locator("#prompt textarea").fill("dog")
        page.locator("#draw").click()
        expect(page.locator("#progress")).to_contain_text(said)
    second.locator("#stop-drawing").click()
    expect(third.locator("#progress")).to_contain_text("Tienes el número 1 en la cola")
    expect(third.locator("#gallery img")).to_be_visible()
    finish(first)
    expect(second.locator("#draw")).to_be_visible()
    assert not second.locator("#gallery img").count()


def test_who_finds_no_room_in_the_model_is_told(open_page: Open, model: Janus):
    first, second = open_page(), open_page()
    first.get_by_label("8", exact=True).check()
    draw(first, "a fox")
    wait_until(lambda: num_requests(model) == 1)
    wait_until(lambda: model.must_wait(2))
    draw(second, "a dog")
    expect(second.locator("#progress")).to_contain_text("no room left")
    finish(second)
    finish(first)


def test_the_title_tells_how_far_it_is(page: Page, model: Janus):
    begun = re.compile(r"^\d+ % - Janus$")
    page.get_by_label("2", exact=True).check()
    draw(page, "a fox")
    expect(page).to_have_title(re.compile(r"^[1-9]\d? % - Janus$"))
    finish(page)
    expect(page).to_have_title("Janus")
    draw(page, "a fox")
    expect(page).to_have_title(begun)
    page.locator("#stop-drawing").click()
    expect(page.locator("#draw")).to_be_visible()
    expect(page).to_have_title("Janus")
    draw(page, "a fox")
    expect(page).to_have_title(begun)
    with model.model.register_forward_pre_hook(_fail):
        expect(page.get_by_test_id("toast-body")).to_be_visible()
    expect(page.locator("#draw")).to_be_visible()
    expect(page).to_have_title("Janus")


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_moves_when_pictures_appear(open_page: Open, width: int):
    page = open_page(width=width)
    expect(page.locator("#cards button")).to_have_count(6)
    page.get_by_label("2", exact=True).check()
    page.get_by_label("What to draw").fill("a fox")
    expect(page.locator("#length")).to_contain_text("tokens")
    before = places(page, *PARTS, "#draw")
    page.locator("#draw").click()
    expect(page.locator("#stop-drawing")).to_be_visible()
    assert places(page, *PARTS, "#stop-drawing") == before
    expect(page.locator("#stage img")).to_be_visible()
    assert places(page, *PARTS, "#stop-drawing") == before
    finish(page)
    expect(page.locator("#estimate")).to_contain_text("Takes")
    expect(page.locator("#gallery img")).to_have_count(2)
    assert places(page, *PARTS[:-1], "#draw") == before[:-2] + before[-1:]


def places(page: Page, *selectors: str) -> list[dict[str, float] | None]:
    """Where they are on the page."""
    page.evaluate("scrollTo(0, 0)")
    return [page.locator(selector).bounding_box() for selector in selectors]


def _fail(*_: object) -> None:
    raise MemoryError
