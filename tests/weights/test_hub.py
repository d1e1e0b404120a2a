"""Finding models: folders, names, and downloads from a small hub that runs in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from weights.catalog import bundled_folder
from weights.errors import CheckpointError, UnknownModelError
from weights.hub import locate

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = {"config.json": b"{}", "tokenizer.json": b"{}", "chat_template.jinja": b""}
REPOSITORIES = {
    "both/kinds": {
        **SETTINGS,
        "model.safetensors": b"safe",
        "pytorch_model.bin": b"pickle",
        "onnx/model.safetensors": b"other",
        "README.md": b"",
    },
    "deepseek-ai/Janus-Pro-1B": {**SETTINGS, "pytorch_model.bin": b"pickle"},
    "only/gguf": {"config.json": b"{}", "model.gguf": b""},
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's HTTP interface as a download needs."""

    repositories: ClassVar[dict[str, dict[str, bytes]]] = REPOSITORIES

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].strip("/")
        is_api = path.startswith("api/models/")
        owner, name, *rest = path.removeprefix("api/models/").split("/")
        repository = f"{owner}/{name}"
        if repository == "gated/model":
            return self.send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body)
        if repository not in self.repositories:
            return self.send(401, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
        files = self.repositories[repository]
        if not is_api:
            content = files["/".join(rest[2:])]
            headers = {"ETag": f'"{abs(hash(content)):040x}"', "X-Repo-Commit": COMMIT}
            return self.send(200, content, headers, with_body)
        if rest[:1] == ["tree"]:
            tree = [{"type": "file", "path": p, "size": len(c), "oid": p} for p, c in files.items()]
            return self.send(200, json.dumps(tree).encode(), {}, with_body)
        siblings = [{"rfilename": path} for path in files]
        info = {"id": repository, "sha": COMMIT, "siblings": siblings}
        return self.send(200, json.dumps(info).encode(), {}, with_body)

    def send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@contextmanager
def serving(hub: type[Hub]) -> Iterator[str]:
    """Its address, for HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with serving(Hub) as address:
        yield address


# huggingface_hub reads its environment once, when it is imported: hence a process of its own.
ASK = """
import json, sys
from weights.errors import DownloadError
from weights.hub import locate

for name in sys.argv[2:]:
    try:
        folder = locate(name, cache_dir=sys.argv[1])
        print(json.dumps({"folder": str(folder)}))
    except DownloadError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}))
assert "torch" not in sys.modules
"""


def ask(cache: Path, *names: str, **environment: str) -> list[dict[str, str]]:
    result = subprocess.run(
        [sys.executable, "-c", ASK, str(cache), *names],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_TOKEN": "", **environment},
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def files(folder: str) -> set[str]:
    root = Path(folder)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_downloads_one_kind_of_weights_and_keeps_them(tmp_path: Path, hub: str) -> None:
    names = ["both/kinds", "Janus-Pro-1B"]
    safe, pickled = ask(tmp_path, *names, HF_ENDPOINT=hub)
    assert files(safe["folder"]) == {*SETTINGS, "model.safetensors"}
    assert files(pickled["folder"]) == {*SETTINGS, "pytorch_model.bin"}
    unreachable = ask(tmp_path, *names, HF_ENDPOINT="http://127.0.0.1:9")
    offline = ask(tmp_path, *names, HF_HUB_OFFLINE="1")
    assert unreachable == offline == [safe, pickled]


def test_refusals_say_what_to_do(tmp_path: Path, hub: str) -> None:
    gated, missing, foreign = ask(
        tmp_path, "gated/model", "deepseek-ai/Janus-Pro-17B", "only/gguf", HF_ENDPOINT=hub
    )
    assert "hf auth login" in gated["hint"]
    assert "deepseek-ai/Janus-Pro-7B" in missing["hint"]
    assert "no weights" in foreign["message"]


def test_without_network_an_empty_cache_is_explained(tmp_path: Path) -> None:
    (offline,) = ask(tmp_path, "janus-pro-7b", HF_HUB_OFFLINE="1")
    assert "deepseek-ai/Janus-Pro-7B" in offline["message"]
    assert "ffline" in offline["hint"]


def test_a_cached_model_is_found_without_asking_anybody(tmp_path: Path) -> None:
    root = tmp_path / "models--deepseek-ai--Janus-Pro-7B"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    assert locate("janus-pro-7b", cache_dir=tmp_path, local_files_only=True) == snapshot


def test_a_folder_is_itself_even_if_a_model_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("janus-emoji") == bundled_folder()
    Path("janus-emoji").mkdir()
    assert locate("janus-emoji") == Path("janus-emoji")
    assert locate(tmp_path) == tmp_path


def test_unknown_names_get_suggestions() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean janus-pro-7b") as caught:
        locate("janus-pro7b")
    assert caught.value.suggestions[0] == "janus-pro-7b"
    assert isinstance(caught.value, LookupError)
    with pytest.raises(UnknownModelError, match="Known are janus-emoji"):
        locate("zzzzzz")


def test_a_model_that_is_not_supported_yet_says_so() -> None:
    with pytest.raises(UnknownModelError, match="not supported yet"):
        locate("deepseek-ai/JanusFlow-1.3B")


@pytest.mark.parametrize("name", ["./nowhere", "~/nowhere", "/no/where", "a/b/c", "a\\b", "../x"])
def test_paths_that_lead_nowhere_are_paths(name: str) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        locate(name)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is a file"):
        locate(file)
