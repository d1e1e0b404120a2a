"""What can be done with a drawn picture: its settings taken back, a question, a comparison.

Everything starts from the file, which carries its settings. Its path comes from the state that
Gradio keeps on the server, never from the browser.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import gradio as gr

from janus.errors import PictureError, UsageError
from webui import markup, style_chips
from webui.draw_layout import DrawLayout
from webui.errors import errors_as, toast
from webui.events import ENGINE, OFF, ON, PAGE, TELLING, Update, endings, in_browser
from webui.given import SUITED, Given
from webui.loader import ModelLoader
from webui.restoring import Restored
from webui.words import Words, words_of

Drawn = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PictureActions:
    """Settings go to the `page`, on one of the `tabs`; `pictures`, on another, are asked about."""

    page: DrawLayout
    loader: ModelLoader
    tabs: gr.Tabs
    pictures: gr.Gallery

    def connect(self, use_all: gr.Button, ask_about: gr.Button, path: gr.State) -> None:
        """Connects buttons that are for the picture of a path."""
        use_all.click(self.use_all, [path, self.page.given], self.restored, **TELLING)
        ask_about.click(self.ask_about, path, [self.pictures, self.tabs], **PAGE)

    def connect_gallery(self) -> None:
        """Connects the buttons below the gallery of the page."""
        page = self.page
        self.connect(page.use_all, page.ask_about, page.chosen)
        page.use_seed.click(self.use_seed, page.chosen, page.seed, **PAGE)
        # A drawing that ends meanwhile would lose its pictures to the sorted ones.
        in_browser([page.match.click], {page.start: OFF, page.match: OFF})
        inputs, outputs = [page.chosen, page.drawn], [page.drawn, page.progress]
        matching = page.match.click(self.match, inputs, outputs, **ENGINE)
        in_browser(endings(matching), {page.start: ON, page.match: ON})

    @property
    def restored(self) -> list:
        """What `restore` changes."""
        return [*self.page.settings, self.tabs]

    def restore(self, path: str, given: Given, words: Words) -> Update:
        """All settings of a picture; says so in a toast, and what may come out differently."""
        restored, page = Restored.read(path), self.page
        prompt, style = style_chips.restored(restored.settings, self.loader.name, words)
        said = [words("restored")]
        if restored.model is None:
            said.append(words("restored.foreign"))
        elif restored.model != self.loader.name:
            said.append(words("restored.model", model=restored.model))
        if restored.unknown:
            said.append(words("restored.unknown", names=", ".join(restored.unknown)))
        if restored.had_negative_prompt:
            said.append(words("restored.negative"))
        gr.Info(escape(" ".join(said)))
        seed = restored.params.seed
        update: Update = {
            page.prompt: prompt,
            page.style.choice: style,
            page.count: 1,
            page.seed: "" if seed is None else str(seed),
            self.tabs: gr.Tabs(selected="draw"),
        }
        found = [name for name in SUITED if name not in restored.missing]
        suited = {name: getattr(restored.params, name) for name in found}
        given.set(suited)
        return update | {getattr(page, name): value for name, value in suited.items()}

    def use_all(self, path: str, given: Given, request: gr.Request) -> Update:
        words = words_of(request)
        with errors_as(toast(words)):
            return self.restore(path, given, words)

    def use_seed(self, path: str, request: gr.Request) -> str:
        with errors_as(toast(words_of(request))):
            return str(Restored.read(path).params.seed)

    def ask_about(self, path: str) -> tuple[list[str], gr.Tabs]:
        return [path], gr.Tabs(selected="ask")

    def match(self, path: str, drawn: Drawn, request: gr.Request) -> Iterator[Update]:
        """The pictures of the same prompt in front, the best first."""
        words, progress = words_of(request), self.page.progress
        with errors_as(toast(words)):
            prompt = Restored.read(path).prompt
            alike = [path for path, _ in drawn if _prompt(path) == prompt]
            if len(alike) < 2:
                raise UsageError(
                    "There is only one picture of this prompt.", "Draw more of them to compare."
                )
            yield {progress: markup.note(words("match.looking", count=len(alike)))}
            try:
                scores = self.loader.model().match(alike, prompt)
            except Exception:
                yield {progress: markup.note("")}
                raise
        ranked = sorted(zip(scores, alike, strict=True), reverse=True)
        best = [(path, _rank(words, place, path)) for place, (_, path) in enumerate(ranked, 1)]
        others = [(path, caption) for path, caption in drawn if path not in alike]
        yield {self.page.drawn: best + others, progress: markup.note(words("match.done"))}


def _prompt(path: str) -> str | None:
    try:
        return Restored.read(path).prompt
    except PictureError:  # deleted in the meantime
        return None


def _rank(words: Words, place: int, path: str) -> str:
    restored = Restored.read(path)
    seed, prompt = restored.params.seed, restored.prompt
    return words("match.caption", place=place, seed=seed, prompt=prompt)
