import socket
import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def launched(monkeypatch):
    """What the studio was started with; it would block."""
    calls = []
    studio = SimpleNamespace(launch=lambda name, **options: calls.append({"name": name, **options}))
    monkeypatch.setitem(sys.modules, "webui.app", studio)
    return calls


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_options_reach_the_studio(run, launched, folder, tmp_path):
    library = tmp_path / "library"
    options = ("--device", "cpu", "--no-open", "--library", library)
    assert run("web", *options).code == 0
    [call] = launched
    port = call.pop("port")
    assert 7860 <= port < 7960
    assert call == {
        "name": str(folder),
        "device": "cpu",
        "dtype": "auto",
        "quantize": None,
        "host": "127.0.0.1",
        "share": False,
        "open_browser": False,
        "library": library,
    }


def test_a_port_that_was_asked_for_and_is_taken(run, launched, taken_port):
    result = run("web", "--port", taken_port)
    assert result.code == 6
    assert str(taken_port) in result.stderr
    assert not launched


def test_the_next_port_where_none_was_asked_for(run, launched, taken_port, monkeypatch):
    monkeypatch.setattr("janus.cli.web.FIRST_PORT", taken_port)
    assert run("web").code == 0
    assert taken_port < launched[0]["port"] < taken_port + 100


def test_an_address_of_another_machine(run, launched):
    assert run("web", "--host", "192.0.2.1").code == 6
    assert run("web", "--host", "no such host").code == 6


def test_a_studio_that_is_not_installed(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "webui.app", None)
    result = run("web")
    assert result.code == 8
    assert "pip install" in result.stderr
