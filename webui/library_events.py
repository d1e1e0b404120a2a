"""What happens in the Library tab: pictures are looked for, starred, deleted and taken along.

The browser only ever says which of the shown pictures is meant; which those are is kept on the
server, and the library touches none that is not its own.
"""

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.components import Component

from webui import markup
from webui.errors import errors_as, toast
from webui.events import HIDDEN, PAGE, SHOWN, TELLING, Update, endings, in_browser
from webui.given import Given
from webui.libraries import Libraries
from webui.library import Entry
from webui.library_layout import LibraryLayout
from webui.picture_actions import PictureActions
from webui.words import Words, words_of

LARGEST_GALLERY = 400  # browsers grow slow with more; the search finds the others
_SAVE = """(file) => {
    const link = document.createElement("a");
    [link.href, link.download] = [file.url, "janus.zip"];
    link.click();
}"""


class LibraryEvents:
    """Connects the tab to the library that `key` opens."""

    def __init__(
        self,
        page: LibraryLayout,
        tab: gr.Tab,
        libraries: Libraries,
        key: Component,
        actions: PictureActions,
        *,
        archives: Path,
    ) -> None:
        self.page, self.libraries, self.key = page, libraries, key
        self.actions, self.archives = actions, archives
        self._connect_search(tab)
        self._connect_picture()
        self._connect_exchange()

    def show(
        self,
        query: str,
        only_starred: bool,
        opened: str | None,
        key: str | None,
        request: gr.Request,
    ) -> Update:
        """The gallery anew; the picture that somebody looks at stays open."""
        page, words, library = self.page, words_of(request), self.libraries.of(key)
        found = library.entries(query, only_starred=only_starred)
        shown = found[:LARGEST_GALLERY]
        paths = [str(entry.path) for entry in shown]
        selected = paths.index(opened) if opened in paths else None
        captioned = [(str(entry.path), _caption(words, entry)) for entry in shown]
        return {
            page.gallery: gr.Gallery(captioned, visible=bool(shown), selected_index=selected),
            page.note: markup.note(_count(words, len(found), bool(query) or only_starred)),
            page.pack: gr.Button(visible=bool(shown)),
            page.shown: paths,
        } | self._opened(words, None if selected is None else shown[selected])

    def open(
        self, shown: list[str], key: str | None, request: gr.Request, selected: gr.SelectData
    ) -> Update:
        return self._opened(words_of(request), self.libraries.of(key).find(shown[selected.index]))

    def close(self, request: gr.Request) -> Update:
        return self._opened(words_of(request), None)

    def star(self, opened: str, key: str | None, request: gr.Request) -> None:
        library = self.libraries.of(key)
        with errors_as(toast(words_of(request))):
            entry = library.find(opened)
            library.star(opened, entry is not None and not entry.starred)

    def delete(self, opened: str, key: str | None, request: gr.Request) -> None:
        with errors_as(toast(words_of(request))):
            self.libraries.of(key).delete(opened)

    def pack(self, shown: list[str], key: str | None, request: gr.Request) -> str:
        with errors_as(toast(words_of(request))):
            return self.libraries.of(key).archive(shown, self.archives)

    def restore(self, path: str, given: Given, request: gr.Request) -> Update:
        words = words_of(request)
        with errors_as(toast(words)):
            return self.actions.restore(path, given, words)

    def _opened(self, words: Words, entry: Entry | None) -> Update:
        page = self.page
        starred = entry is not None and entry.starred
        label = words("library.unstar") if starred else words("library.star")
        return {
            page.opened: str(entry.path) if entry else None,
            page.actions: gr.Row(visible=entry is not None),
            page.star: gr.Button(label),
        }

    def _connect_search(self, tab: gr.Tab) -> None:
        page = self.page
        searched = [tab.select, page.query.change, page.only_starred.change]
        gr.on(searched, self.show, **self._showing, trigger_mode="always_last", **PAGE)

    def _connect_picture(self) -> None:
        page, draw = self.page, self.actions.page
        opened = [page.opened, page.actions, page.star]
        chosen = page.gallery.select(self.open, [page.shown, self.key], opened, **PAGE)
        page.copy_link.connect(page.opened, [chosen])
        page.gallery.preview_close(self.close, outputs=opened, **PAGE)
        asked = {page.delete: HIDDEN, page.sure: SHOWN, page.keep: SHOWN}
        answered = {page.delete: SHOWN, page.sure: HIDDEN, page.keep: HIDDEN}
        in_browser([page.delete.click], asked)
        in_browser([page.keep.click, page.sure.click, page.gallery.select], answered)
        changes: list[tuple[gr.Button, Callable[..., None]]] = [
            (page.star, self.star),
            (page.sure, self.delete),
        ]
        for button, change in changes:
            changed = button.click(change, [page.opened, self.key], **PAGE)
            changed.then(self.show, **self._showing, **PAGE).then(
                _still_here, draw.drawn, draw.drawn, **PAGE
            )
        self.actions.connect(page.use_all, page.ask_about, page.opened)

    def _connect_exchange(self) -> None:
        page = self.page
        packed = page.pack.click(self.pack, [page.shown, self.key], page.archive, **PAGE)
        packed.success(None, page.archive, js=_SAVE, **PAGE)
        inputs = [page.dropped, self.actions.page.given]
        dropped = page.dropped.upload(self.restore, inputs, self.actions.restored, **TELLING)
        for over in endings(dropped):
            over(lambda: None, outputs=page.dropped, **PAGE)

    @property
    def _showing(self) -> dict:
        page = self.page
        return {
            "inputs": [page.query, page.only_starred, page.opened, self.key],
            "outputs": [
                *(page.gallery, page.note, page.pack, page.shown),
                *(page.opened, page.actions, page.star),
            ],
        }


def _still_here(drawn: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(path, caption) for path, caption in drawn if Path(path).exists()]


def _caption(words: Words, entry: Entry) -> str:
    said = words("library.caption", prompt=entry.prompt, seed=entry.settings.get("seed"))
    return f"★ {said}" if entry.starred else said


def _count(words: Words, found: int, is_search: bool) -> str:
    if not found:
        return words("library.none") if is_search else words("library.empty")
    if found > LARGEST_GALLERY:
        return words("library.newest", shown=LARGEST_GALLERY, found=found)
    return words("library.found", found=found)
