"""The page as visitors use it, in a real browser."""

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from janus.metadata import read_settings
from janus.pipeline import Janus
from tests.webui.conftest import Open

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect


def test_a_drawing_grows_and_ends_in_the_gallery_with_its_settings(page: Page):
    page.get_by_label("Seed").fill("7")
    page.get_by_label("What to draw").fill("two red hearts")
    page.locator("#draw").click()
    expect(page.locator("#stop-drawing")).to_be_visible()
    expect(page.locator("#stage img")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Row \d of 8"))
    assert not page.locator("#gallery img").count()
    expect(page.locator("#gallery .caption-label")).to_have_text("seed 7 · two red hearts")
    expect(page.locator("#progress")).to_contain_text("128 × 128")
    expect(page.locator("#draw")).to_be_visible()
    settings = read_settings(download(page, "#gallery img"))
    assert settings and settings["seed"] == 7 and settings["prompt"] == "two red hearts"


def test_stop_frees_the_engine_and_keeps_finished_pictures(page: Page, model: Janus):
    draw(page, "a dog")
    finish(page)
    page.get_by_label("4", exact=True).check()
    draw(page, "a cat")
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Row [2-7]"))
    assert is_busy(model)
    page.locator("#stop-drawing").click()
    expect(page.locator("#draw")).to_be_visible()
    wait_until(lambda: not is_busy(model))
    expect(page.locator("#progress")).to_contain_text("Stopped")
    assert page.locator("#gallery .caption-label").count() == 1


def test_leaving_the_page_stops_the_drawing(page: Page, model: Janus):
    page.get_by_label("4", exact=True).check()
    draw(page, "a cat")
    expect(page.locator("#progress")).to_contain_text(re.compile("Row"))
    page.close()
    wait_until(lambda: not is_busy(model))


def test_keys_start_and_stop(page: Page):
    page.get_by_label("What to draw").fill("a bus")
    page.get_by_label("What to draw").press("Control+Enter")
    expect(page.locator("#stop-drawing")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#draw")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("Stopped")
    page.get_by_label("What to draw").press("Enter")
    # The drawing that was stopped does not drag this one with it.
    expect(page.locator("#stop-drawing")).to_be_visible()
    finish(page)
    expect(page.locator("#gallery .caption-label")).to_have_count(1)


def test_guidance_is_that_of_the_checkpoint_until_it_is_moved(page: Page):
    page.get_by_role("button", name="More").click()
    slider = page.get_by_label("number input for Guidance")
    expect(slider).to_have_value("2")
    slider.fill("3.5")
    draw(page, "a dog")
    finish(page)
    settings = read_settings(download(page, "#gallery img"))
    assert settings and settings["guidance"] == 3.5


def test_an_example_draws_with_one_click(page: Page):
    page.locator("#examples button").first.click()
    finish(page)
    expect(page.locator("#gallery img")).to_be_visible()
    assert page.get_by_label("What to draw").input_value()


def test_an_open_picture_stays_open_while_others_are_drawn(page: Page):
    draw(page, "a fox", seed="1")
    finish(page)
    page.locator("#gallery .grid-container button").click()
    expect(page.locator("#gallery .preview")).to_contain_text("seed 1")
    draw(page, "a fox", seed="2")
    finish(page)
    expect(page.locator("#gallery .preview img")).to_have_count(3)  # one large, two small
    expect(page.locator("#gallery .preview")).to_contain_text("seed 1")


def test_two_visitors_draw_in_the_same_steps(open_page: Open, model: Janus):
    first, second = open_page(), open_page()
    for page in (first, second):
        page.get_by_label("2", exact=True).check()
        draw(page, "a cat")
    wait_until(lambda: num_requests(model) == 2)
    for page in (first, second):
        finish(page)
        expect(page.locator("#gallery .caption-label")).to_have_count(2)


def test_an_answer_comes_piece_by_piece_and_can_be_stopped(page: Page, model: Janus, picture: Path):
    show(page, picture)
    page.get_by_label("Question").fill("What is it?")
    page.locator("#ask").click()
    answer = page.locator("#chat [data-testid=bot]")
    expect(answer).to_be_visible()
    begun = answer.inner_text()
    expect(answer).not_to_have_text(begun)
    page.locator("#stop-answer").click()
    expect(page.locator("#ask")).to_be_visible()
    wait_until(lambda: not is_busy(model))
    expect(page.locator("#chat [data-testid=user]")).to_have_count(2)  # the picture, the question
    assert page.get_by_label("Question").input_value() == ""


def test_describe_captions_and_a_second_question_follows(page: Page, picture: Path):
    show(page, picture)
    page.locator("#chips").get_by_text("Describe").click()
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.locator("#ask")).to_be_visible()
    page.get_by_label("Question").fill("Why?")
    page.get_by_label("Question").press("Enter")
    expect(page.locator("#chat [data-testid=bot]")).to_have_count(2)
    assert page.locator("#chat img").count() == 1
    expect(page.locator("#clear")).to_be_disabled()
    page.locator("#stop-answer").click()
    page.locator("#clear").click()
    expect(page.locator("#chat [data-testid=user]")).to_have_count(0)
    expect(page.locator("#ask")).to_be_visible()


def test_a_bad_file_is_explained_and_nothing_is_lost(page: Page, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no picture at all")
    show(page, tmp_path / "bad.png")
    page.get_by_label("Question").fill("What is it?")
    page.locator("#ask").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("bad.png")
    expect(toast).to_contain_text("Use a JPEG")
    expect(page.locator("#ask")).to_be_visible()
    assert page.get_by_label("Question").input_value() == "What is it?"


def test_an_empty_prompt_is_explained(page: Page):
    page.locator("#draw").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Say what to draw.")
    expect(page.locator("#draw")).to_be_visible()


def test_nothing_sticks_out_of_a_narrow_screen(open_page: Open):
    page = open_page(width=360)
    for tab in ("Draw", "Ask", "Library", "Models", "About"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def draw(page: Page, prompt: str, seed: str = "") -> None:
    page.get_by_label("Seed").fill(seed)
    page.get_by_label("What to draw").fill(prompt)
    page.locator("#draw").click()


def finish(page: Page) -> None:
    expect(page.locator("#progress")).to_contain_text("Finished")
    expect(page.locator("#draw")).to_be_visible()


def show(page: Page, path: Path) -> None:
    page.get_by_role("tab", name="Ask").click()
    page.locator("#pictures input[type=file]").set_input_files(path)
    expect(page.locator("#pictures img")).to_have_count(1)


def download(page: Page, selector: str) -> io.BytesIO:
    address = page.locator(selector).get_attribute("src")
    assert address
    with urlopen(address) as answer:
        return io.BytesIO(answer.read())


def is_busy(model: Janus) -> bool:
    return num_requests(model) > 0


def num_requests(model: Janus) -> int:
    engine = model.engine.engine
    return len({sequence.ticket for sequence in engine.scheduler.running}) if engine else 0


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
