"""A real server on loopback, with a tiny random model or the bundled one."""

import base64
import io
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from janus.pipeline import Janus
from janus.server.app import create_app
from janus.server.run import DrainingServer
from janus.server.service import Service
from janus.server.settings import ServerSettings


@dataclass
class Running:
    """A service that listens, in a thread."""

    app: FastAPI
    server: DrainingServer
    thread: threading.Thread
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def service(self) -> Service:
        return self.app.state.service

    def client(self, key: str = "none", **options: Any) -> openai.OpenAI:
        options = {"max_retries": 0, "timeout": 60, **options}
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, **options)

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


def run(app: FastAPI) -> Running:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False)
    server = DrainingServer(config, app.state.service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    return Running(app, server, thread, listening.getsockname()[1])


Start = Callable[..., Running]


def same_model(janus: Janus) -> Janus:
    """With an engine of its own."""
    return Janus(
        janus.model,
        janus.tokenizer,
        janus.template.style,
        name=janus.name,
        guidance=janus.guidance,
        temperature=janus.temperature,
    )


@pytest.fixture
def start(tiny: Janus) -> Iterator[Start]:
    """Starts a service with settings of its own, and stops it after the test."""
    started = []

    def begin(janus: Janus = tiny, *, slots: int = 8, **settings: Any) -> Running:
        app = create_app(same_model(janus), ServerSettings(**settings), slots=slots)
        started.append(run(app))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


@pytest.fixture(scope="package")
def running(tiny: Janus) -> Iterator[Running]:
    """One for the tests that change nothing."""
    found = run(create_app(same_model(tiny), slots=16))
    yield found
    found.stop()


@pytest.fixture
def client(running: Running) -> openai.OpenAI:
    return running.client()


def data_url(image: Image.Image, format: str = "PNG") -> str:
    stream = io.BytesIO()
    image.save(stream, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def about(picture: str, question: str = "What is it?") -> list[Any]:
    """The messages of a question about a picture."""
    parts = [
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": question},
    ]
    return [{"role": "user", "content": parts}]


def opened(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))
