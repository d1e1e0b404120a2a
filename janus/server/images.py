"""`POST /v1/images/generations`: pictures, and how they come about."""

import base64
import io
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from janus.encoding import encode
from janus.engine.request import ImageRequest
from janus.errors import UsageError
from janus.formats import Format, check_quality
from janus.generation.params import LARGEST_SEED, LARGEST_TOP_K
from janus.generation.results import Picture
from janus.metadata import write_picture
from janus.server.exchange import KEEP_ALIVE, Context, event, streaming
from janus.server.service import Service, merged, while_connected

MOST_PICTURES = 10
MOST_PARTIALS = 3
PATIENCE = 10.0  # seconds without a sign, after which proxies may think that all are gone
MAX_PROMPT = 32_000  # characters

USUAL_COMPRESSION = 100  # OpenAI's: it takes nothing away


class DrawRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "two red hearts", "n": 1, "seed": 7}]}
    )

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT)
    model: str | None = None
    n: int | None = Field(default=1, ge=1, le=MOST_PICTURES)
    size: str | None = Field(default=None, max_length=32)
    response_format: Literal["b64_json", "url"] | None = None
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    stream: bool | None = False
    partial_images: int | None = Field(default=None, ge=0, le=MOST_PARTIALS)
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    guidance: float | None = Field(default=None, ge=1, le=20)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_k: int | None = Field(default=None, ge=0, le=LARGEST_TOP_K)
    top_p: float | None = Field(default=None, gt=0, le=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """A picture on its way, or finished: then with its settings."""

    data: str  # base64
    partial_index: int | None = None
    picture: Picture | None = None


def image_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["images"])
    service = context.service

    @router.post("/v1/images/generations", response_model=None)
    async def generate_images(asked: DrawRequest, http: Request) -> Response:
        """Draws. With `stream`, previews come as the picture forms, `partial_images` of them."""
        context.check_model(asked.model)
        check_size(asked.size, service.janus.image_size)
        return await while_connected(http, draw(asked, http))

    async def draw(asked: DrawRequest, http: Request) -> Response:
        begun = time.monotonic()
        encoding = Encoding(asked.output_format, asked.output_compression)
        requests = await service.read(image_requests, asked, service)
        context.take(http, *requests)
        context.log_contents(http, prompt=asked.prompt)
        num_partials = (asked.partial_images or 0) if asked.stream else 0
        painted = merged(
            [follow(service, asked.prompt, r, num_partials, encoding) for r in requests]
        )
        usage = usage_of(requests, service)
        if asked.stream:
            events = _events(painted, encoding, usage, service, len(requests))
            first = await anext(events)
            return streaming(first, events)
        found: list[Painted | None] = [None] * len(requests)
        async for index, each in painted:
            if each is not None:
                found[index] = each
        context.metrics.picture_seconds.observe(time.monotonic() - begun)
        return JSONResponse(
            {
                "created": int(time.time()),
                "data": [_shown(each, asked.response_format, encoding) for each in found if each],
                "output_format": encoding.format,
                "size": _size(service),
                "usage": usage,
            }
        )

    return router


class Encoding:
    """How pictures become bytes. Raises `UsageError` for a compression that the format has not."""

    def __init__(self, format: Format | None, compression: int | None) -> None:
        self.format = format or Format.PNG
        self.quality = None if compression == USUAL_COMPRESSION else compression
        check_quality(self.format, self.quality)

    def __call__(self, image: Image.Image, settings: dict[str, Any]) -> str:
        """In base64; the file carries the settings."""
        stream = io.BytesIO()
        write_picture(image, stream, settings, format=self.format, quality=self.quality)
        return base64.b64encode(stream.getvalue()).decode()

    def preview(self, image: Image.Image) -> str:
        """In base64. Nothing draws it again: it carries no settings."""
        return base64.b64encode(encode(image, self.format, quality=self.quality)).decode()


def check_size(size: str | None, side: int) -> None:
    """Raises `UsageError` for a size that the model does not draw."""
    if size not in (None, "auto", f"{side}x{side}"):
        raise UsageError(f"This model does not draw {size}.", f"It draws {side}x{side}.")


def image_requests(asked: DrawRequest, service: Service) -> list[ImageRequest]:
    """One engine request for each picture; picture i has seed + i."""
    given = asked.model_dump(include={"seed", "guidance", "temperature", "top_k", "top_p"})
    settings = {name: value for name, value in given.items() if value is not None}
    first = service.janus.image_request(asked.prompt, **settings)
    seeds = [(first.seed + i) % (LARGEST_SEED + 1) for i in range(asked.n or 1)]
    return [replace(first, seed=seed) for seed in seeds]


async def follow(
    service: Service, prompt: str, request: ImageRequest, num_partials: int, encoding: Encoding
) -> AsyncGenerator[Painted | None, None]:
    """Previews evenly over the picture's forming, then the picture; None now and then between."""
    num_shown, last = 0, time.monotonic()
    async with aclosing(service.follow(request)) as tickets:
        async for ticket in tickets:
            if ticket.error:
                continue  # raised by what is followed
            if ticket.done:
                step = await service.paint(service.janus.draw_step, prompt, ticket)
                assert step.pictures is not None
                (picture,) = step.pictures
                settings = {**picture.settings, "seed": picture.seed}
                data = await service.paint(encoding, picture.image, settings)
                yield Painted(data=data, picture=picture)
                return
            share = ticket.num_steps / ticket.total_steps
            if num_shown < num_partials and share >= (num_shown + 1) / (num_partials + 1):
                # As it is now: by the time that it is painted, there are more ids.
                (image,) = await service.paint(service.janus.previews, ticket.pictures)
                data = await service.paint(encoding.preview, image)
                yield Painted(data=data, partial_index=num_shown)
                num_shown, last = num_shown + 1, time.monotonic()
            elif time.monotonic() - last > PATIENCE:
                yield None
                last = time.monotonic()


def usage_of(requests: list[ImageRequest], service: Service) -> dict[str, Any]:
    num_in = sum(len(request.prompt) for request in requests)
    num_out = len(requests) * service.janus.model.config.num_image_tokens
    return {
        "input_tokens": num_in,
        "input_tokens_details": {"text_tokens": num_in, "image_tokens": 0},
        "output_tokens": num_out,
        "total_tokens": num_in + num_out,
    }


async def _events(
    painted: AsyncIterator[tuple[int, Painted | None]],
    encoding: Encoding,
    usage: dict[str, Any],
    service: Service,
    num: int,
) -> AsyncIterator[str]:
    async for index, each in painted:
        if each is None:
            yield KEEP_ALIVE
            continue
        kind = "completed" if each.picture else "partial_image"
        told: dict[str, Any] = {
            "type": f"image_generation.{kind}",
            "b64_json": each.data,
            "created_at": int(time.time()),
            "size": _size(service),
            "quality": "auto",
            "background": "opaque",
            "output_format": encoding.format,
        }
        if each.picture is None:
            told["partial_image_index"] = each.partial_index
        else:
            told |= {"usage": usage, "seed": each.picture.seed}
        if num > 1:
            told["index"] = index
        yield event(told, told["type"])


def _shown(painted: Painted, form: str | None, encoding: Encoding) -> dict[str, Any]:
    assert painted.picture is not None
    seed = {"seed": painted.picture.seed}
    if form == "url":
        return {"url": f"data:image/{encoding.format};base64,{painted.data}", **seed}
    return {"b64_json": painted.data, **seed}


def _size(service: Service) -> str:
    return f"{service.janus.image_size}x{service.janus.image_size}"
