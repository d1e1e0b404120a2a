"""LangChain's ChatOpenAI against a real server."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from PIL import Image
from pydantic import SecretStr

from janus.pipeline import Janus
from tests.server.conftest import Running, about, data_url

PICTURE = Image.new("RGB", (40, 30), "red")


@pytest.fixture
def chat(running: Running) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{running.url}/v1",
        api_key=SecretStr("none"),
        model="tiny",
        temperature=0,
        max_completion_tokens=8,
        max_retries=0,
    )


def test_a_question_about_a_picture(chat: ChatOpenAI, tiny: Janus) -> None:
    (asked,) = about(data_url(PICTURE))
    reply = chat.invoke([HumanMessage(asked["content"])])
    assert reply.content == tiny.ask(PICTURE, "What is it?", max_tokens=8)
    assert isinstance(reply, AIMessage) and reply.usage_metadata
    assert 0 < reply.usage_metadata["output_tokens"] <= 8


def test_a_stream_is_the_whole_answer(chat: ChatOpenAI) -> None:
    asked = [HumanMessage("A dog?"), AIMessage("yes"), HumanMessage("A cat?")]
    pieces = [str(piece.content) for piece in chat.stream(asked)]
    assert "".join(pieces) == chat.invoke(asked).content
    assert len(list(filter(None, pieces))) > 1


def test_several_conversations_at_once(chat: ChatOpenAI) -> None:
    questions = [f"Is {number} a number?" for number in range(6)]
    replies = [reply.content for reply in chat.batch(list(questions))]
    assert replies == [chat.invoke(question).content for question in questions]
