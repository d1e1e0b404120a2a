"""Files that carry texts beside a picture: PNG, WebP and JPEG.

In: a PIL picture and two texts about it, one for us and one for other tools. Out: the bytes of a
file; and from such a file the texts again. Does not know what the texts say.

PNG has a chunk for each text, named `janus` and `parameters`. WebP and JPEG have EXIF: the text for
others is the UserComment, in UTF-16 behind a prefix, which is where AUTOMATIC1111's web UI, Forge
and those who follow them write and read it. Ours is the ImageDescription, which photo programs keep
when they save a file anew; it is in ASCII, as EXIF demands, behind `janus:`, because tools like
ComfyUI tell such fields apart by what stands before the colon.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image, TiffTags
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from janus.errors import SaveError
from janus.formats import Format, check_quality

_KEY = "janus"
_PARAMETERS = "parameters"
_TIFF = b"MM\0*"  # then the place of the first directory, in four bytes
_UNICODE = b"UNICODE\0"
_BYTES = (b"ASCII\0\0\0", bytes(8))
_PREFIX = 8  # bytes that a UserComment has before its text
_JPEG_ROOM = 65_533  # bytes of one segment

# More than 95 makes larger files, not better pictures.
_WITHOUT_QUALITY: Mapping[Format, Mapping[str, Any]] = MappingProxyType(
    {Format.WEBP: {"lossless": True}, Format.JPEG: {"quality": 95}}
)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a file says. Empty where it says nothing."""

    ours: str = ""
    parameters: str = ""


def encode(
    image: Image.Image, format: Format, texts: Texts | None = None, *, quality: int | None = None
) -> bytes:
    """The bytes of a file.

    `quality` is 0 to 100; without one, WebP loses nothing of the picture and JPEG next to nothing.

    Raises:
        UsageError: a quality for PNG, which never loses anything, or one out of range.
        SaveError: texts of more than the 64 kB that JPEG has room for.
    """
    check_quality(format, quality)
    options: dict[str, Any] = {}
    if format is not Format.PNG:
        options = {"exif": _exif(texts, format)} if texts else {}
        options |= _WITHOUT_QUALITY[format] if quality is None else {"quality": quality}
    elif texts:
        options = {"pnginfo": _chunks(texts)}
    if format is Format.JPEG:
        options["subsampling"] = "4:4:4"  # otherwise thin coloured lines lose their colour
    stream = io.BytesIO()
    image.save(stream, format.upper(), **options)
    return stream.getvalue()


def texts_in(image: Image.Image) -> Texts:
    """The texts of a picture that was opened from a file of one of these formats."""
    if image.format == "PNG":
        return Texts(str(image.info.get(_KEY, "")), str(image.info.get(_PARAMETERS, "")))
    exif = image.getexif()
    comment = exif.get_ifd(IFD.Exif).get(Base.UserComment) or exif.get(Base.UserComment) or b""
    described = str(exif.get(Base.ImageDescription, ""))
    ours = described.removeprefix(f"{_KEY}:") if described.startswith(f"{_KEY}:") else ""
    return Texts(ours, _decode(comment) if isinstance(comment, bytes) else str(comment))


def _chunks(texts: Texts) -> PngInfo:
    chunks = PngInfo()
    chunks.add_itxt(_KEY, texts.ours)
    chunks.add_text(_PARAMETERS, texts.parameters)
    return chunks


def _exif(texts: Texts, format: Format) -> bytes:
    """Big-endian, as its UTF-16 is: readers differ in which of the two orders they go by."""
    inner = ImageFileDirectory_v2(_TIFF + bytes(4))
    # Not by `Image.Exif`, which makes it a list of numbers, and that A1111 cannot read.
    inner.tagtype[Base.UserComment] = TiffTags.UNDEFINED
    inner[Base.UserComment] = _UNICODE + texts.parameters.encode("utf-16-be", "replace")
    start = len(_TIFF) + 4
    comment = inner.tobytes(start)
    outer = ImageFileDirectory_v2(_TIFF + bytes(4))
    outer[Base.ImageDescription] = f"{_KEY}:{texts.ours}"
    outer[IFD.Exif] = start
    head = _TIFF + (start + len(comment)).to_bytes(4, "big")
    content = b"Exif\0\0" + head + comment + outer.tobytes(start + len(comment))
    if format is Format.JPEG and len(content) > _JPEG_ROOM:
        raise SaveError(
            "The prompt is too long for a JPEG to carry it.", "Save the picture as PNG or WebP."
        )
    return content


def _decode(comment: bytes) -> str:
    """A UserComment; by the standard, its first eight bytes name the encoding."""
    prefix, text = comment[:_PREFIX], comment[_PREFIX:]
    if prefix != _UNICODE:
        return (text if prefix in _BYTES else comment).decode("utf-8", "replace").strip("\0")
    # Some write it the other way round. Of a text that is mostly English every other byte is 0.
    is_big = text[::2].count(0) >= text[1::2].count(0)
    return text.decode("utf-16-be" if is_big else "utf-16-le", "replace").strip("\0\ufeff")
