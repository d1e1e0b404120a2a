"""Settings of the page that come from outside: from a link to it, or from the browser's memory.

In: names and values that anybody may have written. Out: those that the page can take; whatever else
stands there is left out. The link itself is made here too. Knows no Gradio.
"""

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from janus.errors import UsageError
from janus.generation.params import DrawParams, TextParams, knobs
from webui.restoring import OF_THE_PAGE, Restored

COUNTS = (1, 2, 4, 8)
OF_DRAWINGS = ("count", *OF_THE_PAGE)
OF_ANSWERS = ("max_tokens", "temperature")


def link(path: str) -> str:
    """The parameters of an address that draws this picture again.

    Raises:
        PictureError: the file carries no settings.
        UsageError: a setting is out of range.
    """
    restored = Restored.read(path)
    settings = {name: getattr(restored.params, name) for name in OF_THE_PAGE}
    return "?" + urlencode({"prompt": restored.prompt, "count": 1, **settings})


def linked(query: Mapping[str, str]) -> dict[str, Any]:
    """What an address asks for by its parameters."""
    prompt = query.get("prompt", "").strip()
    written = {name: _number(query.get(name, "")) for name in OF_DRAWINGS}
    return ({"prompt": prompt} if prompt else {}) | drawing(written)


def drawing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the page can draw with."""
    valid = _valid(DrawParams, settings, OF_DRAWINGS)
    return {name: value for name, value in valid.items() if name != "count" or value in COUNTS}


def answering(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the page can answer with."""
    return _valid(TextParams, settings, OF_ANSWERS)


def _valid(
    params: type[DrawParams] | type[TextParams], settings: Mapping[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    valid = {}
    for knob in knobs(params):
        if knob.name in names and settings.get(knob.name) is not None:
            with contextlib.suppress(UsageError):
                valid[knob.name] = knob.check(settings[knob.name])
    return valid


def _number(written: str) -> float | None:
    try:
        return int(written) if written.isdecimal() else float(written)
    except ValueError:  # also of a number with more digits than Python reads
        return None
