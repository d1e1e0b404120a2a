"""Where drawn pictures go: a folder, a file, or standard output.

What cannot work is said before anything is drawn. A picture whose name was made up by us never
replaces a different one.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.options import Results
from janus.errors import SaveError, UsageError
from janus.formats import Format, check_quality

if TYPE_CHECKING:
    from janus.generation.results import Picture

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Where pictures are saved, and as what."""

    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A PNG, WebP or JPEG file, a folder, or - for standard output. "
            "[default: this folder]",
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="What to save pictures as, where no file name says it. [default: png]",
            show_default=False,
        ),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(
            "--quality",
            help="How much of the picture WebP and JPEG keep. "
            "[0 to 100; default: all of it for WebP, 95 for JPEG]",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`path` is None for standard output."""

    path: Path | None
    several: bool
    format: Format
    quality: int | None

    @classmethod
    def of(cls, files: FileOptions, *, several: bool) -> "Target":
        """What the options say. Raises `UsageError` or `SaveError` where it cannot work."""
        if files.output == STDOUT and several:
            raise UsageError("Standard output takes one picture.", "Use --output FOLDER.")
        path = None if files.output == STDOUT else Path(files.output or ".")
        if path and not path.is_dir():
            _check_file(path, named_as_folder=str(files.output).endswith(("/", os.sep)))
        format = _format_of(path, files.format)
        check_quality(format, files.quality)
        return cls(path=path, several=several, format=format, quality=files.quality)

    def save(self, picture: "Picture", number: int, results: Results) -> str:
        """Writes the picture, the `number`th of this run; the path that it has now, or `-`."""
        from janus.metadata import write_picture

        path = self._path(picture, number) if self.path else None
        target = path or io.BytesIO()
        settings = {**picture.settings, "seed": picture.seed}
        write_picture(picture.image, target, settings, format=self.format, quality=self.quality)
        if isinstance(target, io.BytesIO):
            results.write(target.getvalue())
        return str(path or STDOUT)

    def _path(self, picture: "Picture", number: int) -> Path:
        from janus.metadata import file_name

        assert self.path is not None
        if self.path.is_dir():
            settings = {**picture.settings, "seed": picture.seed}
            name = file_name(settings["model"], picture.seed, settings["prompt"], self.format)
            return _unused(self.path / name, settings)
        return self.path.with_stem(f"{self.path.stem}_{number}") if self.several else self.path


def _check_file(path: Path, *, named_as_folder: bool) -> None:
    is_folder = named_as_folder or not (path.suffix or path.exists())
    folder = path if is_folder else path.parent
    if not folder.is_dir():
        raise SaveError(
            f"There is no folder '{folder}'.", "Create it first, or name a file that ends in .png."
        )
    if path.suffix and Format.of_suffix(path.suffix) is None:
        raise UsageError(
            f"Cannot save '{path}': only PNG, WebP and JPEG files carry their settings.",
            f"Name it {path.stem}.png, {path.stem}.webp or {path.stem}.jpg.",
        )


def _format_of(path: Path | None, asked: Format | None) -> Format:
    named = Format.of_suffix(path.suffix) if path and not path.is_dir() else None
    if named and asked and named is not asked:
        raise UsageError(
            f"'{path}' is the name of a {named.upper()}, but --format is {asked}.",
            "Drop one of them.",
        )
    return named or asked or Format.PNG


def _unused(path: Path, settings: dict[str, object]) -> Path:
    """`path`, with a number where a picture with other settings has that name already."""
    from janus.metadata import read_settings

    candidate, number = path, 1
    while candidate.exists() and read_settings(candidate) != settings:
        number += 1
        candidate = path.with_stem(f"{path.stem}_{number}")
    return candidate
