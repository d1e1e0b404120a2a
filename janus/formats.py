"""The picture formats that can carry settings, by name and by suffix. Opens and writes no files."""

from enum import StrEnum

from janus.errors import UsageError


class Format(StrEnum):
    """What files can be."""

    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How the names of its files end; we write the first."""
        return (".jpg", ".jpeg") if self is Format.JPEG else (f".{self}",)

    @classmethod
    def of_suffix(cls, suffix: str) -> "Format | None":
        """The format of files whose names end so; None for others."""
        return next((each for each in cls if suffix.lower() in each.suffixes), None)


def check_quality(format: Format, quality: int | None) -> None:
    """Raises `UsageError` for a quality that pictures of this format cannot have."""
    if quality is None:
        return
    if format is Format.PNG:
        raise UsageError(
            "A PNG has no quality: it never loses anything.", "Leave it out, or use WebP or JPEG."
        )
    if isinstance(quality, bool) or not isinstance(quality, int) or not 0 <= quality <= 100:
        raise UsageError(f"quality is {quality!r}, but must be a whole number, 0 to 100.")
