"""Styles: templates by name, which complete what somebody wants to see.

In: a prompt, the name of a style, and the name of the model, which decides what styles there are.
Out: the prompt to draw. The templates stand in `styles.toml`. Knows no tokens.
"""

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from janus.errors import UsageError
from weights import catalog

GAP = "{prompt}"


def styles_of(model: str) -> Mapping[str, str]:
    """The templates that a model understands, by their names."""
    return _templates()[catalog.knowledge(model)]


def template_of(style: str, model: str) -> str:
    """The template with this name. Raises `UsageError` with the names that there are."""
    styles = styles_of(model)
    if style in styles:
        return styles[style]
    near = difflib.get_close_matches(style, styles, n=1)
    question = f"Did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"There is no style {style!r} for {PurePath(model).name}.",
        f"{question}The styles are: {', '.join(styles)}.",
    )


def styled(prompt: str, style: str | None, model: str) -> str:
    """The prompt to draw. An empty one stays empty. Raises as `template_of` does."""
    return prompt if style is None else _filled(template_of(style, model), prompt)


def asked_for(settings: Mapping[str, Any], styles: Mapping[str, str]) -> tuple[str, str | None]:
    """The prompt, and one of `styles` or none, that ask again for a picture with these settings.

    What was drawn counts: a style whose template has changed since then is not chosen again.
    """
    drawn, typed, style = (settings.get(name) for name in ("prompt", "typed", "style"))
    if isinstance(style, str) and style in styles and _filled(styles[style], str(typed)) == drawn:
        return str(typed), style
    return str(drawn), None


def _filled(template: str, prompt: str) -> str:
    wanted = prompt.strip().rstrip(".。")  # the template goes on with the sentence
    return template.replace(GAP, wanted) if wanted else ""


@cache
def _templates() -> Mapping[str, Mapping[str, str]]:
    file = resources.files("janus.prompts") / "styles.toml"
    return MappingProxyType(tomllib.loads(file.read_text(encoding="utf-8")))
