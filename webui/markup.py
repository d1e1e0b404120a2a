"""Small pieces of HTML: notes, the progress of a drawing, the chip that tells about the model.

In: plain values, and the words of the visitor. Out: HTML in which every text from outside is
escaped.
"""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from webui.cards import Card
from webui.loader import Failed, Loading, Ready, State, short
from webui.locale import Locale, locales
from webui.texts import text
from webui.words import CHOICE, Words
from weights import catalog

LARGER_MODEL = "janus-pro-1b"
START_LARGER = "janus web --model deepseek-ai/Janus-Pro-1B"


def note(line: str) -> str:
    """A line that says how things stand."""
    return f'<p class="note" role="status">{escape(line) or "&nbsp;"}</p>'


def quiet(line: str) -> str:
    """A line that is not read out when it changes."""
    return f'<p class="note">{escape(line)}</p>'


def warning(line: str) -> str:
    """A line that says what will not work."""
    return f'<p class="note warning" role="status">{escape(line)}</p>'


def bar(fraction: float, line: str) -> str:
    """A line with a progress bar above it."""
    return (
        f'<progress value="{fraction:.3f}" max="1" aria-label="{escape(line)}"></progress>'
        f'<p class="note">{escape(line)}</p>'
    )


def title() -> str:
    # Not escaped: the browser finds the text by what stands here.
    return f'<h1>Janus</h1><p class="tagline">{text("page.tagline")}</p>'


def banner() -> str:
    return f'<p class="note">{text("space.banner")}</p>'


def look() -> str:
    return f'<p class="note">{text("ask.look.note")}</p>'


def part() -> str:
    return f'<p class="note">{text("part.note")}</p>'


def languages(words: Words | None = None) -> str:
    """Links that show the page in another language; that of the visitor is marked."""
    links = (_language(locale, locale == (words and words.locale)) for locale in locales())
    label = f' aria-label="{escape(words("page.language"))}"' if words else ""
    return f"<nav{label}>{' '.join(links)}</nav>"


def cards(drawn: Sequence[Card], words: Words) -> str:
    """Buttons with pictures and their prompts; a click on one tells its number."""
    if not drawn:
        return ""
    said = escape(words("draw.cards", model=drawn[0].settings.model))
    buttons = "".join(_card(number, card) for number, card in enumerate(drawn))
    return (
        f'<p class="note" id="cards-note">{said}</p>'
        f'<div class="cards" role="group" aria-labelledby="cards-note">{buttons}</div>'
    )


def chip(state: State, words: Words) -> str:
    """What the model is, what it knows, and where it runs; or what became of it."""
    match state:
        case Loading():
            said, kind = _loading(state, words), "loading"
        case Failed(name=name, error=error):
            first = words("model.failed", name=short(name))
            reason = " ".join(words.error(error))
            said, kind = f"<b>{escape(first)}</b> {escape(reason)}", "failed"
        case Ready():
            said, kind = _ready(state, words), "ready"
    return f'<div class="chip {kind}" role="status">{said}</div>'


def details(name: str, words: Words) -> str:
    """What somebody should know before loading a model of the catalogue."""
    entry = catalog.find(name)
    assert entry
    said = [words.sentence(entry.description), words.sentence(entry.knows)]
    if entry.memory_bytes:
        said.append(words("models.memory", size=words.size(entry.memory_bytes)))
    return (
        f'<p class="note">{escape(" ".join(said))}</p>'
        f'<p class="note">{escape(words("models.licence"))} <a href="{escape(entry.licence_url)}" '
        f'target="_blank" rel="noopener">{escape(entry.licence)}</a></p>'
    )


def _card(number: int, card: Card) -> str:
    source = f"gradio_api/file={quote(card.path.as_posix())}"
    return (
        f'<button type="button" data-card="{number}"><img src="{source}" alt="">'
        f"<span>{escape(card.settings.prompt)}</span></button>"
    )


def _language(locale: Locale, is_current: bool) -> str:
    current = ' aria-current="true"' if is_current else ""
    return (
        f'<a href="?{CHOICE}={locale.tag}" lang="{locale.tag}" hreflang="{locale.tag}"{current}>'
        f"{escape(locale.name)}</a>"
    )


def _loading(state: Loading, words: Words) -> str:
    name = short(state.name)
    entry = catalog.find(name)
    if not state.num_bytes:
        return escape(words("model.loading", name=name))
    total = words.size(entry.bytes) if entry and entry.bytes else "?"
    done = words.size(state.num_bytes)
    return escape(words("model.downloading", name=name, done=done, total=total))


def _ready(state: Ready, words: Words) -> str:
    model = state.model
    facts = words(
        "model.facts",
        parameters=words.count(model.num_parameters),
        dtype=model.number_type,
        device=str(model.device),
        size=model.image_size,
    )
    said = f'<b>{escape(model.name)}</b> <span class="facts">{escape(facts)}</span>'
    entry = catalog.find(model.name)
    return f"{said} {_knows(entry, words)}" if entry else said


def _knows(entry: catalog.CatalogEntry, words: Words) -> str:
    if entry.name != catalog.BUNDLED:
        return f'<span class="knows">{escape(words.sentence(entry.knows))}</span>'
    larger = catalog.find(LARGER_MODEL)
    assert larger and larger.bytes
    return (
        f'<span class="knows">{escape(words("model.knows.emoji"))} '
        f"{escape(words('model.larger'))} <code>{START_LARGER}</code> "
        f"{escape(words('model.larger.size', size=words.size(larger.bytes)))}</span>"
    )
