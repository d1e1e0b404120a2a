"""Errors on their way out, in the shape that OpenAI's clients read."""

import logging
import math
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from janus.errors import BusyError, JanusError, UsageError, as_janus_error


class DeadlineError(JanusError):
    """The request took longer than it was given."""

    http_status = 504


class AccessError(JanusError):
    """No key, or one that is not known."""

    http_status = 401


class TooLargeError(UsageError):
    """The request has too many bytes."""

    http_status = 413


class UnknownModelError(UsageError):
    """Another model is served here."""

    http_status = 404


class RateLimitError(BusyError):
    """The key has used up what it may use in a minute."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def add_handlers(app: FastAPI) -> None:
    """Whatever is raised leaves as `{"error": {"message", "type", "param", "code"}}`."""

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        return response(*_of_validation(error))

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> JSONResponse:
        return response(UsageError(str(error.detail)), status=error.status_code)

    @app.exception_handler(ClientGone)
    async def _(_: Request, __: ClientGone) -> JSONResponse:
        return JSONResponse({}, status_code=499)  # nobody reads it; the log does

    # One by one: a handler of all exceptions also lets them through, which ends the connection.
    for kind in (JanusError, MemoryError, Exception):
        app.add_exception_handler(kind, _explain)


async def _explain(_: Request, error: Exception) -> JSONResponse:
    return response(explained(error))


def explained(error: BaseException) -> JanusError:
    """For people; a fault of ours goes to the log, and says no more than that outside."""
    known = as_janus_error(error)
    if known is None:
        logging.getLogger(__name__).error("a request failed", exc_info=error)
    return known or JanusError("Something went wrong inside the server.", "Its log says more.")


def response(
    error: JanusError, param: str | None = None, status: int | None = None
) -> JSONResponse:
    headers = {}
    if isinstance(error, BusyError):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, AccessError):
        headers["www-authenticate"] = "Bearer"
    status = status or error.http_status
    return JSONResponse(body(error, param, status), status_code=status, headers=headers)


def body(error: JanusError, param: str | None = None, status: int | None = None) -> dict[str, Any]:
    status = status or error.http_status
    return {
        "error": {
            "message": str(error),
            "type": _type(status),
            "param": param,
            "code": _code(error, status),
        }
    }


def _type(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def _code(error: JanusError, status: int) -> str:
    """OpenAI's own where it has one, else the error's name."""
    known = {
        "AccessError": "invalid_api_key",
        "ContextError": "context_length_exceeded",
        "PictureError": "invalid_image",
        "RateLimitError": "rate_limit_exceeded",
        "UnknownModelError": "model_not_found",
        "UsageError": "not_found" if status == 404 else "invalid_value",
    }
    name = type(error).__name__
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Error")).lower()
    return known.get(name, words)


def _of_validation(error: RequestValidationError) -> tuple[UsageError, str | None]:
    """The first thing that is wrong with a request, and where it stands."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part != "body")
    if found["type"] == "json_invalid":
        return UsageError("The body is not JSON."), None
    return UsageError(f"{place or 'The body'}: {found['msg']}."), place or None
