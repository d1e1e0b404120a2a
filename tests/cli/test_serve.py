import socket
import sys
from contextlib import contextmanager
from types import ModuleType

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def served(monkeypatch):
    """The application and address that would be served; it would block."""
    calls = []

    def serve(app, **address):
        calls.append((app, address))
        app.state.service.close()

    monkeypatch.setattr("janus.server.run.serve", serve)
    monkeypatch.setattr("janus.server.logs.write_logs", lambda: None)
    return calls


def test_options_reach_the_service(run, served, tmp_path):
    keys = tmp_path / "keys.txt"
    key = run("serve", "--new-key", "alice", "--keys", keys)
    assert key.stdout.startswith("sk-janus-")
    options = ["--slots", 4, "--context", 128, "--max-waiting", 3, "--fetch-from", "example.org"]
    result = run("serve", "--no-web", "--keys", keys, "--name", "mine", "--port", 8765, *options)
    assert result.code == 0, result
    [(app, address)] = served
    service = app.state.service
    assert address == {"host": "127.0.0.1", "port": 8765}
    assert service.settings.keys_file == keys
    assert service.settings.fetch_from == ("example.org",)
    engine = service.worker.engine
    assert (engine.num_slots, engine.length, service.worker.max_waiting) == (4, 128, 3)
    assert "http://127.0.0.1:8765/v1" in result.stderr
    assert "Anybody" not in result.stderr


def test_an_open_service_is_warned_of(run, served):
    assert "see --keys" in run("serve", "--no-web", "--host", "0.0.0.0").stderr
    assert "see --keys" not in run("serve", "--no-web").stderr


def test_the_studio_is_beside_it(run, served):
    assert run("serve").code == 0
    [(app, _)] = served
    with TestClient(app) as client:
        assert client.get("/v1/models").json()["data"][0]["id"] == "small"
        assert client.get("/").text.startswith("<!doctype html>")


def test_keys(run, served, tmp_path):
    assert run("serve", "--new-key", "alice").code == 2
    assert run("serve", "--no-web", "--keys", tmp_path / "none").code == 6
    assert not served


def test_a_port_that_is_taken(run, served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("serve", "--no-web", "--port", taken.getsockname()[1])
    assert result.code == 6
    assert not served


def test_what_is_not_installed(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = run("serve")
    assert result.code == 8
    assert "janus-multimodal[server]" in result.stderr


def test_a_studio_that_is_not_installed(run, served, monkeypatch):
    monkeypatch.setitem(sys.modules, "webui.app", None)
    result = run("serve")
    assert result.code == 8
    assert "--no-web" in result.stderr


def test_replicas(run, monkeypatch, tmp_path, folder):
    """How the command asks for them; tests/server/test_ray.py runs them."""
    asked = []

    @contextmanager
    def serving(settings, **address):
        asked.append((settings, address))
        yield

    cluster = ModuleType("janus.server.cluster")
    vars(cluster).update(serving=serving, wait_for_a_signal=lambda: None)
    monkeypatch.setitem(sys.modules, "janus.server.cluster", cluster)
    monkeypatch.setattr("janus.server.cluster", cluster, raising=False)
    run("serve", "--new-key", "alice", "--keys", "keys.txt")
    result = run("serve", "--ray", "--replicas", "1-4", "--keys", "keys.txt", "--port", 8765)
    assert result.code == 0, result
    [(settings, address)] = asked
    assert settings.num_replicas == (1, 4)
    assert settings.keys_file == tmp_path / "keys.txt"  # whole: replicas have their own folders
    assert settings.model == str(folder)
    assert address == {"host": "127.0.0.1", "port": 8765}
    assert "http://127.0.0.1:8765/v1" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--replicas", "2"),
        ("--ray", "--web"),
        ("--ray", "--replicas", "0"),
        ("--ray", "--replicas", "4-2"),
        ("--ray", "--replicas", "many"),
    ],
)
def test_replicas_that_cannot_be(run, served, options):
    assert run("serve", *options).code == 2
    assert not served


def test_a_model_that_no_replica_could_load(run, served, monkeypatch):
    monkeypatch.setitem(sys.modules, "janus.server.cluster", ModuleType("janus.server.cluster"))
    monkeypatch.setattr("janus.server.cluster", None, raising=False)
    result = run("serve", "--ray", "--model", "/nowhere")
    assert result.code == 3
    assert "There is no folder /nowhere" in result.stderr


def test_ray_that_is_not_installed(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "janus.server.cluster", raising=False)
    result = run("serve", "--ray")
    assert result.code == 8
    assert "janus-multimodal[server,ray]" in result.stderr
