"""Whose pictures are whose."""

from pathlib import Path

from janus.pipeline import Janus
from webui.libraries import Owned, PerBrowser, as_key
from webui.library import Library


def test_a_key_opens_one_library_and_no_other(tmp_path: Path, tiny: Janus):
    visitors = PerBrowser(tmp_path)
    mine, yours = as_key(None), as_key("")
    assert mine != yours
    [path] = visitors.of(mine).add(tiny.draw("a dog", seed=1))
    assert [str(entry.path) for entry in visitors.of(mine).entries()] == [path]
    assert visitors.of(yours).entries() == []
    assert visitors.of(yours).find(path) is None
    assert PerBrowser(tmp_path).of(mine).find(path)  # as after a restart


def test_a_key_is_kept_and_says_nothing_about_the_folder(tmp_path: Path):
    key = as_key(None)
    assert as_key(key) == key
    assert key not in str(PerBrowser(tmp_path).of(key).folder)


def test_what_is_no_key_opens_a_new_library(tmp_path: Path):
    visitors = PerBrowser(tmp_path)
    for kept in (None, "", "short", 7, ["a"], "../" * 14, "\ud800" * 43):
        folders = {visitors.of(kept).folder for _ in range(2)}
        assert len(folders) == 2
        assert all(folder.parent == tmp_path / "libraries" for folder in folders)


def test_the_files_of_visitors_are_cleaned_up(tmp_path: Path, tiny: Janus):
    visitors = PerBrowser(tmp_path)
    library = visitors.of(None)
    [path] = library.add(tiny.draw("a dog", seed=1))
    library.star(path, True)
    assert {str(file) for file in library.folder.iterdir()} <= visitors.files


def test_the_owner_needs_no_key(tmp_path: Path):
    owned = Owned(Library(tmp_path))
    assert owned.of(None) is owned.of("anything")
