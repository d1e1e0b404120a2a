"""The page in the language of its visitor, in a real browser."""

import json
import re
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from tests.webui.conftest import Open
from webui.cards import cards_for
from webui.locale import ENGLISH, locale
from webui.words import words_in
from weights.catalog import CATALOG

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect

LANGUAGES = [("es-MX", "es"), ("zh-TW", "zh-CN")]  # of the browser, and of the page then
TABS = 5
LATIN = re.compile("[A-Za-z]{3,}")
NAMES = ("English Español", "janus Janus Gradio Python torch transformers gradio", "Ctrl Enter Esc")
NAMES += ("janus web --model deepseek-ai/Janus-Pro-1B", "float32 cpu Alt Shift API MCP")


@pytest.mark.parametrize(("browsers", "tag"), LANGUAGES)
def test_no_english_is_left_on_any_tab(open_page: Open, browsers: str, tag: str):
    page = open_page(language=browsers)
    assert page.evaluate("document.documentElement.lang") == tag
    for shown in every_tab(page):
        # Prompts may be English: the bundled model does not know Chinese.
        for prompt in english_prompts():
            shown = shown.replace(prompt, "")
        assert not english_in(shown, tag)


def test_a_chinese_page_has_no_latin_words_but_those_that_we_chose(open_page: Open):
    """Gradio's own words included, such as those in the places where files are dropped."""
    chinese = locale("zh-CN")
    chosen = [*chinese.texts.values(), *chinese.sentences.values(), *NAMES]
    chosen += [f"{entry.name} {entry.licence}" for entry in CATALOG]
    chosen += english_prompts()
    known = set(LATIN.findall("\n".join(chosen)))
    for shown in every_tab(open_page(language="zh-CN")):
        assert sorted(set(LATIN.findall(shown)) - known) == []


def english_prompts() -> list[str]:
    cards = cards_for("janus-emoji", words_in("zh-CN"))
    return [*locale(ENGLISH).examples["emoji"], *(card.settings.prompt for card in cards)]


@pytest.mark.parametrize(("browsers", "tag"), LANGUAGES)
def test_what_is_said_while_it_is_used_is_in_the_language_too(
    open_page: Open,
    browsers: str,
    tag: str,
):
    page, said = open_page(language=browsers), locale(tag).texts
    page.locator("#draw").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text(locale(tag).sentences["Say what to draw."])
    assert not english_in(toast.inner_text(), tag)
    page.locator("#prompt textarea").fill("dog")
    page.locator("#draw").click()
    expect(page.locator("#stop-drawing")).to_have_text(said["stop"])
    expect(page.locator("#progress")).to_contain_text(start_of(said["draw.row"]))
    expect(page.locator("#progress")).to_contain_text(start_of(said["draw.finished"]))
    expect(page.locator("#gallery .caption-label")).to_contain_text(start_of(said["draw.caption"]))
    page.locator("#draw").click()
    page.locator("#stop-drawing:enabled").click()
    expect(page.locator("#progress")).to_contain_text(said["draw.stopped"])
    page.locator("#draw").click()
    expect(page.locator("#stop-drawing")).to_have_text(said["stop"])


def test_the_first_paint_is_in_the_language(open_page: Open, studio: str):
    page = open_page(language="es-ES")
    page.add_init_script(
        """window.seen = new Set();
        new MutationObserver(() => document.body && seen.add(document.body.innerText))
            .observe(document, {childList: true, subtree: true, characterData: true});"""
    )
    page.goto(studio)
    expect(page.locator(".chip.ready")).to_be_visible()
    seen = "\n".join(page.evaluate("[...seen]"))
    assert locale("es").texts["draw.prompt"] in seen
    assert not english_in(seen, "es")


def test_the_choice_is_kept_and_holds_for_all(open_page: Open, studio: str):
    page = open_page()
    links = page.get_by_role("navigation", name="Language").get_by_role("link")
    expect(links).to_have_text(["English", "Español", "中文"])
    expect(links.nth(0)).to_have_attribute("aria-current", "true")
    links.nth(1).click()
    for _ in range(2):
        expect(page.locator(".chip.ready")).to_contain_text("parámetros")
        expect(page.get_by_role("tab").first).to_have_text("Dibujar")
        expect(page.locator("#languages [aria-current]")).to_have_text("Español")
        assert page.evaluate("document.documentElement.lang") == "es"
        page.goto(studio)  # without the choice in its address
    page.locator("#draw").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Di qué dibujar.")


def test_other_programs_see_no_traces_of_languages(studio: str):
    with urlopen(f"{studio}gradio_api/info") as answer:
        assert "__i18n__" not in answer.read().decode()
    with urlopen(Request(studio, headers={"Accept-Language": "es"})) as page:
        assert page.headers["Content-Language"] == "es"
        html = page.read().decode()
    info = re.search(r"window\.gradio_api_info = (.*?);</script>", html)
    assert info and json.loads(info[1])["named_endpoints"] and "__i18n__" not in info[1]


def every_tab(page: Page) -> Iterator[str]:
    """What can be read on each, with all that is closed opened."""
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(TABS)
    for number in range(TABS):
        tabs.nth(number).click()
        for button in page.locator("button.label-wrap:visible").all():  # closed parts
            button.click()
        if page.locator("#models").is_visible():
            page.locator("#models label").last.click()
            expect(page.locator("body")).to_contain_text(re.compile(r"17[.,]0"))
        yield page.locator("body").inner_text() + page.evaluate(
            """[...document.querySelectorAll(':is(input, textarea)')]
                .map((box) => `\\n${box.placeholder}`).join("")"""
        )


def english_in(shown: str, tag: str) -> set[str]:
    """English texts and sentences in it that the language says in another way."""
    said = {**locale(ENGLISH).texts, **{english: english for english in locale(tag).sentences}}
    own = {**locale(tag).texts, **locale(tag).sentences}
    return {
        english
        for key, english in said.items()
        if own[key] != english and is_telling(english) and fits(english, shown)
    }


def is_telling(english: str) -> bool:
    """Not `{amount} M`, which is found everywhere."""
    return bool(re.search("[A-Za-z]{3}", re.sub(r"{\w*}", "", english)))


def fits(english: str, shown: str) -> bool:
    literal = ".{1,40}?".join(re.escape(part) for part in re.split(r"{\w*}", english))
    # A word alone may be one of the other language as well, such as "Describe".
    pattern = rf"(?<!\w){literal}(?!\w)" if " " in english else rf"^{literal}$"
    return bool(re.search(pattern, shown, re.MULTILINE))


def start_of(said: str) -> str:
    return said.partition("{")[0].strip()
