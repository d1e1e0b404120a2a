"""The settings in a drawn picture, as the Draw tab can take them.

In: a file. Out: what to put into the tab, or a `PictureError` that says why there is nothing. Knows
no Gradio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janus.errors import PictureError
from janus.generation.params import DrawParams, knobs
from janus.metadata import read_settings

OF_THE_PAGE = ("seed", "guidance", "temperature")
SAMPLING = ("top_k", "top_p", "reference")


@dataclass(frozen=True, slots=True)
class Restored:
    """`settings` are all that the file has; `unknown` names those that the page cannot set."""

    prompt: str
    params: DrawParams
    model: str
    unknown: tuple[str, ...]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, path: str) -> "Restored":
        """Raises `UsageError` where a setting is out of range."""
        stored = read_settings(path) if Path(path).exists() else None
        if stored is None or not _is_complete(stored):
            raise PictureError(
                f"'{Path(path).name}' carries no settings.",
                "Take a PNG that janus drew, as it was when it was saved.",
            )
        settings = {name: stored[name] for name in OF_THE_PAGE if name in stored}
        usual = {knob.name: knob.default for knob in knobs(DrawParams)}
        unknown = [name for name in SAMPLING if stored.get(name, usual[name]) != usual[name]]
        params = DrawParams(**settings)
        return cls(stored["prompt"], params, stored["model"], tuple(unknown), stored)


def _is_complete(stored: dict[str, Any]) -> bool:
    """Other programs may have written into the file."""
    kinds = {"prompt": str, "seed": int, "model": str}
    return all(isinstance(stored.get(name), kind) for name, kind in kinds.items())
