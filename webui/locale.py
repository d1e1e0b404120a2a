"""What one language says, as it stands in `locales/TAG.json`.

`texts` are those of the page, by key: every language has the same, with the same {gaps}.
`sentences` are those of `janus`, `vision` and `weights`, by their English with {} for every value;
a translation may put the values into another order, {1} before {0}.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

ENGLISH = "en"
TAGS = (ENGLISH, "es", "zh-CN")  # as HTML, browsers and Gradio's own words call them


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    tag: str
    name: str  # in the language itself
    texts: Mapping[str, str]
    sentences: Mapping[str, str]
    # Prompts, by what a model knows; a kind is missing where such a model lacks the language.
    examples: Mapping[str, list[str]]
    # How the styles are called that it shows, by what a model knows and by their names.
    styles: Mapping[str, Mapping[str, str]]


@cache
def locale(tag: str) -> Locale:
    """The language with one of the `TAGS`."""
    file = resources.files("webui") / "locales" / f"{tag}.json"
    return Locale(tag=tag, **json.loads(file.read_text(encoding="utf-8")))


def locales() -> tuple[Locale, ...]:
    return tuple(map(locale, TAGS))
