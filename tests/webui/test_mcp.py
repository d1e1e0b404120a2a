"""The same three functions as tools for agents, through the Model Context Protocol's own client."""

import asyncio
import io
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.request import urlopen

import pytest

from janus.metadata import read_settings

mcp = pytest.importorskip("mcp", reason="needs the package mcp")
from mcp import ClientSession  # noqa: E402
from mcp.client.streamable_http import streamablehttp_client  # noqa: E402

Result = TypeVar("Result")


def ask(studio: str, work: Callable[[ClientSession], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with (
            streamablehttp_client(f"{studio.rstrip('/')}/gradio_api/mcp/") as (incoming, sent, _),
            ClientSession(incoming, sent) as session,
        ):
            await session.initialize()
            return await work(session)

    return asyncio.run(run())


def test_tools_say_what_they_take(studio: str):
    tools = {t.name: t for t in ask(studio, lambda session: session.list_tools()).tools}
    assert set(tools) == {"draw", "ask", "caption"}
    for tool in tools.values():
        assert tool.description
        for name, argument in tool.inputSchema["properties"].items():
            assert argument.get("description"), name


def test_an_agent_draws(studio: str):
    wanted = {"prompt": "two red hearts", "count": 1, "seed": 7}
    result = ask(studio, lambda session: session.call_tool("draw", wanted))
    assert not result.isError
    (told,) = result.content
    address = re.search(r"http://[^']+\.png", getattr(told, "text", ""))
    assert address
    with urlopen(address[0]) as answer:
        settings = read_settings(io.BytesIO(answer.read()))
    assert settings and settings["seed"] == 7
