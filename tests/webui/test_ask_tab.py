"""What the Ask tab offers besides asking, in a real browser."""

from pathlib import Path
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page, expect

from janus.pipeline import Janus
from tests.webui.test_browser import Open, draw, is_busy, show, wait_until
from tests.webui.test_browser import finish as finish_drawing
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
    page.get_by_label("Question").fill("Too early")
    page.get_by_label("Question").press("Enter")
    expect(page.get_by_label("Retry")).to_be_disabled()
    expect(page.get_by_label("Edit").first).to_be_disabled()
    page.locator("#stop-answer").click()
    wait_until(lambda: not is_busy(model))
    finish(page)
    expect(page.get_by_label("Retry")).to_be_enabled()
    expect(page.get_by_label("Question")).to_have_value("Too early")
    expect(page.locator("#chat")).not_to_contain_text("Too early")


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


def test_it_shows_where_it_looked_while_others_draw(open_page: Open, picture: Path, model: Janus):
    page, other = open_page(), open_page()
    show(page, picture)
    expect(page.locator("#look")).to_be_disabled()
    ask(page, "What is it?")
    finish(page)
    draw(other, "a cat")
    wait_until(lambda: is_busy(model))
    page.locator("#look").click()
    expect(page.locator("#glow img")).to_have_count(1)
    expect(page.locator("#looked")).to_contain_text("not why it answered so")
    with urlopen(str(page.locator("#glow img").get_attribute("src"))) as file:
        glow = Image.open(file)
        assert glow.size == (90, 60) and len(glow.convert("RGB").getcolors() or ()) > 10
    ask(page, "How many?")
    expect(page.locator("#looked")).to_be_hidden()
    finish_drawing(other)


def test_without_a_picture_there_is_nothing_to_look_at(page: Page):
    page.get_by_role("tab", name="Ask").click()
    ask(page, "What is a dog?")
    finish(page)
    expect(page.locator("#draw-answer")).to_be_enabled()
    expect(page.locator("#look")).to_be_disabled()
    page.locator("#clear").click()
    expect(page.locator("#draw-answer")).to_be_disabled()


def test_an_answer_becomes_a_prompt(page: Page, picture: Path):
    show(page, picture)
    ask(page, "What is it?")
    finish(page)
    answer = page.locator(ANSWER).inner_text()
    page.locator("#draw-answer").click()
    expect(page.locator("#draw")).to_be_visible()
    prompt = page.get_by_label("What to draw").input_value()
    assert prompt and prompt.split()[0] == answer.split()[0]


def test_a_part_is_cut_out_by_two_clicks(page: Page, picture: Path):
    show(page, picture)
    page.get_by_role("button", name="Ask about a part").click()
    canvas = page.locator("#canvas img")
    expect(canvas).to_be_visible()
    page.wait_for_function("document.querySelector('#canvas img').complete")
    canvas.hover()  # waits until nothing moves any more
    frame = canvas.bounding_box()
    assert frame
    height = min(frame["height"], frame["width"] / 1.5)  # of the picture within its frame
    width = 1.5 * height
    left, top = (frame["width"] - width) / 2, (frame["height"] - height) / 2
    for share in (0.1, 0.6):
        before = canvas.get_attribute("src")
        canvas.click(position={"x": left + share * width, "y": top + share * height})
        expect(canvas).not_to_have_attribute("src", str(before))
    expect(page.get_by_label("number input for Right edge")).to_have_value("60")
    ask(page, "What is it?")
    assert shown_size(page) == (45, 30)


def test_a_part_is_cut_out_by_sliders_and_forgotten_again(page: Page, picture: Path):
    show(page, picture)
    page.get_by_role("button", name="Ask about a part").click()
    expect(page.locator("#canvas img")).to_be_visible()
    page.get_by_label("number input for Left edge").fill("50")
    page.get_by_label("number input for Left edge").press("Tab")
    ask(page, "What is it?")
    assert shown_size(page) == (45, 60)
    finish(page)
    page.locator("#reset-part").click()
    expect(page.get_by_label("number input for Left edge")).to_have_value("0")
    ask(page, "What is it?")
    expect(page.locator("#chat img")).to_have_count(2)
    assert shown_size(page) == (90, 60)


def test_answers_are_as_long_as_wanted(page: Page, picture: Path):
    show(page, picture)
    page.get_by_role("button", name="Answers").click()
    length = page.get_by_label("number input for Length")
    expect(length).to_have_value("512")
    ask(page, "What is it?")
    finish(page)
    long = page.locator(ANSWER).inner_text()
    length.fill("16")
    length.press("Tab")
    ask(page, "What is it?")
    finish(page)
    expect(page.locator(ANSWER)).to_have_count(2)
    assert len(page.locator(ANSWER).last.inner_text()) < len(long) / 2


def shown_size(page: Page) -> tuple[int, int]:
    """Of the last picture in the conversation."""
    image = page.locator("#chat img").last
    expect(image).to_be_visible()
    with urlopen(str(image.get_attribute("src"))) as file:
        return Image.open(file).size


def ask(page: Page, question: str) -> None:
    page.get_by_label("Question").fill(question)
    page.locator("#ask").click()
    expect(page.locator("#ask")).to_be_hidden()


def finish(page: Page) -> None:
    expect(page.locator("#ask")).to_be_visible(timeout=60_000)
