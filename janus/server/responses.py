"""`POST /v1/responses`: the part of OpenAI's newer interface that seeing and drawing need.

With the tool `image_generation` among the tools the last message is drawn: Janus does not choose
between words and pictures itself. Nothing is stored, so that there are no earlier responses.
"""

import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from janus.errors import UsageError
from janus.formats import Format
from janus.generation.params import LARGEST_SEED
from janus.server import chat, images
from janus.server.exchange import KEEP_ALIVE, Context, event, streaming
from janus.server.images import DrawRequest, Encoding, Painted
from janus.server.service import while_connected

Role = Literal["system", "developer", "user", "assistant"]


class ContentPart(BaseModel):
    """A text that went in or came out, or a picture."""

    type: Literal["input_text", "output_text", "input_image"]
    text: str | None = None
    image_url: str | None = None


class InputMessage(BaseModel):
    type: Literal["message"] = "message"
    role: Role
    content: str | list[ContentPart]


class ImageTool(BaseModel):
    type: Literal["image_generation"]
    size: str | None = Field(default=None, max_length=32)
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    partial_images: int | None = Field(default=None, ge=0, le=images.MOST_PARTIALS)


class ToolChoice(BaseModel):
    type: Literal["image_generation"]


class ResponseRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "janus-emoji", "input": "Hello, what can you do?"},
                {
                    "model": "janus-emoji",
                    "input": "two red hearts",
                    "tools": [{"type": "image_generation"}],
                },
            ]
        }
    )

    model: str
    input: str | Annotated[list[InputMessage], Field(min_length=1, max_length=1000)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    guidance: float | None = Field(default=None, ge=1, le=20)
    stream: bool | None = False
    tools: list[ImageTool] = Field(default=[], max_length=1)
    tool_choice: Literal["none", "auto", "required"] | ToolChoice = "auto"
    previous_response_id: None = None
    metadata: dict[str, str] | None = None

    @property
    def draws(self) -> bool:
        return bool(self.tools) and self.tool_choice != "none"


def response_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["responses"])

    @router.post("/v1/responses", response_model=None)
    async def create_response(asked: ResponseRequest, http: Request) -> Response:
        """Answers, or draws where the tool `image_generation` is offered."""
        context.check_model(asked.model)
        work = _draw if asked.draws else _answer
        return await while_connected(http, work(asked, http, context))

    return router


async def _answer(asked: ResponseRequest, http: Request, context: Context) -> Response:
    service = context.service
    question = chat.ChatRequest(
        model=asked.model,
        messages=_messages(asked),
        max_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
    )
    (request,) = await chat.prepare(question, service)
    context.take(http, request)
    context.log_contents(http, input=asked.model_dump()["input"])
    told = _Told(context.model, asked, len(request.prompt))
    pieces = chat.follow(service, request, context)
    if asked.stream:
        first = await anext(pieces)
        events = _text_events(told, first, pieces)
        return streaming(await anext(events), events)
    found = [piece async for piece in pieces]
    text = "".join(piece.text for piece in found)
    return JSONResponse(
        told.response([told.message(text)], found[-1].num_tokens, found[-1].finish_reason)
    )


async def _draw(asked: ResponseRequest, http: Request, context: Context) -> Response:
    service, (tool,) = context.service, asked.tools
    images.check_size(tool.size, service.janus.image_size)
    wanted = DrawRequest(
        prompt=_last_words(asked),
        seed=asked.seed,
        guidance=asked.guidance,
        temperature=asked.temperature,
        top_p=asked.top_p,
    )
    encoding = Encoding(tool.output_format, tool.output_compression)
    (request,) = await service.read(images.image_requests, wanted, service)
    context.take(http, request)
    context.log_contents(http, input=asked.model_dump()["input"])
    num_partials = (tool.partial_images or 0) if asked.stream else 0
    painted = images.follow(service, wanted.prompt, request, num_partials, encoding)
    told = _Told(context.model, asked, len(request.prompt))
    num_tokens = service.janus.model.config.num_image_tokens
    if asked.stream:
        events = _image_events(told, painted, encoding, num_tokens)
        # The first is sent once something has come, so that refusals have a status of their own.
        first = await anext(events)
        return streaming(first, events)
    found = [each async for each in painted if each is not None]
    return JSONResponse(told.response([told.picture(found[-1], encoding)], num_tokens))


class _Told:
    """A response in OpenAI's form, and the events that it is streamed in."""

    def __init__(self, model: str, asked: ResponseRequest, num_in: int) -> None:
        self.model, self.asked, self.num_in = model, asked, num_in
        self.id, self.created = f"resp_{uuid.uuid4().hex}", int(time.time())
        self.item_id = f"{'ig' if asked.draws else 'msg'}_{uuid.uuid4().hex}"
        self._num_events = 0

    def event(self, kind: str, **facts: Any) -> str:
        told = {"type": f"response.{kind}", "sequence_number": self._num_events, **facts}
        self._num_events += 1
        return event(told, told["type"])

    def of_item(self, kind: str, **facts: Any) -> str:
        return self.event(kind, item_id=self.item_id, output_index=0, **facts)

    def of_text(self, kind: str, **facts: Any) -> str:
        return self.of_item(kind, content_index=0, **facts)

    def message(self, text: str | None) -> dict[str, Any]:
        """None: it has just begun."""
        content = [] if text is None else [self.text_part(text)]
        status = "in_progress" if text is None else "completed"
        head = {"type": "message", "id": self.item_id, "status": status}
        return {**head, "role": "assistant", "content": content}

    def text_part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def picture(self, painted: Painted | None, encoding: Encoding) -> dict[str, Any]:
        """None: it has just begun."""
        item = {"type": "image_generation_call", "id": self.item_id}
        if painted is None or painted.picture is None:
            return {**item, "status": "in_progress", "result": None}
        width, height = painted.picture.image.size
        return {
            **item,
            "status": "completed",
            "result": painted.data,
            "output_format": encoding.format,
            "size": f"{width}x{height}",
            "seed": painted.picture.seed,
        }

    def response(
        self,
        output: list[dict[str, Any]],
        num_out: int | None = None,
        finish_reason: str | None = "stop",
    ) -> dict[str, Any]:
        """Without a number of tokens it is still in progress."""
        is_cut = finish_reason == "length"
        status = "incomplete" if is_cut else "completed"
        usage = None
        if num_out is not None:
            usage = {
                "input_tokens": self.num_in,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": num_out,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": self.num_in + num_out,
            }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": "in_progress" if num_out is None else status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "instructions": self.asked.instructions,
            "max_output_tokens": self.asked.max_output_tokens,
            "metadata": self.asked.metadata or {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": self.asked.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": self.asked.model_dump()["tool_choice"],
            "tools": self.asked.model_dump(exclude_none=True)["tools"],
            "top_p": self.asked.top_p,
            "truncation": "disabled",
            "usage": usage,
        }


async def _text_events(
    told: _Told, first: chat.Piece, rest: AsyncIterator[chat.Piece]
) -> AsyncIterator[str]:
    yield told.event("created", response=told.response([]))
    yield told.event("in_progress", response=told.response([]))
    yield told.event("output_item.added", output_index=0, item=told.message(None))
    yield told.of_text("content_part.added", part=told.text_part(""))
    text, last = "", first
    if first.text:
        text = first.text
        yield told.of_text("output_text.delta", delta=first.text, logprobs=[])
    async for last in rest:
        if last.text:
            text += last.text
            yield told.of_text("output_text.delta", delta=last.text, logprobs=[])
    item = told.message(text)
    yield told.of_text("output_text.done", text=text, logprobs=[])
    yield told.of_text("content_part.done", part=told.text_part(text))
    yield told.event("output_item.done", output_index=0, item=item)
    kind = "incomplete" if last.finish_reason == "length" else "completed"
    whole = told.response([item], last.num_tokens, last.finish_reason)
    yield told.event(kind, response=whole)


async def _image_events(
    told: _Told, painted: AsyncIterator[Painted | None], encoding: Encoding, num_tokens: int
) -> AsyncIterator[str]:
    has_begun = False
    async for each in painted:
        if not has_begun:
            has_begun = True
            item = told.picture(None, encoding)
            yield told.event("created", response=told.response([]))
            yield told.event("in_progress", response=told.response([]))
            yield told.event("output_item.added", output_index=0, item=item)
            yield told.of_item("image_generation_call.in_progress")
            yield told.of_item("image_generation_call.generating")
        if each is None:
            yield KEEP_ALIVE
        elif each.picture is None:
            yield told.of_item(
                "image_generation_call.partial_image",
                partial_image_b64=each.data,
                partial_image_index=each.partial_index,
            )
        else:
            item = told.picture(each, encoding)
            yield told.of_item("image_generation_call.completed")
            yield told.event("output_item.done", output_index=0, item=item)
            yield told.event("completed", response=told.response([item], num_tokens))


def _messages(asked: ResponseRequest) -> list[chat.ChatMessage]:
    messages = [chat.ChatMessage(role=m.role, content=_content(m)) for m in _input(asked)]
    if asked.instructions:
        messages.insert(0, chat.ChatMessage(role="system", content=asked.instructions))
    return messages


def _input(asked: ResponseRequest) -> list[InputMessage]:
    if isinstance(asked.input, str):
        return [InputMessage(role="user", content=asked.input)]
    return asked.input


def _content(message: InputMessage) -> str | list[chat.Part]:
    if isinstance(message.content, str):
        return message.content
    parts = []
    for part in message.content:
        kind: Literal["image_url", "text"] = "image_url" if part.type == "input_image" else "text"
        url = None if part.image_url is None else chat.ImageURL(url=part.image_url)
        parts.append(chat.Part(type=kind, text=part.text, image_url=url))
    return parts


def _last_words(asked: ResponseRequest) -> str:
    """What is to be drawn. Raises `UsageError` where nobody says it, or shows pictures for it."""
    last = _input(asked)[-1]
    parts = [] if isinstance(last.content, str) else last.content
    if any(part.type == "input_image" for part in parts):
        raise UsageError(
            "Janus does not edit pictures: it draws from words alone.",
            "Leave the picture out, or the tool image_generation.",
        )
    words = last.content if isinstance(last.content, str) else _joined(parts)
    if last.role != "user" or not words.strip():
        raise UsageError("The last message does not say what to draw.", "Say it as the user.")
    if len(words) > images.MAX_PROMPT:
        raise UsageError(f"The prompt has more than {images.MAX_PROMPT:,} characters.", "Cut it.")
    return words


def _joined(parts: list[ContentPart]) -> str:
    return "\n".join(part.text for part in parts if part.text)
