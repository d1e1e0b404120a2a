"""`POST /v1/chat/completions`: answers about pictures and without."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from janus.engine.request import TextRequest
from janus.errors import UsageError
from janus.generation.params import LARGEST_SEED, LARGEST_TOP_K
from janus.pipeline import Janus
from janus.server.exchange import Context, event, streaming
from janus.server.pictures import open_picture, read_url
from janus.server.service import Service, merged, while_connected

MOST_ANSWERS = 8
DONE = "[DONE]"

Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ImageURL(BaseModel):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class Part(BaseModel):
    """A text or a picture."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: ImageURL | None = None


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None


class StreamOptions(BaseModel):
    include_usage: bool = False


class ResponseFormat(BaseModel):
    type: Literal["text"]


class ChatRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "janus-emoji",
                    "messages": [{"role": "user", "content": "Hello, what can you do?"}],
                }
            ]
        }
    )

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=LARGEST_TOP_K)
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    stop: Stop | list[Stop] | None = Field(default=None, max_length=256)
    n: int = Field(default=1, ge=1, le=MOST_ANSWERS)
    stream: bool = False
    stream_options: StreamOptions | None = None
    # What Janus has none of: only their neutral values are taken.
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = Field(default=None, max_length=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a step adds to an answer, and at the end why it ended."""

    text: str
    finish_reason: str | None = None
    num_tokens: int = 0


def chat_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["chat"])
    service = context.service

    @router.post("/v1/chat/completions", response_model=None)
    async def chat_completions(asked: ChatRequest, http: Request) -> Response:
        """Answers a conversation, with pictures as `image_url` parts. Greedy unless asked."""
        context.check_model(asked.model)
        return await while_connected(http, answer(asked, http))

    async def answer(asked: ChatRequest, http: Request) -> Response:
        requests = await prepare(asked, service)
        context.take(http, *requests)
        context.log_contents(http, messages=asked.model_dump()["messages"])
        pieces = merged([follow(service, request, context) for request in requests])
        told = _Told(context.model, len(requests[0].prompt))
        if asked.stream:
            include_usage = bool(asked.stream_options and asked.stream_options.include_usage)
            first = await anext(pieces)
            events = _events(told, first, pieces, len(requests), include_usage)
            return streaming(await anext(events), events)
        answers: list[list[Piece]] = [[] for _ in requests]
        async for index, piece in pieces:
            answers[index].append(piece)
        context.log_contents(http, answers=["".join(p.text for p in each) for each in answers])
        return JSONResponse(told.whole(answers))

    return router


async def prepare(asked: ChatRequest, service: Service) -> list[TextRequest]:
    """One engine request for each answer; answer i has seed + i."""
    messages = await conversation(asked.messages, service)
    given: dict[str, Any] = {
        "max_tokens": asked.max_completion_tokens or asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "stop": asked.stop,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    return await service.read(text_requests, service.janus, messages, settings, asked.n)


def text_requests(
    janus: Janus, messages: list[dict[str, Any]], settings: dict[str, Any], num: int
) -> list[TextRequest]:
    first = janus.chat_request(messages, **settings)
    seeds = [(first.seed + i) % (LARGEST_SEED + 1) for i in range(num)]
    return [
        TextRequest(prompt=first.prompt, params=first.params, seed=seed, eos_ids=first.eos_ids)
        for seed in seeds
    ]


async def conversation(messages: list[ChatMessage], service: Service) -> list[dict[str, Any]]:
    """Messages as `Janus.chat_request` takes them: what the system says goes before the user."""
    num_pictures = sum(len(_urls(message)) for message in messages)
    settings = service.settings
    if num_pictures > settings.max_pictures:
        raise UsageError(
            f"The conversation has {num_pictures} pictures; {settings.max_pictures} are taken.",
            "Leave out those of earlier turns.",
        )
    turns: list[dict[str, Any]] = []
    orders: list[str] = []
    for message in messages:
        text, urls = _text(message), _urls(message)
        if message.role in ("system", "developer"):
            orders.append(text)
            continue
        data = await asyncio.gather(*(read_url(url, settings) for url in urls))
        pictures = [await service.read(open_picture, each, settings) for each in data]
        if pictures and message.role == "assistant":
            raise UsageError("An assistant's message has a picture.", "Show it as the user.")
        if message.role == "user" and orders:
            text, orders = "\n\n".join([*orders, text]), []
        if turns and turns[-1]["role"] == message.role:  # the template knows no such thing
            turns[-1]["content"] += f"\n{text}"
            turns[-1]["pictures"] += pictures
        else:
            turns.append({"role": message.role, "content": text, "pictures": pictures})
    return turns


async def follow(
    service: Service, request: TextRequest, context: Context
) -> AsyncGenerator[Piece, None]:
    """An answer, piece by piece; the last one says why it ended."""
    reader, begun, last = service.janus.reader(request), time.monotonic(), 0.0
    async with aclosing(service.follow(request)) as tickets:
        async for ticket in tickets:
            done, ids = ticket.done, ticket.ids
            text = reader.read(ids, done=done)
            now = time.monotonic()
            if last:
                context.metrics.word_gap.observe(now - last)
            else:
                context.metrics.first_word.observe(now - begun)
            last = now
            if ticket.error:
                continue  # raised by what is followed
            if reader.found_stop or done:
                reason = "stop" if reader.found_stop else ticket.finish_reason
                yield Piece(text=text, finish_reason=reason, num_tokens=len(ids))
                return
            if text:
                yield Piece(text=text)


class _Told:
    """Answers in OpenAI's form."""

    def __init__(self, model: str, prompt_tokens: int) -> None:
        self.model, self.prompt_tokens = model, prompt_tokens
        self.id, self.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def whole(self, answers: list[list[Piece]]) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": "".join(piece.text for piece in pieces),
                    "refusal": None,
                },
                "finish_reason": pieces[-1].finish_reason,
                "logprobs": None,
            }
            for index, pieces in enumerate(answers)
        ]
        tokens = sum(pieces[-1].num_tokens for pieces in answers)
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage(tokens)}

    def chunk(self, index: int, delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def last_chunk(self, num_tokens: int) -> dict[str, Any]:
        head = self._head("chat.completion.chunk")
        return {**head, "choices": [], "usage": self.usage(num_tokens)}

    def usage(self, num_tokens: int) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": self.prompt_tokens + num_tokens,
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


async def _events(
    told: _Told,
    first: tuple[int, Piece],
    rest: AsyncIterator[tuple[int, Piece]],
    num: int,
    include_usage: bool,
) -> AsyncIterator[str]:
    for index in range(num):
        yield event(told.chunk(index, {"role": "assistant", "content": ""}))
    num_tokens = 0

    def chunks(index: int, piece: Piece) -> list[str]:
        found = [event(told.chunk(index, {"content": piece.text}))] if piece.text else []
        if piece.finish_reason:
            found.append(event(told.chunk(index, {}, piece.finish_reason)))
        return found

    for chunk in chunks(*first):
        yield chunk
    num_tokens += first[1].num_tokens
    async for index, piece in rest:
        num_tokens += piece.num_tokens
        for chunk in chunks(index, piece):
            yield chunk
    if include_usage:
        yield event(told.last_chunk(num_tokens))
    yield event(DONE)


def _text(message: ChatMessage) -> str:
    if message.content is None:
        return ""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if part.text is not None)


def _urls(message: ChatMessage) -> list[str]:
    if not isinstance(message.content, list):
        return []
    for part in message.content:
        if (part.text is None) == (part.image_url is None) or getattr(part, part.type) is None:
            raise UsageError(
                f"A part of type {part.type!r} needs a field {part.type!r} and no other.",
                "Give text parts a 'text', and image_url parts an 'image_url' with a 'url'.",
            )
    return [part.image_url.url for part in message.content if part.image_url is not None]
