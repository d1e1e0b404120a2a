"""The folder of somebody's pictures."""

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from janus.errors import SaveError
from janus.formats import Format
from janus.generation.results import Picture
from janus.metadata import read_settings
from janus.pipeline import Janus
from webui.library import Library


@pytest.fixture(scope="module")
def pictures(tiny: Janus) -> list[Picture]:
    return tiny.draw("two red hearts", count=2, seed=7)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def test_pictures_are_found_again_with_their_settings(library: Library, pictures: list[Picture]):
    assert library.entries() == []
    paths = library.add(pictures)
    assert [Path(path).name for path in paths] == [
        "tiny_7_two-red-hearts.png",
        "tiny_8_two-red-hearts.png",
    ]
    found = Library(library.folder).entries()  # as after a restart
    assert {str(entry.path) for entry in found} == set(paths)
    for picture, path in zip(pictures, paths, strict=True):
        entry = library.find(path)
        assert entry and entry.settings == {**picture.settings, "seed": picture.seed}
        with Image.open(path) as image:
            assert image.tobytes() == picture.image.tobytes()


def test_the_same_picture_is_kept_once_and_others_keep_their_names(
    library: Library, pictures: list[Picture]
):
    first = pictures[0]
    other = replace(first, settings={**first.settings, "guidance": 1.0})
    paths = library.add([first, other, first, other])
    assert paths[:2] == paths[2:]
    assert [Path(path).name for path in paths[:2]] == [
        "tiny_7_two-red-hearts.png",
        "tiny_7_two-red-hearts-2.png",
    ]
    assert [(read_settings(path) or {})["guidance"] for path in paths[:2]] == [3.0, 1.0]


def test_every_format_is_kept_and_found(library: Library, pictures: list[Picture], tmp_path: Path):
    first = pictures[:1]
    other = replace(first[0], settings={**first[0].settings, "guidance": 1.0})
    paths = [path for format in Format for path in library.add(first, format=format)]
    assert library.add(first, format=Format.WEBP) == paths[1:2]
    paths += library.add([other], format=Format.WEBP)
    assert [Path(path).name for path in paths] == [
        "tiny_7_two-red-hearts.png",
        "tiny_7_two-red-hearts.webp",
        "tiny_7_two-red-hearts.jpg",
        "tiny_7_two-red-hearts-2.webp",
    ]
    assert {str(entry.path) for entry in library.entries("hearts")} == set(paths)
    with zipfile.ZipFile(library.archive(paths, tmp_path)) as archive:
        assert archive.namelist() == [Path(path).name for path in paths]


def test_many_at_once_lose_nothing(library: Library, pictures: list[Picture]):
    first = pictures[0]
    # Each with its own image: Pillow saves one in one thread at a time only.
    changed = [
        replace(first, image=first.image.copy(), settings={**first.settings, "guidance": float(i)})
        for i in range(24)
    ]
    with ThreadPoolExecutor(8) as pool:
        paths = [path for (path,) in pool.map(lambda picture: library.add([picture]), changed)]
    assert len(set(paths)) == 24
    assert sorted(entry.settings["guidance"] for entry in library.entries()) == list(range(24))


def test_the_newest_is_first_and_words_are_searched(library: Library, pictures: list[Picture]):
    cat = replace(pictures[0], seed=12, settings={**pictures[0].settings, "prompt": "Ein Kätzchen"})
    (old,), (new,) = library.add([pictures[0]]), library.add([cat])
    os.utime(old, (1, 1))
    assert [str(entry.path) for entry in library.entries()] == [new, old]
    assert [str(entry.path) for entry in library.entries("KÄTZCHEN ein")] == [new]
    assert [str(entry.path) for entry in library.entries("hearts 7")] == [old]
    assert library.entries("hearts kätzchen") == []


def test_stars_stay_and_go(library: Library, pictures: list[Picture]):
    first, second = library.add(pictures)
    library.star(second, True)
    library.star(second, True)
    starred = Library(library.folder).entries(only_starred=True)
    assert [str(entry.path) for entry in starred] == [second]
    library.star(second, False)
    assert library.entries(only_starred=True) == []
    library.star(first, True)
    library.delete(first)
    assert [path.name for path in library.folder.iterdir()] == [Path(second).name]


def test_nothing_outside_is_touched(library: Library, pictures: list[Picture], tmp_path: Path):
    library.add(pictures[:1])
    outside = Path(Library(tmp_path / "other").add(pictures[:1])[0])
    for path in (outside, library.folder / ".." / "other" / outside.name):
        assert library.find(path) is None
        library.star(path, True)
        library.delete(path)
    assert [path.name for path in outside.parent.iterdir()] == [outside.name]
    with zipfile.ZipFile(library.archive([outside], tmp_path)) as archive:
        assert archive.namelist() == []


def test_an_archive_holds_the_very_files(library: Library, pictures: list[Picture], tmp_path: Path):
    paths = library.add(pictures)
    with zipfile.ZipFile(library.archive(paths, tmp_path)) as archive:
        assert [archive.read(Path(path).name) for path in paths] == [
            Path(path).read_bytes() for path in paths
        ]


def test_other_files_are_left_alone(library: Library, pictures: list[Picture]):
    library.add(pictures)
    Image.new("RGB", (8, 8)).save(library.folder / "holiday.png")
    (library.folder / "broken.png").write_bytes(b"")
    assert len(library.entries()) == 2


def test_where_nothing_can_be_written_that_is_said(tmp_path: Path, pictures: list[Picture]):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="Cannot write to"):
        Library(tmp_path / "file" / "library").add(pictures)
