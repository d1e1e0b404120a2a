"""Pictures of the model at work, asked for with real clicks."""

import base64
import io
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from janus.pipeline import Janus
from tests.webui.test_ask_tab import ask
from tests.webui.test_ask_tab import finish as finish_answer
from tests.webui.test_browser import Open, draw, finish, is_busy, show, wait_until


def test_the_pieces_are_watched_from_the_middle_of_a_drawing_on(page: Page, model: Janus):
    draw(page, "a cat")
    wait_until(lambda: is_busy(model))
    expect(page.locator("#mosaic")).to_be_hidden()
    page.get_by_label("Watch it choose the pieces").check()
    expect(page.locator("#mosaic img")).to_be_visible()
    early = num_pieces(page)
    finish(page)
    expect(page.locator("#mosaic")).to_contain_text("64 of 64 pieces")
    assert early < 64
    source = str(page.locator("#mosaic img").get_attribute("src"))
    mosaic = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    (picture,) = model.draw("a cat", seed=int(seed(page)))
    expected = model.colours.of(picture.ids)
    cell = mosaic.width // 8
    centres = [(i % 8 * cell + cell // 2, i // 8 * cell + cell // 2) for i in range(64)]
    assert [mosaic.getpixel(at) for at in centres] == [tuple(c) for c in expected.tolist()]
    page.get_by_label("Watch it choose the pieces").uncheck()
    expect(page.locator("#mosaic")).to_be_hidden()


def test_it_shows_which_experts_drew_while_others_draw(open_page: Open, model: Janus):
    page, other = open_page(), open_page()
    draw(page, "two red hearts")
    finish(page)
    draw(other, "a cat")
    wait_until(lambda: is_busy(model))
    page.get_by_role("button", name="Which experts worked").click()
    maps = page.locator("#drawing-experts svg")
    expect(maps).to_have_count(2)
    expect(maps.first.locator("rect")).to_have_count(8)  # of its one layer with experts
    expect(page.locator("#drawing-experts")).to_contain_text("For the picture it drew")
    expect(page.locator("#drawing-experts")).to_contain_text(re.compile(r"have \d+ % of"))
    finish(other)
    draw(page, "a dog")
    finish(page)
    expect(page.locator("#drawing-experts")).to_be_hidden()


def test_it_shows_which_experts_answered_and_where_it_looked_the_second_time(
    page: Page, picture: Path
):
    show(page, picture)
    expect(page.locator("#show-answer-experts")).to_be_disabled()
    for question in ("What is it?", "Where?"):
        ask(page, question)
        finish_answer(page)
    page.locator("#show-answer-experts").click()
    expect(page.locator("#answer-experts svg")).to_have_count(2)
    expect(page.locator("#answer-experts")).to_contain_text("For the pictures it saw")
    page.locator("#look").click()
    expect(page.locator("#glow img")).to_have_count(1)
    ask(page, "How many?")
    expect(page.locator("#answer-experts")).to_be_hidden()
    finish_answer(page)


def num_pieces(page: Page) -> int:
    found = re.search(r"(\d+) of 64", page.locator("#mosaic").inner_text())
    assert found
    return int(found[1])


def seed(page: Page) -> str:
    caption = page.locator("#gallery .caption-label").first
    return caption.inner_text().removeprefix("seed ").split()[0]
