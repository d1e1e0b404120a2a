"""What the page says while it is used, in the language of whoever asked.

In: a request, or a language's tag. Out: `Words`, which gives texts by key, numbers, durations and
sizes as that language writes them, and the errors of the other packages translated. For labels that
never change see `texts`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr

from janus.errors import JanusError
from webui.locale import ENGLISH, TAGS, Locale, locale
from webui.sentences import Sentences

CHOICE = "language"  # the query parameter, and the cookie that remembers it


@dataclass(frozen=True, slots=True)
class Words:
    """One language."""

    locale: Locale
    sentences: Sentences

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its gaps filled."""
        return self.locale.texts[key].format(**values)

    def duration(self, seconds: float) -> str:
        """Such as `1.2 s` or `3 min 20 s`."""
        if seconds < 60:
            return self("seconds", seconds=self.number(seconds))
        minutes, rest = divmod(round(seconds), 60)
        return self("minutes", minutes=minutes, seconds=rest)

    def size(self, num_bytes: int) -> str:
        """Such as `4.2 GB`, never broken over two lines."""
        words = self("gigabytes", amount=self.number(num_bytes / 1e9))
        return words.replace(" ", "\N{NO-BREAK SPACE}")

    def count(self, number: int) -> str:
        """A large number, such as `2.1 B` or `21 M`."""
        if number >= 1e9:
            return self("billions", amount=self.number(number / 1e9))
        return self("millions", amount=self.number(number / 1e6, digits=0))

    def number(self, value: float, digits: int = 1) -> str:
        return f"{value:.{digits}f}".replace(".", self("decimal.mark"))

    def sentence(self, english: str) -> str:
        """A sentence of another package; in English where it has no translation."""
        return self.sentences.translate(english)

    def error(self, error: JanusError) -> tuple[str, str]:
        """What happened, and what to do."""
        return self.sentence(error.message), self.sentence(error.hint)


@cache
def words_in(tag: str) -> Words:
    """The words of the language with this tag."""
    return Words(locale(tag), Sentences.compile(locale(tag).sentences))


def words_of(request: gr.Request) -> Words:
    """The words for whoever sent a request; Gradio gives it to every `request: gr.Request`."""
    return words_in(wanted(request.query_params, request.cookies, request.headers))


def wanted(query: Any, cookies: Any, headers: Any) -> str:
    """The tag of the language that a visitor chose, now or earlier, or else the browser's own."""
    accepted = dict(headers).get("accept-language", "")
    for asked in (dict(query).get(CHOICE), dict(cookies).get(CHOICE), *_by_preference(accepted)):
        for tag in TAGS:
            if asked and _first_subtag(asked) == _first_subtag(tag):
                return tag
    return ENGLISH


def _by_preference(header: str) -> list[str]:
    """Tags of an Accept-Language header, such as `es-MX,es;q=0.9`, the best first."""
    ranges = [part.strip().partition(";q=") for part in header.split(",")]
    return [tag for tag, _, q in sorted(ranges, key=lambda r: -_quality(r[2]))]


def _quality(q: str) -> float:
    try:
        return float(q or 1)
    except ValueError:
        return 0.0


def _first_subtag(tag: str) -> str:
    return tag.lower().partition("-")[0]
