"""What the Ask tab offers besides asking, in a real browser."""

# ruff: noqa: F811  # fixtures are found by their names

from pathlib import Path

from playwright.sync_api import Page, expect

from janus.pipeline import Janus
from tests.webui.test_browser import (  # noqa: F401
    Open,
    browser,
    is_busy,
    open_page,
    page,
    picture,
    show,
    wait_until,
)
from webui.locale import locale

ANSWER = "#chat [data-testid=bot]"
QUESTION = "#chat [data-testid=user]"


def test_an_answer_can_be_asked_for_again(page: Page, picture: Path):
    show(page, picture)
    ask(page, "What is it?")
    finish(page)
    first = page.locator(ANSWER).inner_text()
    page.get_by_label("Retry").click()
    expect(page.locator("#ask")).to_be_hidden()
    finish(page)
    expect(page.locator(ANSWER)).to_have_count(1)
    expect(page.locator(QUESTION)).to_have_count(2)  # the picture, the question
    assert page.locator(ANSWER).inner_text() != first


def test_an_edited_question_is_asked_anew(page: Page, picture: Path):
    show(page, picture)
    for question in ("What is it?", "How many?"):
        ask(page, question)
        finish(page)
    page.get_by_label("Edit").first.click()
    page.locator("#chat textarea").fill("Which colour?")
    page.get_by_label("Submit").click()
    expect(page.locator("#ask")).to_be_hidden()
    finish(page)
    expect(page.locator(ANSWER)).to_have_count(1)
    expect(page.locator("#chat")).to_contain_text("Which colour?")
    expect(page.locator("#chat")).not_to_contain_text("How many?")
    expect(page.locator("#chat img")).to_have_count(1)


def test_nothing_else_is_asked_while_an_answer_comes(
    page: Page,
    picture: Path,
    model: Janus,
):
    show(page, picture)
    ask(page, "What is it?")
    finish(page)
    ask(page, "How many?")
    expect(page.locator(ANSWER)).to_have_count(2)
    expect(page.get_by_label("Retry")).to_be_disabled()
    expect(page.get_by_label("Edit").first).to_be_disabled()
    page.locator("#stop-answer").click()
    wait_until(lambda: not is_busy(model))
    finish(page)
    expect(page.get_by_label("Retry")).to_be_enabled()


def test_chips_ask_with_one_click(page: Page, picture: Path):
    show(page, picture)
    chips = page.locator("#chips button:visible")
    expect(chips).to_have_count(4)
    chips.nth(1).click()
    expect(chips.nth(1)).to_be_disabled()
    expect(page.locator("#chat")).to_contain_text("How many objects are there?")
    finish(page)
    chips.nth(3).click()
    question = page.get_by_label("Question")
    expect(question).to_have_value("Where is the \N{HORIZONTAL ELLIPSIS}?")
    expect(question).to_be_focused()
    page.keyboard.type("dog")  # in place of the gap
    expect(question).to_have_value("Where is the dog?")
    expect(page.locator(ANSWER)).to_have_count(1)


def test_visitors_from_china_ask_the_bundled_model_in_english(
    open_page: Open,
    picture: Path,
):
    page = open_page(language="zh-CN")
    page.get_by_role("tab").nth(1).click()
    page.locator("#pictures input[type=file]").set_input_files(picture)
    expect(page.locator("#pictures img")).to_have_count(1)
    page.get_by_text(locale("zh-CN").texts["chip.things"]).click()
    expect(page.locator("#chat")).to_contain_text("How many objects are there?")


def ask(page: Page, question: str) -> None:
    page.get_by_label("Question").fill(question)
    page.locator("#ask").click()
    expect(page.locator("#ask")).to_be_hidden()


def finish(page: Page) -> None:
    expect(page.locator("#ask")).to_be_visible(timeout=60_000)
