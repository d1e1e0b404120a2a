"""The settings in a drawn picture, as the Draw tab can take them.

In: a file of ours, or one in which another tool wrote down its settings. Out: what to put into the
tab, or a `PictureError` that says why there is nothing. Knows no Gradio.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janus.errors import PictureError, UsageError
from janus.generation.params import DrawParams, knobs
from janus.metadata import read_parameters, read_settings

OF_THE_PAGE = ("seed", "guidance", "temperature")
SAMPLING = ("top_k", "top_p", "reference")


@dataclass(frozen=True, slots=True)
class Restored:
    """`settings` are all that the file has; `unknown` names those that the page cannot set.

    Of pictures that other tools drew, `model` may be None, and `missing` names the settings of the
    page about which they say nothing that could be used.
    """

    prompt: str
    params: DrawParams
    model: str | None
    unknown: tuple[str, ...]
    settings: Mapping[str, Any]
    missing: tuple[str, ...] = ()
    had_negative_prompt: bool = False

    @classmethod
    def read(cls, path: str) -> "Restored":
        """Raises `UsageError` where a setting is out of range."""
        is_there = Path(path).exists()
        stored = read_settings(path) if is_there else None
        if stored is not None and _is_complete(stored):
            return cls._of_ours(stored)
        foreign = read_parameters(path) if is_there else None
        if foreign is not None and foreign["prompt"]:
            return cls._of_others(foreign)
        raise PictureError(
            f"'{Path(path).name}' carries no settings.",
            "Take the file as it was saved: messengers and many websites remove settings.",
        )

    @classmethod
    def _of_ours(cls, stored: dict[str, Any]) -> "Restored":
        settings = {name: stored[name] for name in OF_THE_PAGE if name in stored}
        usual = {knob.name: knob.default for knob in knobs(DrawParams)}
        unknown = [name for name in SAMPLING if stored.get(name, usual[name]) != usual[name]]
        params = DrawParams(**settings)
        return cls(stored["prompt"], params, stored["model"], tuple(unknown), stored)

    @classmethod
    def _of_others(cls, stored: dict[str, Any]) -> "Restored":
        settings = {}
        for name in OF_THE_PAGE:
            with contextlib.suppress(KeyError, UsageError):  # their ranges may be wider
                DrawParams(**{name: stored[name]})
                settings[name] = stored[name]
        return cls(
            stored["prompt"],
            DrawParams(**settings),
            stored.get("model"),
            unknown=(),
            settings=stored,
            missing=tuple(name for name in OF_THE_PAGE if name not in settings),
            had_negative_prompt="negative_prompt" in stored,
        )


def _is_complete(stored: dict[str, Any]) -> bool:
    """Other programs may have written into the file."""
    kinds = {"prompt": str, "seed": int, "model": str}
    return all(isinstance(stored.get(name), kind) for name, kind in kinds.items())
