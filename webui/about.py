"""What the About tab says: the model and what it cannot do, the keys, the versions.

In: the state of the model, and the words of the visitor. Out: HTML in which every text from outside
is escaped. Knows no Gradio, and says nothing about the machine.
"""

import platform
from collections.abc import Iterable
from html import escape
from importlib import metadata

import janus
from webui import keys, markup
from webui.loader import Ready, State, short
from webui.words import Words
from weights import catalog

PACKAGES = ("torch", "transformers", "gradio")


def about(state: State, words: Words) -> str:
    """All of it, as sections with a heading."""
    versions = [f"janus {janus.__version__}", f"Python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in PACKAGES]
    return "".join(
        (
            _section(words("about.model"), _model(state, words)),
            _section(words("about.limits"), _list(_limits(state, words))),
            _section(words("about.keys"), keys.table(words)),
            _section(words("about.versions"), f"<p>{escape(' · '.join(versions))}</p>"),
        )
    )


def _model(state: State, words: Words) -> str:
    name = short(state.name)
    known = markup.details(name, words) if catalog.find(name) else ""
    return f"<p><b>{escape(name)}</b></p>{known or _note(words('about.unknown'))}"


def _limits(state: State, words: Words) -> list[str]:
    size = [words("about.size", size=state.model.image_size)] if isinstance(state, Ready) else []
    return [*size, words("about.editing"), words("about.languages"), words("about.mistakes")]


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _note(line: str) -> str:
    return f'<p class="note">{escape(line)}</p>'
