"""The settings in a drawn picture, as what `janus draw` takes to draw it again."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janus.cli.common import read_stdin
from janus.cli.options import ModelOptions
from janus.errors import PictureError, WeightsMissingError
from janus.generation.params import LARGEST_SEED, DrawParams, knobs
from janus.prompts.styles import asked_for, styles_of
from weights import catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawing:
    """`index` is the place of a reference picture among those that were drawn with it."""

    file: str
    prompt: str
    settings: dict[str, Any]
    model: str
    dtype: str | None
    quantize: str | None
    index: int | None

    @classmethod
    def read(cls, file: str, model: str | None) -> "Redrawing":
        """`model` is that which is asked for, if it is not the picture's own."""
        from janus.metadata import read_settings

        stored = read_settings(io.BytesIO(read_stdin()) if file == "-" else file)
        if stored is None or not _is_complete(stored):
            raise PictureError(
                f"'{file}' carries no settings.",
                "Only a picture that janus drew can be drawn again.",
            )
        settings = {
            knob.name: stored[knob.name] for knob in knobs(DrawParams) if knob.name in stored
        }
        prompt, settings["style"] = asked_for(stored, styles_of(model or stored["model"]))
        index = stored.get("index")
        if index is not None:  # its noise follows that of the pictures before it
            settings["seed"] = (settings["seed"] - index) % (LARGEST_SEED + 1)
        return cls(
            file=file,
            prompt=prompt,
            settings=settings,
            model=stored["model"],
            dtype=stored.get("dtype"),
            quantize=stored.get("quantize"),
            index=index,
        )

    def model_options(self, asked: ModelOptions) -> ModelOptions:
        """The picture's own model and number types, unless others are asked for."""
        return ModelOptions(
            model=asked.model or self._find_model(asked),
            device=asked.device,
            dtype=asked.dtype or self.dtype,
            quantize=asked.quantize or self.quantize,
            offline=asked.offline,
        )

    def _find_model(self, asked: ModelOptions) -> str:
        # A folder signs its pictures with its last name only.
        if Path(asked.name).name == self.model:
            return asked.name
        if catalog.find(self.model) or Path(self.model).is_dir():
            return self.model
        raise WeightsMissingError(
            f"'{self.file}' was drawn by {self.model!r}, which is no known model.",
            "Give its folder or hub id with --model.",
        )


def _is_complete(stored: dict[str, Any]) -> bool:
    """Other programs may have written into the file."""
    kinds = {"prompt": str, "seed": int, "model": str}
    if "index" in stored:
        kinds |= {"index": int, "count": int}
    return all(isinstance(stored.get(name), kind) for name, kind in kinds.items())
