"""The keys of the page, which `keys.js` listens for: as a list, and as a dialog that shows it.

In: the words of the visitor, or none where the browser is to find them. Out: HTML.
"""

from collections.abc import Callable
from html import escape

from webui.texts import text


def table(words: Callable[[str], str]) -> str:
    """Each key, and what it does."""
    keys = (
        ("Ctrl / ⌘ + Enter", words("about.key.start")),
        ("Esc", words("about.key.stop")),
        ("Shift + Enter", words("about.key.line")),
        ("Alt + 1 … 9", words("about.key.tab")),
        ("?", words("about.key.about")),
    )
    rows = (f"<dt><kbd>{escape(key)}</kbd></dt><dd>{does}</dd>" for key, does in keys)
    return f'<dl class="keys">{"".join(rows)}</dl>'


def dialog() -> str:
    """It is opened by its button or by the key, and gives the focus back when it is closed."""
    # Not escaped: the browser finds the texts by what stands here.
    name = text("about.keys")
    return (
        f'<button type="button" id="keys-button" aria-haspopup="dialog">{name}</button>'
        f'<dialog id="keys-dialog" aria-labelledby="keys-title"><h2 id="keys-title">{name}</h2>'
        f"{table(lambda key: str(text(key)))}"
        f'<form method="dialog"><button>{text("close")}</button></form></dialog>'
    )
