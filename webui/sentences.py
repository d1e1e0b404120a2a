"""Sentences that come from `janus`, `vision` and `weights` in English, said in another language.

In: translations by template, where {} stands for any value, and a sentence as it arrives. Out: its
translation, or the sentence itself where nobody has translated it. Values are looked up as well,
because one sentence may stand within another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentences:
    exact: Mapping[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]  # those that say most come first

    @classmethod
    def compile(cls, translations: Mapping[str, str]) -> "Sentences":
        templates = sorted(translations, key=lambda template: -len(template.replace("{}", "")))
        patterns = tuple(
            (_pattern(template), translations[template])
            for template in templates
            if "{}" in template
        )
        return cls(translations, patterns)

    def translate(self, english: str) -> str:
        if english in self.exact:
            return self.exact[english]
        for pattern, translation in self.patterns:
            if match := pattern.fullmatch(english):
                return translation.format(*map(self.translate, match.groups()))
        return english


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, template.split("{}"))), re.DOTALL)
