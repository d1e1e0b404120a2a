"""The text in which picture tools tell each other how a picture was drawn.

In: settings under our names. Out: the text that AUTOMATIC1111's web UI writes and most others read:
the prompt, and below it a line such as `Steps: 64, Seed: 7, CFG scale: 5.0`. And from such a text,
whoever wrote it, what we have a name for: its sampler and its steps are not ours to set.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

_LABELS = {
    "steps": "Steps",
    "seed": "Seed",
    "guidance": "CFG scale",
    "size": "Size",
    "model": "Model",
    "temperature": "Temperature",
    "top_k": "Top K",
    "top_p": "Top P",
    "version": "Version",
}
_READ: Mapping[str, type] = {
    "seed": int,
    "guidance": float,
    "model": str,
    "temperature": float,
    "top_k": int,
    "top_p": float,
}
_NEGATIVE = re.compile("^Negative prompt:", re.MULTILINE)
_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_FEWEST_PAIRS = 3  # as in A1111's reader: a last line with fewer belongs to the prompt


def to_parameters(settings: Mapping[str, Any], size: tuple[int, int]) -> str:
    """The text for a picture of this width and height."""
    shown = {**settings, "size": f"{size[0]}x{size[1]}"}
    pairs = [
        f"{label}: {_quote(str(shown[key]))}"
        for key, label in _LABELS.items()
        if shown.get(key) is not None
    ]
    return f"{settings.get('prompt', '')}\n{', '.join(pairs)}"


def from_parameters(text: str) -> dict[str, Any] | None:
    """Settings under our names, and `negative_prompt` where there is one.

    None where it is no such text. A value that is not what its label promises is left out.
    """
    *lines, last = text.strip().split("\n")
    pairs = dict(_PAIR.findall(last))
    if len(pairs) < _FEWEST_PAIRS:
        return None
    prompt, *negative = (part.strip() for part in _NEGATIVE.split("\n".join(lines), maxsplit=1))
    settings: dict[str, Any] = {"prompt": prompt}
    if any(negative):
        settings["negative_prompt"] = negative[0]
    for name, kind in _READ.items():
        with contextlib.suppress(KeyError, ValueError):
            settings[name] = kind(_unquote(pairs[_LABELS[name]]))
    return settings


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value


def _unquote(value: str) -> str:
    return json.loads(value) if value.startswith('"') else value
