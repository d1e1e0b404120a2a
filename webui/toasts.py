"""What Gradio's own page says in English only: of too large files, of a server that is gone.

In: what it says, as regular expressions of JavaScript. Out: a script for the head of the page that
says it in the page's language, with what to do. What the server says is told by `errors`.
"""

import json
from pathlib import Path

from webui.locale import TAGS
from webui.words import Words, words_in


def script() -> str:
    """The function in `toasts.js`, called with all phrases in every language."""
    function = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").partition("\n")[2]
    said = {tag: _phrases(words_in(tag)) for tag in TAGS}
    phrases = [
        (pattern, {tag: said[tag][pattern] for tag in TAGS}) for pattern in _phrases(words_in("en"))
    ]
    return f"({function.strip()})({json.dumps(phrases)});"


def _phrases(words: Words) -> dict[str, str]:
    """What is said in place of which phrase; gaps are filled by groups of that name."""
    # Gradio calls megabytes Mb.
    too_large = words("toast.large", names="{names}", size="{size}")
    return {
        r"^File\(s\) exceed .* size of (?<size>[\d.]+) \w+: (?<names>.+)$": too_large,
        r"^(Queue is full|This application is currently busy)": words("toast.busy"),
        r"^Connection (errored out|to the server was lost)": words("toast.lost"),
    }
