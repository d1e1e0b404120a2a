"""What somebody has drawn, kept as files that carry their own settings.

In: drawn pictures. Out: their paths, and later whatever of them is looked for. There is no
database: a folder of files is the whole truth, a picture is starred by an empty file beside it, and
what is added or removed by other programs is simply seen. Knows no Gradio.
"""

import contextlib
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus.errors import PictureError, SaveError
from janus.formats import Format
from janus.metadata import file_name, read_settings

if TYPE_CHECKING:
    from janus.generation.results import Picture

STAR = ".star"  # behind the name of a picture


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture of the library. `settings` are those that it was drawn with."""

    path: Path
    settings: dict[str, Any]
    starred: bool

    @property
    def prompt(self) -> str:
        return str(self.settings.get("prompt", ""))

    def matches(self, query: str) -> bool:
        """Whether every word of the query is in its prompt, its model's name or its seed."""
        told = [self.prompt, self.settings.get("model", ""), self.settings.get("seed", "")]
        haystack = " ".join(map(str, told)).casefold()
        return all(word in haystack for word in query.casefold().split())


class Library:
    """The pictures of one person, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, pictures: Iterable["Picture"], *, format: Format = Format.PNG) -> list[str]:
        """Writes files and returns their paths. The same picture is not kept twice in a format.

        Raises `SaveError` where there is no room, or no right to write.
        """
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            return [str(self._add(picture, format)) for picture in pictures]

    def entries(self, query: str = "", *, only_starred: bool = False) -> list[Entry]:
        """The newest first."""
        found = (self._entry(path) for path in self._paths())
        return [e for e in found if e and e.matches(query) and (e.starred or not only_starred)]

    def find(self, path: str | Path) -> Entry | None:
        """The picture of this path; None for whatever is not in this library."""
        path = Path(path).resolve()
        return self._entry(path) if path.parent == self.folder.resolve() else None

    def star(self, path: str | Path, starred: bool) -> None:
        if self.find(path):
            star = mark(Path(path))
            with _explained(self.folder):
                star.touch() if starred else star.unlink(missing_ok=True)

    def delete(self, path: str | Path) -> None:
        if self.find(path):
            with _explained(self.folder):
                Path(path).unlink(missing_ok=True)
                mark(Path(path)).unlink(missing_ok=True)

    def archive(self, paths: Iterable[str | Path], place: Path) -> str:
        """A zip file with these pictures, in a new folder at `place`."""
        with _explained(place):
            target = Path(tempfile.mkdtemp(dir=place)) / "janus.zip"
            # Stored: pictures are packed already.
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
                for path in filter(self.find, paths):
                    archive.write(path, Path(path).name)
        return str(target)

    def _add(self, picture: "Picture", format: Format) -> Path:
        settings = {**picture.settings, "seed": picture.seed}
        model = str(settings.get("model", ""))
        name = Path(file_name(model, picture.seed, settings["prompt"], format))
        for number in count(1):
            path = self.folder / (name if number == 1 else f"{name.stem}-{number}{name.suffix}")
            try:
                path.open("xb").close()  # so that nobody else takes the name
            except FileExistsError:
                if read_settings(path) == settings:
                    path.touch()
                    return path
                continue
            try:
                return picture.save(path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        raise AssertionError("numbers do not end")

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        dated = []
        for path in self.folder.iterdir():
            if Format.of_suffix(path.suffix) is None:
                continue
            with contextlib.suppress(OSError):  # deleted in the meantime
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated, reverse=True)]

    def _entry(self, path: Path) -> Entry | None:
        try:
            settings = _settings(path, path.stat().st_mtime_ns)
        except OSError:
            return None
        return Entry(path, settings, mark(path).exists()) if settings else None


def mark(path: Path) -> Path:
    """The file that stars the picture of this path."""
    return path.with_name(path.name + STAR)


@lru_cache(maxsize=10_000)
def _settings(path: Path, changed: int) -> dict[str, Any] | None:
    """Read once for each version of a file."""
    try:
        return read_settings(path)
    except PictureError:  # deleted in the meantime
        return None


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SaveError(
            f"Cannot write to '{place}': {error.strerror}.",
            "Free some space there, or choose a folder that you may write to.",
        ) from error
