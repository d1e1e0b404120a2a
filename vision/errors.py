"""What goes wrong with pictures, in two parts: what happened, and what to do about it.

Knows no exit codes and no HTTP statuses; `janus.errors` adds those.
"""


class VisionError(ValueError):
    """Something about a picture that the caller can put right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class PictureError(VisionError):
    """A picture that cannot be read."""
