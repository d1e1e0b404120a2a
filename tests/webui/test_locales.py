"""The words of the page: every language says everything, and nothing is said by one alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from janus.errors import JanusError, as_janus_error
from janus.generation.params import DrawParams, knobs
from janus.prompts.styles import styles_of
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.scenes import BACKGROUNDS
from janus.training.emoji.sprites import Language, Sprites
from webui.locale import ENGLISH, TAGS, locale
from webui.sentences import Sentences
from webui.spoken import examples_for, spoken_to, styles_for
from webui.texts import translations
from webui.words import wanted, words_in
from weights.catalog import CATALOG

ROOT = Path(__file__).parents[2]
CALL = re.compile(r"""\b(?:text|words|spoken|self)\(\s*["']([^"']+)["']""")
ERRORS = re.compile("(?<!Assertion)Error$|Cancelled$")
OTHERS = [tag for tag in TAGS if tag != ENGLISH]
GRAMMAR = {
    "en": {"a", "two", "three", "on", "of", "the", "to", "left", "above", "below", "background"},
    "es": {"un", "dos", "tres", "a", "la", "izquierda", "de", "sobre", "fondo", "encima", "debajo"},
}

# What a visitor of the page can reach. `webui/app.py` speaks to the terminal.
REACHED = (
    *("vision/pixels.py", "vision/source.py", "janus/generation/params.py", "janus/errors.py"),
    *(
        "janus/pipeline.py",
        "janus/metadata.py",
        "janus/encoding.py",
        "weights/hub.py",
        "weights/catalog.py",
    ),
    *(f"janus/engine/{name}.py" for name in ("request", "engine", "scheduler", "budget", "worker")),
    *(f"janus/prompts/{path.name}" for path in (ROOT / "janus/prompts").glob("*.py")),
    *(f"webui/{path.name}" for path in (ROOT / "webui").glob("*.py") if path.name != "app.py"),
)


@pytest.mark.parametrize("tag", OTHERS)
def test_every_language_has_the_same_texts_with_the_same_gaps(tag: str):
    def gaps(tag: str) -> dict[str, set]:
        texts = locale(tag).texts.items()
        return {
            key: {name for _, name, *_ in Formatter().parse(said) if name} for key, said in texts
        }

    assert gaps(tag) == gaps(ENGLISH)
    assert all(said.strip() for said in locale(tag).texts.values())


def test_every_text_is_defined_and_used():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "webui").rglob("*.py")]
    used = {key for source in sources for key in CALL.findall(source)}
    assert used | {"ask.camera"} == set(locale(ENGLISH).texts)


@pytest.mark.parametrize("tag", OTHERS)
def test_what_other_packages_say_is_translated(tag: str):
    said = {sentence for path in REACHED for sentence in raised(ROOT / path)}
    said |= {knob.help for knob in knobs(DrawParams) if knob.of_model}
    assert len(said) > 80
    assert not said - locale(tag).sentences.keys()


@pytest.mark.parametrize("tag", OTHERS)
def test_the_catalogue_is_translated(tag: str):
    shown = [entry for entry in CATALOG if entry.supported]
    said = {sentence for entry in shown for sentence in (entry.description, entry.knows)}
    numbers = re.compile(r"\d+(x\d+)?")
    known = locale(tag).sentences
    assert not {s for s in said if s not in known and numbers.sub("{}", s) not in known}


@pytest.mark.parametrize("tag", OTHERS)
def test_translated_sentences_keep_their_values(tag: str):
    for english, said in locale(tag).sentences.items():
        gaps = english.count("{}")
        values = [f"<{number}>" for number in range(gaps)]
        told = said.format(*values)
        assert all(value in told for value in values), english


def test_a_sentence_within_another_is_translated_too():
    sentences = Sentences.compile({"{}: {}": "{} - {}", "{} is empty.": "{} 是空的。", "It": "它"})
    assert sentences.translate("a.png: It is empty.") == "a.png - 它 是空的。"
    assert sentences.translate("Nobody knows this one.") == "Nobody knows this one."


def test_the_template_that_says_most_is_taken():
    sentences = Sentences.compile({"{} of {}": "{1}/{0}", "{} of {} whole": "{} {} !"})
    assert sentences.translate("1 of 2 whole") == "1 2 !"
    assert sentences.translate("1 of 2") == "2/1"


def test_errors_are_told_in_the_language():
    seed = next(knob for knob in knobs(DrawParams) if knob.name == "seed")
    with pytest.raises(JanusError) as caught:
        seed.check("abc")
    message, _ = words_in("es").error(caught.value)
    assert message.startswith("El ajuste «semilla» es 'abc', pero debe ser un número entero entre")
    memory = as_janus_error(MemoryError())
    assert memory and words_in("zh-CN").error(memory)[0] == "内存不足。"


@pytest.mark.parametrize(
    ("query", "cookies", "accepted", "tag"),
    [
        ({}, {}, "", "en"),
        ({}, {}, "fr, de;q=0.5", "en"),
        ({}, {}, "fr,en;q=0.3,es-MX;q=0.8", "es"),
        ({}, {}, "zh-Hans-CN", "zh-CN"),
        ({}, {"language": "es"}, "zh-CN", "es"),
        ({"language": "zh-CN"}, {"language": "es"}, "en", "zh-CN"),
        ({"language": "<script>"}, {}, "es;q=much,zh;q=0.1", "zh-CN"),
    ],
)
def test_a_choice_goes_before_what_the_browser_says(
    query: dict[str, str], cookies: dict[str, str], accepted: str, tag: str
):
    assert wanted(query, cookies, {"accept-language": accepted}) == tag


def test_static_texts_are_given_to_gradio_in_every_language():
    given = translations().translations
    assert set(given) == set(TAGS)
    assert given["es"]["draw.tab"] == "Dibujar"
    assert len({frozenset(texts) for texts in given.values()}) == 1


@pytest.mark.parametrize(
    ("tag", "short", "long", "size", "count"),
    [
        ("en", "1.2 s", "3 min 20 s", "4.2\N{NO-BREAK SPACE}GB", "2.1 B"),
        ("es", "1,2 s", "3 min 20 s", "4,2\N{NO-BREAK SPACE}GB", "2,1 mil millones"),
        ("zh-CN", "1.2 秒", "3 分 20 秒", "4.2\N{NO-BREAK SPACE}GB", "2.1 B"),
    ],
)
def test_numbers_read_naturally(tag: str, short: str, long: str, size: str, count: str):
    words = words_in(tag)
    assert words.duration(1.23) == short and words.duration(200.4) == long
    assert words.size(4_180_000_000) == size and words.count(2_077_000_000) == count


@pytest.mark.parametrize("language", WORDINGS)
def test_examples_stay_within_what_the_bundled_model_knows(sprites: Sprites, language: Language):
    nouns = [noun for sprite in sprites.sprites for noun in sprite.nouns[language]]
    known = {word for noun in nouns for word in (*noun.singular.split(), *noun.plural.split())}
    colours = {*BACKGROUNDS, *(c for cs in WORDINGS[language].colours.values() for c in cs)}
    names = {
        word
        for sprite in sprites.sprites
        for form in (WORDINGS[language].name(sprite).noun,)
        for word in (*form.singular.split(), *form.plural.split())
    }
    for example in locale(language).examples["emoji"]:
        assert set(example.split()) <= known | names | colours | GRAMMAR[language]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("model", ["janus-emoji", "janus-pro-7b"])
def test_every_style_that_a_language_shows_is_there(tag: str, model: str):
    labels, styles = styles_for(model, words_in(tag)), styles_of(model)
    assert labels.keys() <= styles.keys()
    assert len(set(labels.values())) == len(labels) >= 8
    # The bundled model has each style twice, in its two languages.
    assert len(labels) == (len(styles) if model != "janus-emoji" else len(styles) / 2)


def test_a_model_is_spoken_to_in_a_language_that_it_knows():
    chinese = words_in("zh-CN")
    assert spoken_to("janus-emoji", chinese) == words_in(ENGLISH)
    assert spoken_to("deepseek-ai/Janus-Pro-1B", chinese) == chinese
    assert examples_for("janus-emoji", words_in("es"))[0] == "dos corazones rojos"


def raised(path: Path) -> Iterator[str]:
    """What the errors of a file say, with {} for every value; also what its functions return."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ERRORS.search(ast.unparse(node.func)):
            said = map(template, (*node.args, *(keyword.value for keyword in node.keywords)))
            yield from (
                sentence for sentence in said if sentence and re.search("[A-Za-z]", sentence)
            )
        if isinstance(node, ast.Return) and (said := template(node.value)) and is_sentence(said):
            yield said


def template(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return None


def is_sentence(said: str) -> bool:
    return bool(re.match(r"[A-Z].* .*[.?]", said))
