"""The deployment files agree with the service that they deploy."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import janus.server
from janus.cli.main import app
from tests.server.conftest import Running

FOLDER = Path(janus.server.__file__).parent / "deploy"


def test_the_board_shows_what_is_measured(running: Running) -> None:
    board = json.loads((FOLDER / "grafana" / "board.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for each in expressions for name in re.findall(r"janus_\w+", each)}
    running.client().images.generate(prompt="a dog")
    running.client().chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Go on"}], max_tokens=4
    )
    with running.http() as http:
        page = http.get("/metrics").text
    measured = set(re.findall(r"^(janus_\w+)", page, re.MULTILINE))
    assert named <= measured
    assert len(named) >= 10


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_files_are_whole() -> None:
    (compose,) = documents("compose.yaml")
    assert {"janus", "prometheus", "grafana"} <= compose["services"].keys()
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (FOLDER / volume.split(":")[0]).is_file()
    (prometheus,) = documents("prometheus.yaml")
    assert prometheus["scrape_configs"][0]["static_configs"][0]["targets"] == ["janus:8000"]
    assert len(documents("kubernetes.yaml")) == 2


def commands() -> Iterator[list[str]]:
    """Options that the files start the service with."""
    entry = re.search(r"^ENTRYPOINT (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert entry
    yield json.loads(entry.group(1))[2:]
    container = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]["containers"][0]
    yield container["args"]


@pytest.mark.parametrize("options", commands())
def test_the_service_knows_its_options(options: list[str]) -> None:
    help = CliRunner().invoke(app, ["serve", "--help"]).stdout
    for option in options:
        if option.startswith("--"):
            assert re.search(rf"{option}\b", help), option
