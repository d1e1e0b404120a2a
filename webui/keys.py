"""The keys of the page, which `keys.js` listens for: as a list, and as a dialog that shows it.

In: the words of the visitor. Out: HTML in which they are escaped.
"""

from html import escape

from webui.words import Words


def table(words: Words) -> str:
    """Each key, and what it does."""
    keys = (
        ("Ctrl / ⌘ + Enter", words("about.key.start")),
        ("Esc", words("about.key.stop")),
        ("Shift + Enter", words("about.key.line")),
        ("Alt + 1 … 9", words("about.key.tab")),
        ("?", words("about.key.about")),
    )
    rows = (f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(does)}</dd>" for key, does in keys)
    return f'<dl class="keys">{"".join(rows)}</dl>'


def dialog(words: Words) -> str:
    """It is opened by its button or by the key, and gives the focus back when it is closed."""
    name, close = escape(words("about.keys")), escape(words("close"))
    return (
        f'<button type="button" id="keys-button" aria-haspopup="dialog">{name}</button>'
        f'<dialog id="keys-dialog" aria-labelledby="keys-title"><h2 id="keys-title">{name}</h2>'
        f"{table(words)}"
        f'<form method="dialog"><button>{close}</button></form></dialog>'
    )
