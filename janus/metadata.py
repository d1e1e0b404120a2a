"""A drawn picture carries its settings.

In: a PIL picture and a dict of JSON values. Out: a PNG whose text chunk `janus` holds them all,
beside a `parameters` chunk that other picture tools read; and from such a file the dict again. Also
what to call the file. Draws nothing, and does not import torch.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from janus.errors import PictureError, SaveError

_SCHEMA = 1
_NAME_LENGTH = 80

# What AUTOMATIC1111's web UI writes below the prompt: its labels, and our names for them.
_PARAMETER_LABELS = {
    "steps": "Steps",
    "seed": "Seed",
    "guidance": "CFG scale",
    "size": "Size",
    "model": "Model",
    "temperature": "Temperature",
    "top_k": "Top K",
    "top_p": "Top P",
    "version": "Version",
}


def write_png(
    image: Image.Image, target: str | os.PathLike[str] | BinaryIO, settings: Mapping[str, Any]
) -> None:
    """Write a PNG that carries `settings`: JSON values, such as prompt, seed, guidance and model.

    A file appears whole or not at all, and replaces one of the same name.

    Raises:
        SaveError: the folder does not exist, is full or may not be written to.
    """
    content = _encode(image, settings)
    if isinstance(target, (str, os.PathLike)):
        _write_file(Path(target), content)
    else:
        target.write(content)


def read_settings(source: str | os.PathLike[str] | BinaryIO) -> dict[str, Any] | None:
    """The settings that `write_png` put into a file, or None where there are none.

    Raises:
        PictureError: the file is missing or may not be read.
    """
    try:
        with Image.open(source, formats=["PNG"]) as image:
            text = image.info.get("janus", "")
    except (SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    except OSError as error:
        if error.errno is None:  # Pillow's own: no PNG, or a damaged one
            return None
        raise PictureError(
            f"Cannot read '{source}': {error.strerror}.", "Check the path."
        ) from error
    with contextlib.suppress(ValueError, TypeError):
        settings = json.loads(text)
        if isinstance(settings, dict) and settings.pop("schema", None):
            return settings
    return None


def file_name(model: str, seed: int, prompt: str) -> str:
    """A name such as `janus-emoji_7_two-red-hearts.png`: plain ASCII, at most 80 characters."""
    folder_or_id = model.replace("\\", "/").rstrip("/")
    stem = f"{_slug(folder_or_id.rpartition('/')[2], 24)}_{seed}_"
    return f"{stem}{_slug(prompt, _NAME_LENGTH - len(stem) - len('.png'))}.png"


def _encode(image: Image.Image, settings: Mapping[str, Any]) -> bytes:
    chunks = PngInfo()
    chunks.add_itxt("janus", json.dumps({**settings, "schema": _SCHEMA}, ensure_ascii=False))
    chunks.add_text("parameters", _parameters(image, settings))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def _parameters(image: Image.Image, settings: Mapping[str, Any]) -> str:
    shown = {**settings, "size": f"{image.width}x{image.height}"}
    pairs = [
        f"{label}: {_quote(str(shown[key]))}"
        for key, label in _PARAMETER_LABELS.items()
        if shown.get(key) is not None
    ]
    return f"{settings.get('prompt', '')}\n{', '.join(pairs)}"


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value


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
