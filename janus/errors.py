"""Every error that a person can meet: what happened, and what to do about it.

One subclass for each kind of trouble, with one exit code for the command line and one HTTP status
for the server. `vision` and `weights` raise small errors of their own; `as_janus_error` joins them.
"""

from typing import ClassVar

# PyTorch has a class of its own for GPUs only.
_OF_THE_CPU = "DefaultCPUAllocator: "


class JanusError(Exception):
    """Something went wrong. `message` says what, `hint` says what to do."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(JanusError, ValueError):
    """A setting is out of range, or a request contradicts itself."""

    exit_code = 2
    http_status = 400


class WeightsMissingError(JanusError):
    """The model cannot be found, downloaded or read."""

    exit_code = 3
    http_status = 404


class OutOfMemoryError(JanusError):
    """The model or the request does not fit into memory."""

    exit_code = 4
    http_status = 503


class PictureError(JanusError, ValueError):
    """A picture cannot be read."""

    exit_code = 5
    http_status = 400


class ContextError(UsageError):
    """Prompt, pictures and answer together exceed the model's context."""


class ServerError(JanusError):
    """The server cannot start: port, address or key."""

    exit_code = 6
    http_status = 500


class BusyError(JanusError):
    """Too much is waiting, or too much was asked for; `retry_after` seconds later there is room."""

    exit_code = 6
    http_status = 429

    def __init__(self, message: str, hint: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class StoppedError(JanusError):
    """The server is going away."""

    exit_code = 6
    http_status = 503


class SaveError(JanusError):
    """A result cannot be written."""

    exit_code = 7
    http_status = 507


class MissingExtraError(JanusError, ImportError):
    """An optional package is not installed."""

    exit_code = 8
    http_status = 501


class Cancelled(JanusError):
    """The request was stopped before it finished."""

    exit_code = 130
    http_status = 499


def as_janus_error(error: BaseException) -> JanusError | None:
    """The same trouble as a `JanusError`, or None where it is a fault of ours."""
    from vision.errors import VisionError
    from weights.errors import RecipeError, WeightsError

    if isinstance(error, JanusError):
        return error
    if isinstance(error, VisionError):
        return PictureError(error.message, error.hint)
    if isinstance(error, RecipeError):
        return UsageError(error.message, error.hint)
    if isinstance(error, WeightsError):
        return WeightsMissingError(error.message, error.hint)
    if is_out_of_memory(error):
        return OutOfMemoryError(
            "Not enough memory.", "Ask for fewer pictures at once, or use a smaller model."
        )
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("Stopped.")
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory, by whatever Python and PyTorch call it."""
    is_named_so = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or is_named_so or _OF_THE_CPU in str(error)
