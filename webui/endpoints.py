"""What other programs may call: draw, ask and caption, under plain names.

In and out: JSON, and files as Gradio's clients send and fetch them (`gradio_client.handle_file`).
The docstrings of the three functions are their public documentation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradio import FileData
from gradio.events import api

from janus.errors import PictureError
from webui.errors import errors_as, plain
from webui.events import AT_ONCE
from webui.libraries import PerBrowser
from webui.loader import ModelLoader
from webui.pictures import open_upload

if TYPE_CHECKING:
    from PIL.Image import Image


def add_endpoints(loader: ModelLoader, libraries: PerBrowser, *, uploads: Path) -> None:
    """Adds the functions to the current blocks.

    Pictures are read from nowhere but `uploads`; drawn ones go to a library of their own.
    """

    def draw(
        prompt: str,
        count: int = 1,
        seed: int | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        style: str | None = None,
    ) -> list[FileData]:
        """Draw pictures of what the prompt says.

        Args:
            prompt: What to draw.
            count: How many pictures.
            seed: Picture i uses seed + i; none: a random one.
            guidance: How closely to follow the prompt; none: what suits the model.
            temperature: How much to leave to chance; none: what suits the model.
            style: A name such as ink, which completes the prompt; none: only what it says.
        """
        settings: dict[str, Any] = {"count": count, "seed": seed, "style": style}
        suited = {"guidance": guidance, "temperature": temperature}
        settings |= {name: value for name, value in suited.items() if value is not None}
        with errors_as(plain):
            pictures = loader.model().draw(prompt, **settings)
            # With their address, which is all that an agent gets to see.
            return [
                FileData(path=path, url=f"/gradio_api/file={path}", mime_type="image/png")
                for path in libraries.of(None).add(pictures)
            ]

    def ask(pictures: list[FileData], question: str) -> str:
        """Answer a question about one picture or several.

        Args:
            pictures: The pictures, in the order in which the question may name them.
            question: What to answer.
        """
        with errors_as(plain):
            return loader.model().ask([_open(p, uploads) for p in pictures], question)

    def caption(picture: FileData) -> str:
        """Say in words what a picture shows.

        Args:
            picture: The picture to describe.
        """
        with errors_as(plain):
            return loader.model().caption(_open(picture, uploads))

    for function in (draw, ask, caption):
        api(function, concurrency_id="engine", concurrency_limit=AT_ONCE)


def _open(picture: Any, uploads: Path) -> "Image":
    # Gradio hands over what the client sent, unchecked: it could name any file of this machine.
    sent = picture.get("path") if isinstance(picture, Mapping) else None
    path = Path(str(sent)).resolve()
    if not path.is_relative_to(uploads.resolve()) or not path.is_file():
        raise PictureError(
            "A picture was not uploaded.", "Send it with gradio_client.handle_file(path)."
        )
    return open_upload(str(path))
