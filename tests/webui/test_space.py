"""The studio as a Space: its folder, the checks of it, and work in forked processes."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gradio
import numpy as np
import pytest
from huggingface_hub import metadata_load, metadata_save
from packaging.requirements import Requirement
from PIL import Image

from janus.errors import ContextError, OutOfMemoryError, PictureError, SaveError, UsageError
from janus.pipeline import Janus
from webui.drawing import frames
from webui.space.checks import problems
from webui.space.staging import stage, staged_files
from webui.space.studio import model_name
from webui.space.zero import (
    SentPrompt,
    ZeroJanus,
    seconds_to_ask,
    seconds_to_draw,
    seconds_to_read,
)
from webui.stopping import StopSign

FORK = get_context("fork")
ROOT = Path(__file__).parents[2]
IMPORT = """
import os, app, janus
values = [part["props"].get("value") for part in app.demo.config["components"]]
print(os.path.dirname(janus.__file__), *values, flush=True)
os._exit(0)  # its model is still being loaded
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spaces") / "space"
    stage(folder)
    return folder


@pytest.fixture
def copy(staged: Path, tmp_path: Path) -> Path:
    """A Space to be spoilt, without its weights."""
    ignored = shutil.ignore_patterns("*.safetensors")
    return shutil.copytree(staged, tmp_path / "copy", ignore=ignored)


# ---------------------------------------------------------------- the folder


def test_it_is_the_root_of_a_space_and_fit_to_be_uploaded(staged: Path):
    assert {path.name for path in staged.iterdir()} == {
        ".gitattributes",
        "LICENSE",
        "README.md",
        "app.py",
        "requirements.txt",
        *("janus", "vision", "webui", "weights"),
    }
    assert not problems(staged)
    assert len((staged / "app.py").read_text().splitlines()) <= 40


def test_it_holds_the_bundled_weights_as_a_large_file(staged: Path):
    [large] = [file for file in staged_files(staged) if file.is_large]
    assert large.path == "weights/janus-emoji/model.safetensors"
    assert large.bytes == (ROOT / large.path).stat().st_size


def test_it_asks_for_what_is_tested_here(staged: Path):
    card = metadata_load(staged / "README.md")
    assert card and card["sdk_version"] == gradio.__version__
    wanted = map(Requirement, (staged / "requirements.txt").read_text().split())
    for requirement in wanted:
        if requirement.name != "torch":  # ZeroGPU's is older
            assert version(requirement.name) in requirement.specifier


def test_the_card_names_the_model_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage(tmp_path, "janus-pro-1b")
    assert not problems(tmp_path)
    card = tmp_path / "README.md"
    monkeypatch.delenv("JANUS_MODEL", raising=False)
    assert model_name(card, has_gpu=True) == "deepseek-ai/Janus-Pro-1B"
    assert model_name(card, has_gpu=False) == "janus-emoji"
    monkeypatch.setenv("JANUS_MODEL", "janus-pro-7b")
    assert model_name(card, has_gpu=False) == "janus-pro-7b"


@pytest.mark.parametrize("name", ["no-such-model", "janusflow-1.3b"])
def test_a_model_that_no_space_can_show(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match=name) as caught:
        stage(tmp_path, name)
    assert "janus-pro-1b" in caught.value.hint and not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine").touch()
    with pytest.raises(SaveError, match="not an empty folder"):
        stage(tmp_path)


def test_the_app_is_imported_from_the_folder(staged: Path):
    environment = {**os.environ, "JANUS_DEVICE": "cpu"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT],
        cwd=staged,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{staged / 'janus'} ")
    assert "space.banner" in done.stdout


# ---------------------------------------------------------------- the checks


def set_in_card(**facts: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = metadata_load(folder / "README.md")
        assert card
        metadata_save(folder / "README.md", card | facts)

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


PINNED = "torch==2.11.*\nspaces\n"
SPOILT = {
    "there is no key colour": set_in_card(colour="red"),
    "colorTo is 'gold', not": set_in_card(colorTo="gold"),
    "sdk_version is '6.0.0', not": set_in_card(sdk_version="6.0.0"),
    "python_version is '3.10', not 3.12": set_in_card(python_version="3.10"),
    "more than 60 characters": set_in_card(short_description="a" * 61),
    "ada/unknown is not in the catalogue": set_in_card(models=["ada/unknown"]),
    "title is missing": write("README.md", "No front matter"),
    "ZeroGPU has no torch==2.12": write("requirements.txt", "torch==2.12.*\nspaces\n"),
    "spaces is missing": write("requirements.txt", "torch==2.11.*\n"),
    "gradio belongs into the card": write("requirements.txt", PINNED + "gradio==6.31.0\n"),
    "'numpy=2' cannot be read": write("requirements.txt", PINNED + "numpy=2\n"),
    "tests/test_a.py: does not belong": write("tests/test_a.py", ""),
    "webui/.env: does not belong": write("webui/.env", "A=1"),
    "looks like a password": write("janus/token.py", f'TOKEN = "hf_{"aBcDeFgHiJ" * 4}"'),
    "12 MB, too much for git": write("webui/film.txt", "a" * 12_000_000),
    "all files together have 10": write("all.safetensors", "a" * 101_000_000),
    "vision/fast.py: uses torch.compile": write(
        "vision/fast.py", "import torch\nf = torch.compile(print)\n"
    ),
    "vision/bad.py: ": write("vision/bad.py", "def"),
}


def test_nothing_is_wrong_before_it_is_spoilt(copy: Path):
    assert not problems(copy)


@pytest.mark.parametrize("complaint", SPOILT)
def test_a_check_says_what_is_wrong(copy: Path, complaint: str):
    SPOILT[complaint](copy)
    assert any(complaint in problem for problem in problems(copy)), problems(copy)


# ---------------------------------------------------------------- forked workers


def forking(duration: Callable[..., float]) -> Callable[..., Any]:
    """What ZeroGPU does: each call in a process forked for it, by a thread, all of it pickled."""

    def decorate(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def run(*arguments: Any) -> Iterator[Any]:
            assert 0 < duration(*arguments) <= 120
            results, stop = FORK.SimpleQueue(), FORK.Event()
            sent = pickle.dumps(arguments)
            worker = FORK.Process(target=work, args=(task, sent, results, stop), daemon=True)
            worker.start()
            try:
                while (answer := pickle.loads(results.get())) is not None:
                    yield answer[0]
            finally:
                stop.set()
                while not results.empty():
                    results.get()
                worker.join(timeout=60)
                assert worker.exitcode == 0

        return run

    return decorate


def work(task: Callable[..., Iterator[Any]], sent: bytes, results: Any, stop: Any) -> None:
    def iterate() -> None:
        steps = task(*pickle.loads(sent))
        for value in steps:
            if stop.is_set():
                steps.close()  # pyright: ignore[reportAttributeAccessIssue]
                break
            results.put(pickle.dumps((value,)))

    try:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(iterate).result()
    finally:
        results.put(pickle.dumps(None))


PICTURES = [Image.new("RGB", (32, 32), colour) for colour in ("teal", "red")]
TOLD = {"history": [("What is it?", "a sea")]}
REVIEWS: dict[str, Callable[[Janus], Any]] = {
    "match": lambda janus: janus.match(PICTURES, "dog"),
    "looked_at": lambda janus: janus.looked_at(PICTURES, "Where?", "on the left", **TOLD),
    "answer": lambda janus: janus.experts_for_answer(PICTURES[0], "Where?", "there", **TOLD),
    "drawing": lambda janus: janus.experts_for_drawing("a dog", [1, 2, 3]),
}


@pytest.fixture
def zero(tiny: Janus) -> ZeroJanus:
    return ZeroJanus(tiny, forking)


def test_a_forked_worker_draws_the_same_pictures(tiny: Janus, zero: ZeroJanus):
    here = tiny.draw("two red hearts", count=2, seed=7)
    there = zero.draw("two red hearts", num_images_per_prompt=2, seed=7)
    assert [picture.ids for picture in there] == [picture.ids for picture in here]
    assert [picture.seed for picture in there] == [7, 8]
    assert [picture.settings for picture in there] == [picture.settings for picture in here]
    for one, other in zip(here, there, strict=True):
        assert one.image.tobytes() == other.image.tobytes()
    assert zero.engine.engine is None  # this process has not stepped any


def test_a_forked_worker_gives_the_same_answer(tiny: Janus, zero: ZeroJanus):
    picture = Image.new("RGB", (40, 30), "teal")
    asked = {"history": [("What is it?", "a sea")], "max_tokens": 20, "seed": 3}
    there = list(zero.ask_stream(picture, "Why?", **asked))
    assert there == list(tiny.ask_stream(picture, "Why?", **asked))
    short = {"temperature": 0, "max_tokens": 8}
    assert zero.caption(picture, **short) == tiny.caption(picture, **short)


@pytest.mark.parametrize("review", REVIEWS)
def test_a_forked_worker_looks_into_the_model_in_the_same_way(
    tiny: Janus, zero: ZeroJanus, review: str
):
    here, calls = REVIEWS[review](tiny), []
    watched = zero.model.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        there = REVIEWS[review](zero)
    finally:
        watched.remove()
    np.testing.assert_equal(there, here)
    assert not calls  # this process has not run the model


def test_the_studio_shows_what_a_worker_draws(zero: ZeroJanus):
    *_, last = shown = list(frames(zero, "a dog", StopSign(), count=2, seed=1))
    assert shown[0].preview and last.preview and last.preview.size > (32, 32)
    assert last.pictures and len(last.pictures) == 2


def test_errors_arrive_with_their_hints(zero: ZeroJanus):
    with pytest.raises(UsageError, match="count is 65"):
        zero.draw_stream("a dog", count=65)
    with pytest.raises(ContextError, match="more than the 512"):
        zero.ask_stream(None, "dog " * 600)
    full = zero.model.register_forward_pre_hook(no_memory)
    try:
        for work in (lambda: zero.draw("a dog"), lambda: zero.match(PICTURES, "dog")):
            with pytest.raises(OutOfMemoryError) as caught:  # from the worker
                work()
            assert "fewer pictures" in caught.value.hint
    finally:
        full.remove()


def test_no_gpu_is_asked_for_what_cannot_be_done(tiny: Janus):
    zero = ZeroJanus(tiny, lambda **_: lambda _: pytest.fail)
    for work, error in (
        (lambda: zero.draw("a dog", count=65), UsageError),
        (lambda: zero.ask(None, "dog " * 600), ContextError),
        (lambda: zero.match(["missing.png"], "dog"), PictureError),
        (lambda: zero.looked_at([], "Where?", "there"), UsageError),
        (lambda: zero.looked_at(PICTURES, "Where?", "there " * 600), ContextError),
        (lambda: zero.experts_for_answer(None, "Where?", "there " * 600), ContextError),
        (lambda: zero.experts_for_drawing("a dog", [-1]), UsageError),
    ):
        with pytest.raises(error):
            work()


def no_memory(*_: object) -> None:
    raise MemoryError


def test_a_worker_ends_cleanly_when_nobody_listens(zero: ZeroJanus):
    pieces = zero.ask_stream(None, "Why?", max_tokens=400)
    next(pieces)
    pieces.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_a_gpu_is_asked_for_as_long_as_the_work_takes():
    one, four = (seconds_to_draw("", {"count": count}) for count in (1, 4))
    assert one <= 30 and one < four
    assert seconds_to_ask(None, "", {"max_tokens": 512}) <= 30
    assert seconds_to_draw("", {"count": 64}) == 120
    few, many = (seconds_to_read(None, *[SentPrompt((0,) * 600)] * count) for count in (1, 60))
    assert few <= 15 < many <= 60
