"""`janus bench serve` against a real service."""

import json

from typer.testing import CliRunner

from janus.cli.main import app
from tests.server.conftest import Start


def test_the_command(start: Start) -> None:
    running = start(slots=4, max_waiting=4)
    command = ["bench", "serve", running.url, "--clients", "20", "--seconds", "2", "--json"]
    figures = json.loads(CliRunner().invoke(app, command).stdout)
    assert figures["good"] > 10
    assert (figures["errors"], figures["lost"], figures["mixed_up"]) == (0, 0, 0)
    assert figures["refused"] > 0
    assert figures["first_word.p50"] > 0
    assert figures["picture.p99"] >= figures["picture.p50"] > 0


def test_nobody_is_there() -> None:
    outcome = CliRunner().invoke(app, ["bench", "serve", "http://127.0.0.1:9", "--seconds", "1"])
    assert outcome.exit_code == 6
    assert "janus serve" in outcome.stderr
