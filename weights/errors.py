"""The errors of this package: each says what happened (message) and what to do (hint)."""


class WeightsError(ValueError):
    """Something about a checkpoint that the user can understand and change."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".rstrip())
        self.message = message
        self.hint = hint


class CheckpointError(WeightsError):
    """A checkpoint that cannot be read or written: not one, incomplete, damaged, or of another
    model."""


class UnknownModelError(WeightsError, LookupError):
    """A model's name that means nothing here; `suggestions` holds the names closest to it."""

    def __init__(self, message: str, hint: str = "", suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.suggestions = suggestions


class RecipeError(WeightsError):
    """Settings for rewriting a checkpoint that cannot be, alone or with this checkpoint."""


class DownloadError(WeightsError):
    """The hub did not deliver: no network, no such model, no permission, no room on the disk."""
