"""What has to be checked before a Space is uploaded, and what checks it.

| what | by |
|---|---|
| 1 the staged folder starts with nothing installed | test_space: the_app_is_imported_from_the_folder; test_space_live |
| 2 the card is right | test_space: a_check_says_what_is_wrong, the_card_names_the_model_to_show |
| 3 its requirements can be installed with Python 3.12 | test_space_live (slow), which does so |
| 4 no torch.compile, which ZeroGPU cannot | test_space: a_check_says_what_is_wrong |
| 5 a GPU is asked for by generators that say for how long | test_space: a_gpu_is_asked_for_as_long_as_the_work_takes; `forking` there asks each of them |
| 6 what a worker sends can be pickled | test_space: all of forked workers, which pickle it |
| 7 everything that needs the GPU shares one limit | here: all_that_needs_the_model_shares_one_limit |
| 8 the model does not run before somebody asks it | here: nothing_runs_until_somebody_asks |
| 9 the disk is cleaned up | here: what_visitors_draw_leaves_the_disk_after_a_day |
| 10 no secrets in the folder | test_space: a_check_says_what_is_wrong |
| 11 nothing but ports 80, 443 and 8080 outwards | conftest: open_page, where the browser may ask nobody else; the server asks the hub only, on 443 |
| 12 a duplicate works, with another model or without a GPU | test_space: the_card_names_the_model_to_show; test_space_live runs one without a GPU |
| 13 ZeroGPU's own errors arrive as they are | here: a_spent_quota_is_told_in_zero_gpus_own_words |
| 14 programs are told what they may call | here: gradios_own_command_lists_the_functions; test_mcp |
| 15 phones, dark mode, Spanish and Chinese | test_space_live at 360 pixels, test_theme, test_languages; on the live Space by eye |
| 16 the licence of the weights is seen | here: the_licence_of_the_weights_is_seen; test_about |
| 17 it answers once it is up | test_space_live: programs_draw_and_ask; on the live Space it needs a token |
"""  # noqa: E501

import inspect
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.cli.cli import app as gradio_command
from gradio.route_utils import delete_files_created_by_app
from huggingface_hub import metadata_load
from typer.testing import CliRunner

from janus.pipeline import Janus
from tests.webui.conftest import free_port
from webui.about import about
from webui.app import build, serve
from webui.drawing import frames
from webui.errors import errors_as, toast
from webui.events import AT_ONCE
from webui.loader import Loading
from webui.space.staging import stage
from webui.space.zero import ZeroJanus
from webui.stopping import StopSign
from webui.words import words_in
from weights import catalog

Work = Callable[..., Iterator[Any]]

QUOTA = "You have exceeded your GPU quota. <a href='/login'>Sign in</a>"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", os.fspath(tmp_path))
    return tmp_path


def test_all_that_needs_the_model_shares_one_limit(tiny: Janus):
    page = build(tiny)
    events = [event for event in page.fns.values() if event.fn]
    working = [event for event in events if event.concurrency_id == "engine"]
    assert {event.name for event in working} == {"draw", "ask", "caption", "look", "match", "show"}
    assert {event.concurrency_limit for event in working} == {AT_ONCE}
    # The page's own drawings and answers stand in a line of their own, which serves as many.
    in_line = [event for event in events if event.concurrency_id == "line"]
    assert {event.name for event in in_line} == {"draw", "ask"}
    generators = [event for event in events if inspect.isgeneratorfunction(event.fn)]
    assert generators and all(event in [*working, *in_line] for event in generators)
    assert page._queue.max_size


def test_nothing_runs_until_somebody_asks(tiny: Janus, cache: Path):
    calls = []
    hooks = [
        module.register_forward_pre_hook(lambda *_: calls.append(1))
        for module in (tiny.model, tiny.model.vqmodel)
    ]
    asked: list[Any] = []

    def noting(work: Work) -> Work:
        def run(*arguments: Any) -> Iterator[Any]:
            asked.append(arguments)
            return work(*arguments)

        return run

    zero = ZeroJanus(tiny, lambda **_: noting)
    page = build(zero, in_small_space=True)
    serve(page, host="127.0.0.1", port=free_port())
    page.close(verbose=False)
    for hook in hooks:
        hook.remove()
    assert not calls and not asked and zero.engine.engine is None


def test_what_visitors_draw_leaves_the_disk_after_a_day(tiny: Janus, cache: Path):
    page = build(tiny)
    assert page.delete_cache == (3600, 24 * 3600)
    [draw] = [e.fn for e in page.fns.values() if (e.name, e.api_visibility) == ("draw", "public")]
    assert draw
    [file] = draw("a dog", seed=1)
    path = Path(file.path)
    delete_files_created_by_app(page, age=24 * 3600)
    assert path.is_relative_to(cache) and path.exists()
    delete_files_created_by_app(page, age=0)
    assert not path.exists()


def test_a_spent_quota_is_told_in_zero_gpus_own_words(tiny: Janus):
    refusal = gr.Error(QUOTA, title="ZeroGPU quota exceeded")

    def refusing(work: Work) -> Work:
        def run(*arguments: Any) -> Iterator[Any]:
            raise refusal

        return run

    zero = ZeroJanus(tiny, lambda **_: refusing)
    with pytest.raises(gr.Error) as caught, errors_as(toast(words_in("es"))):
        list(frames(zero, "a dog", StopSign()))
    assert caught.value is refusal and QUOTA in str(refusal)


def test_gradios_own_command_lists_the_functions(studio: str):
    done = CliRunner().invoke(gradio_command, ["info", studio])
    assert done.exit_code == 0, done.output
    functions = json.loads(done.stdout)
    assert set(functions) == {"/draw", "/ask", "/caption"}
    assert all(function["description"] for function in functions.values())
    names = [part["name"] for part in functions["/draw"]["parameters"]]
    assert names == ["prompt", "count", "seed", "guidance", "temperature", "style"]


@pytest.mark.parametrize("tag", ["en", "es", "zh-CN"])
@pytest.mark.parametrize("name", [entry.name for entry in catalog.CATALOG if entry.supported])
def test_the_licence_of_the_weights_is_seen(name: str, tag: str):
    entry = catalog.find(name)
    assert entry
    shown = about(Loading(name), words_in(tag))
    assert entry.licence in shown and entry.licence_url in shown


def test_the_card_says_whose_licence_holds_for_what(tmp_path: Path):
    stage(tmp_path, "janus-pro-1b")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    facts = metadata_load(tmp_path / "README.md")
    assert facts and facts["license"] == "mit"
    assert "DeepSeek Model License" in card and catalog.DEEPSEEK_LICENCE_URL in card
