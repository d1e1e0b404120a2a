"""Small pieces of HTML: notes, the progress of a drawing, the chip that tells about the model.

In: plain values. Out: HTML in which every text from outside is escaped.
"""

from html import escape

from webui.loader import Failed, Loading, Ready, State, short
from webui.texts import size, text
from weights import catalog


def note(words: str) -> str:
    """A line that says how things stand."""
    return f'<p class="note" role="status">{escape(words) or "&nbsp;"}</p>'


def bar(fraction: float, words: str) -> str:
    """A line with a progress bar above it."""
    return (
        f'<progress value="{fraction:.3f}" max="1" aria-label="{escape(words)}"></progress>'
        f'<p class="note">{escape(words)}</p>'
    )


def title() -> str:
    name, tagline = escape(text("page.title")), escape(text("page.tagline"))
    return f'<h1>{name}</h1><p class="tagline">{tagline}</p>'


def chip(state: State) -> str:
    """What the model is, what it knows, and where it runs; or what became of it."""
    match state:
        case Loading():
            words, kind = _loading(state), "loading"
        case Failed(name=name, error=error):
            first = text("model.failed", name=short(name))
            words, kind = f"<b>{escape(first)}</b> {escape(str(error))}", "failed"
        case Ready():
            words, kind = _ready(state), "ready"
    return f'<div class="chip {kind}" role="status">{words}</div>'


def details(name: str) -> str:
    """What somebody should know before loading a model of the catalogue."""
    entry = catalog.find(name)
    assert entry
    needs = text("models.memory", size=size(entry.memory_bytes)) if entry.memory_bytes else ""
    return (
        f'<p class="note">{escape(entry.description)} {escape(entry.knows)} {escape(needs)}</p>'
        f'<p class="note">{escape(text("models.licence"))} <a href="{escape(entry.licence_url)}" '
        f'target="_blank" rel="noopener">{escape(entry.licence)}</a></p>'
    )


def _loading(state: Loading) -> str:
    name = short(state.name)
    entry = catalog.find(name)
    if not state.num_bytes:
        return escape(text("model.loading", name=name))
    total = size(entry.bytes) if entry and entry.bytes else "?"
    done = size(state.num_bytes)
    return escape(text("model.downloading", name=name, done=done, total=total))


def _ready(state: Ready) -> str:
    model = state.model
    facts = text(
        "model.facts",
        parameters=_millions(model.num_parameters),
        dtype=model.number_type,
        device=str(model.device),
        size=model.image_size,
    )
    words = f'<b>{escape(model.name)}</b> <span class="facts">{escape(facts)}</span>'
    entry = catalog.find(model.name)
    return f"{words} {_knows(entry)}" if entry else words


def _knows(entry: catalog.CatalogEntry) -> str:
    if entry.name != catalog.BUNDLED:
        return f'<span class="knows">{escape(entry.knows)}</span>'
    larger = catalog.find("janus-pro-1b")
    assert larger and larger.bytes
    return (
        f'<span class="knows">{escape(text("model.knows.emoji"))} '
        f"{escape(text('model.larger'))} <code>{escape(text('model.larger.command'))}</code> "
        f"{escape(text('model.larger.size', size=size(larger.bytes)))}</span>"
    )


def _millions(count: int) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"
