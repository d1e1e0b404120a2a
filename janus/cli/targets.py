"""Where drawn pictures go: a folder, a file, or standard output.

What cannot work is said before anything is drawn. A picture whose name was made up by us never
replaces a different one.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from janus.cli.options import Results
from janus.errors import SaveError, UsageError

if TYPE_CHECKING:
    from janus.generation.results import Picture

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`path` is None for standard output."""

    path: Path | None
    several: bool

    @classmethod
    def of(cls, output: str | None, *, several: bool) -> "Target":
        """What `--output` says. Raises `UsageError` or `SaveError` where it cannot work."""
        if output == STDOUT:
            if several:
                raise UsageError("Standard output takes one picture.", "Use --output FOLDER.")
            return cls(path=None, several=False)
        path = Path(output or ".")
        if not path.is_dir():
            _check_file(path, named_as_folder=str(output).endswith(("/", os.sep)))
        return cls(path=path, several=several)

    def save(self, picture: "Picture", number: int, results: Results) -> str:
        """Writes the picture, the `number`th of this run; the path that it has now, or `-`."""
        from janus.metadata import write_png

        if self.path is None:
            content = io.BytesIO()
            write_png(picture.image, content, {**picture.settings, "seed": picture.seed})
            results.write(content.getvalue())
            return STDOUT
        return str(picture.save(self._path(picture, number)))

    def _path(self, picture: "Picture", number: int) -> Path:
        from janus.metadata import file_name

        assert self.path is not None
        if self.path.is_dir():
            name = file_name(picture.settings["model"], picture.seed, picture.settings["prompt"])
            return _unused(self.path / name, {**picture.settings, "seed": picture.seed})
        return self.path.with_stem(f"{self.path.stem}_{number}") if self.several else self.path


def _check_file(path: Path, *, named_as_folder: bool) -> None:
    is_folder = named_as_folder or not (path.suffix or path.exists())
    folder = path if is_folder else path.parent
    if not folder.is_dir():
        raise SaveError(
            f"There is no folder '{folder}'.", "Create it first, or name a file that ends in .png."
        )
    if path.suffix.lower() not in (".png", ""):
        raise UsageError(
            f"Cannot save '{path}': pictures are saved as PNG, which carries their settings.",
            f"Name it {path.stem}.png.",
        )


def _unused(path: Path, settings: dict[str, object]) -> Path:
    """`path`, with a number where a picture with other settings has that name already."""
    from janus.metadata import read_settings

    candidate, number = path, 1
    while candidate.exists() and read_settings(candidate) != settings:
        number += 1
        candidate = path.with_stem(f"{path.stem}_{number}")
    return candidate
