"""What other programs call, through Gradio's own client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from janus.metadata import read_settings


@pytest.fixture(scope="module")
def client(studio: str) -> Iterator[Client]:
    client = Client(studio, verbose=False)
    yield client
    client.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "teal.png")
    return tmp_path / "teal.png"


def test_there_are_three_documented_functions(client: Client):
    functions: Any = client.view_api(return_format="dict", print_info=False)
    assert set(functions["named_endpoints"]) == {"/draw", "/ask", "/caption"}
    assert all(entry["description"] for entry in functions["named_endpoints"].values())


def test_draw_returns_files_with_their_settings(client: Client):
    files = client.predict(prompt="two red hearts", count=2, seed=7, api_name="/draw")
    settings = [read_settings(file) for file in files]
    assert [s and s["seed"] for s in settings] == [7, 8]
    assert settings[0] and settings[0]["prompt"] == "two red hearts"
    assert settings[0]["guidance"] == 2  # the checkpoint's own


def test_a_style_completes_the_prompt(client: Client):
    [file] = client.predict(prompt="two red hearts", style="pink", api_name="/draw")
    settings = read_settings(file)
    assert settings and settings["prompt"] == "two red hearts on a pink background"
    with pytest.raises(AppError, match=r"no style 'ink' .* The styles are: white, "):
        client.predict(prompt="two red hearts", style="ink", api_name="/draw")


def test_a_picture_is_described(client: Client, picture: Path):
    assert client.predict(handle_file(picture), api_name="/caption")


def test_a_question_may_be_about_several_pictures(client: Client, picture: Path):
    pictures = [handle_file(picture), handle_file(picture)]
    assert client.predict(pictures, "Which is larger?", api_name="/ask")


def test_errors_say_what_to_do(client: Client):
    with pytest.raises(AppError, match=r"^The prompt is empty\. Say what to draw\.$"):
        client.predict(prompt="", api_name="/draw")


def test_files_of_the_server_cannot_be_named(studio: str, tmp_path: Path, picture: Path):
    picture.rename(tmp_path / "secret.png")
    sent = {"path": str(tmp_path / "secret.png"), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AssertionError, match="was not uploaded"):
        call(f"{studio}gradio_api/call/caption", [sent])


def call(address: str, data: list[Any]) -> str:
    """Calls without Gradio's client, which would upload the file first."""
    body = json.dumps({"data": data}).encode()
    request = Request(address, body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{address}/{event}") as answer:
        result = answer.read().decode()
    assert "event: complete" in result, result
    return result
