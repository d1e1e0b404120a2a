"""What other programs may call: draw, ask and caption, under plain names.

In and out: JSON, and files as Gradio clients send and fetch them (`gradio_client.handle_file`).
The docstrings below are the public documentation.
"""

from pathlib import Path

import gradio as gr

from webui.errors import toasts
from webui.events import AT_ONCE
from webui.loader import ModelLoader
from webui.pictures import open_upload, save_all


def add_endpoints(loader: ModelLoader, folder: Path) -> None:
    """Adds the functions to the current blocks; pictures are written below `folder`."""

    def draw(
        prompt: str,
        count: int = 1,
        seed: int | None = None,
        guidance: float = 5.0,
        temperature: float = 1.0,
    ) -> list[gr.FileData]:
        """Draw pictures of what the prompt says. Picture i uses seed + i; no seed: a random one."""
        settings = {"count": count, "seed": seed, "guidance": guidance, "temperature": temperature}
        with toasts():
            pictures = loader.model().draw(prompt, **settings)
            return [gr.FileData(path=str(path)) for path in save_all(pictures, folder)]

    def ask(pictures: list[gr.FileData], question: str) -> str:
        """Answer a question about one picture or several."""
        with toasts():
            shown = [open_upload(picture) for picture in pictures]
            return loader.model().ask(shown, question)

    def caption(picture: gr.FileData) -> str:
        """Say in words what a picture shows."""
        with toasts():
            return loader.model().caption(open_upload(picture))

    for function in (draw, ask, caption):
        gr.api(function, concurrency_id="engine", concurrency_limit=AT_ONCE)
