"""A drawn picture carries its settings.

In: a PIL picture and a dict of JSON values. Out: a PNG, WebP or JPEG file that holds them all,
beside a text that other picture tools read; and from such a file the dict again, or what such a
tool wrote. Also what to call the file. Draws nothing, and does not import torch.
"""

import contextlib
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from PIL import Image

from janus.encoding import Texts, encode, texts_in
from janus.errors import PictureError, SaveError
from janus.formats import Format
from janus.parameters import from_parameters, to_parameters

_SCHEMA = 1
_NAME_LENGTH = 80


def write_picture(
    image: Image.Image,
    target: str | os.PathLike[str] | BinaryIO,
    settings: Mapping[str, Any],
    *,
    format: Format = Format.PNG,
    quality: int | None = None,
) -> None:
    """Write a file that carries `settings`: JSON values, such as prompt, seed, guidance and model.

    A file appears whole or not at all, and replaces one of the same name. `quality` is 0 to 100,
    for WebP and JPEG; without one, WebP loses nothing of the picture and JPEG next to nothing.

    Raises:
        UsageError: the format cannot have this quality.
        SaveError: the folder does not exist, is full or may not be written to.
    """
    # In ASCII, which every place in every format takes.
    ours = json.dumps({**settings, "schema": _SCHEMA})
    texts = Texts(ours, to_parameters(settings, image.size))
    content = encode(image, format, texts, quality=quality)
    if isinstance(target, (str, os.PathLike)):
        _write_file(Path(target), content)
    else:
        target.write(content)


def read_settings(source: str | os.PathLike[str] | BinaryIO) -> dict[str, Any] | None:
    """The settings that `write_picture` put into a file, or None where there are none.

    Raises:
        PictureError: the file is missing or may not be read.
    """
    text = _read_texts(source).ours
    with contextlib.suppress(ValueError):
        settings = json.loads(text)
        if isinstance(settings, dict) and settings.pop("schema", None):
            return settings
    return None


def read_parameters(source: str | os.PathLike[str] | BinaryIO) -> dict[str, Any] | None:
    """What another picture tool wrote into a file, under our names as far as we have some.

    Such as AUTOMATIC1111's web UI: see `from_parameters`. None where there is nothing.

    Raises:
        PictureError: the file is missing or may not be read.
    """
    return from_parameters(_read_texts(source).parameters)


def file_name(model: str, seed: int, prompt: str, format: Format = Format.PNG) -> str:
    """A name such as `janus-emoji_7_two-red-hearts.png`: plain ASCII, at most 80 characters."""
    suffix = format.suffixes[0]
    folder_or_id = model.replace("\\", "/").rstrip("/")
    stem = f"{_slug(folder_or_id.rpartition('/')[2], 24)}_{seed}_"
    return f"{stem}{_slug(prompt, _NAME_LENGTH - len(stem) - len(suffix))}{suffix}"


def _read_texts(source: str | os.PathLike[str] | BinaryIO) -> Texts:
    try:
        with Image.open(source, formats=[format.upper() for format in Format]) as image:
            return texts_in(image)
    except OSError as error:
        if error.errno is not None:
            raise PictureError(
                f"Cannot read '{source}': {error.strerror}.", "Check the path."
            ) from error
        return Texts()  # Pillow's own: no such picture, or a damaged one
    except Exception:  # readers of damaged headers raise nearly anything
        return Texts()


def _write_file(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        raise SaveError(
            f"There is no folder '{path.parent}'.", hint="Create it first, or choose another one."
        )
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # /dev/stdout and its like cannot be replaced
        else:
            _replace(path.resolve(), content)
    except OSError as error:
        raise SaveError(
            f"Cannot write '{path}': {error.strerror}.",
            hint="Free some space there, or choose a folder that you may write to.",
        ) from error


def _replace(path: Path, content: bytes) -> None:
    # Not `tempfile`: its files are readable by their owner only, and os.replace would keep that.
    temporary = path.with_name(f".{uuid4().hex}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _slug(text: str, length: int) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:length].rstrip("-")
    return slug or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
