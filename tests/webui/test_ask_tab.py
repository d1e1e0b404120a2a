"""What the Ask tab offers besides asking, in a real browser."""

from pathlib import Path

from playwright.sync_api import Page, expect

from janus.pipeline import Janus
from tests.webui.test_browser import (  # fixtures are found by their names  # noqa: F401
    browser,
    is_busy,
    open_page,
    page,
    picture,
    show,
    wait_until,
)

ANSWER = "#chat [data-testid=bot]"
QUESTION = "#chat [data-testid=user]"


def test_an_answer_can_be_asked_for_again(page: Page, picture: Path):  # noqa: F811
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


def test_an_edited_question_is_asked_anew(page: Page, picture: Path):  # noqa: F811
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
    page: Page,  # noqa: F811
    picture: Path,  # noqa: F811
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


def ask(page: Page, question: str) -> None:  # noqa: F811
    page.get_by_label("Question").fill(question)
    page.locator("#ask").click()
    expect(page.locator("#ask")).to_be_hidden()


def finish(page: Page) -> None:  # noqa: F811
    expect(page.locator("#ask")).to_be_visible(timeout=60_000)
