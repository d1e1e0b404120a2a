"""The public API keeps its promises: seeds, streams, settings, history, several threads, errors."""

import copy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from janus import Janus, JanusError
from janus.engine.shared import SharedEngine
from janus.errors import (
    ContextError,
    OutOfMemoryError,
    PictureError,
    UsageError,
    WeightsMissingError,
    as_janus_error,
)
from janus.metadata import read_settings
from janus.model.quantized import pack_quantized

PICTURE = Image.radial_gradient("L").resize((40, 30)).convert("RGB")


def test_streamed_text_is_the_whole_text(tiny: Janus):
    settings = {"max_tokens": 20, "temperature": 1.0, "seed": 5}
    whole = tiny.ask(PICTURE, "What is it?", **settings)
    pieces = list(tiny.ask_stream(PICTURE, "What is it?", **settings))
    assert len(pieces) > 1
    assert "".join(pieces) == whole == whole.strip()


def test_a_stop_text_ends_the_answer_before_it(tiny: Janus):
    settings = {"max_tokens": 30, "temperature": 1.0, "seed": 5}
    whole = tiny.ask(PICTURE, "What is it?", **settings)
    stop = whole[len(whole) // 2 :][:3]
    assert tiny.ask(PICTURE, "What is it?", stop=stop, **settings) == (
        whole[: whole.index(stop)].rstrip()
    )


def test_the_same_seed_gives_the_same_pixels(tiny: Janus):
    first, again = (tiny.draw("a red heart", seed=7)[0] for _ in range(2))
    assert first.ids == again.ids
    assert first.image.tobytes() == again.image.tobytes()
    assert tiny.draw("a red heart", seed=8)[0].ids != first.ids


def test_picture_i_is_the_single_picture_of_seed_plus_i(tiny: Janus):
    pictures = tiny.draw("a red heart", count=3, seed=7)
    assert [picture.seed for picture in pictures] == [7, 8, 9]
    assert pictures[2].ids == tiny.draw("a red heart", seed=9)[0].ids


def test_names_from_diffusers_are_accepted(tiny: Janus):
    generator = torch.Generator().manual_seed(11)
    theirs = tiny.draw(
        "a dog", guidance_scale=3, num_images_per_prompt=2, generator=generator, temperature=0.9
    )
    ours = tiny.draw("a dog", guidance=3, count=2, seed=11, temperature=0.9)
    assert [picture.ids for picture in theirs] == [picture.ids for picture in ours]


def test_drawing_reports_progress_and_shows_previews(tiny: Janus):
    steps = list(tiny.draw_stream("a dog", seed=1, count=2))
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert [step.finished for step in steps] == [False] * (len(steps) - 1) + [True]
    sheet = steps[-1].preview()
    assert sheet.size == (32 + 1 + 32, 32)
    assert steps[-1].pictures is not None
    assert sheet.crop((0, 0, 32, 32)).tobytes() == steps[-1].pictures[0].image.tobytes()


def test_a_closed_stream_frees_its_slots(tiny: Janus):
    stream = tiny.draw_stream("a dog", count=4)
    next(stream)
    assert tiny.engine.engine is not None
    assert tiny.engine.engine.has_work
    stream.close()
    assert not tiny.engine.engine.has_work
    assert tiny.engine.engine.scheduler.num_free == tiny.engine.engine.num_slots


def test_saved_pictures_carry_what_redraws_them(tiny: Janus, tmp_path: Path):
    picture = tiny.draw("two dogs", seed=3, guidance=2.5, temperature=0.8)[0]
    path = picture.save(tmp_path)
    settings = read_settings(path)
    assert settings is not None
    assert Image.open(path).tobytes() == picture.image.tobytes()
    names = ("seed", "guidance", "temperature", "top_k", "top_p")
    again = tiny.draw(settings["prompt"], **{name: settings[name] for name in names})[0]
    assert again.image.tobytes() == picture.image.tobytes()


def test_without_a_guidance_the_checkpoints_own_is_taken(tiny: Janus):
    own, asked = tiny.draw("a dog", seed=1)[0], tiny.draw("a dog", seed=1, guidance=5)[0]
    assert own.settings["guidance"] == tiny.guidance == 3
    assert asked.settings["guidance"] == 5
    assert own.ids != asked.ids


def test_history_in_both_forms_and_pictures_in_the_first_turn(tiny: Janus):
    pairs = [("What is it?", "a dog")]
    messages = [
        {"role": "user", "content": "What is it?", "pictures": [PICTURE]},
        {"role": "assistant", "content": "a dog"},
    ]
    by_pairs = tiny.text_request(PICTURE, "Which color?", history=pairs)
    by_messages = tiny.text_request(None, "Which color?", history=messages)
    assert by_pairs.prompt.ids == by_messages.prompt.ids
    assert by_pairs.prompt.pixels is not None
    assert by_messages.prompt.pixels is not None
    assert torch.equal(by_pairs.prompt.pixels, by_messages.prompt.pixels)


def test_two_pictures_and_none(tiny: Janus):
    two = tiny.text_request([PICTURE, PICTURE], "Which is larger?")
    placeholders = two.prompt.ids.count(tiny.tokenizer.special.image)
    assert placeholders == 2 * tiny.model.config.num_image_tokens
    assert tiny.text_request(None, "Hello").prompt.pixels is None


def test_arrays_paths_and_bytes_are_pictures(tiny: Janus, tmp_path: Path):
    path = tmp_path / "p.png"
    PICTURE.save(path)
    forms = [PICTURE, path, str(path), path.read_bytes(), np.asarray(PICTURE)]
    answers = {tiny.caption(form, max_tokens=6) for form in forms}
    assert len(answers) == 1


def test_threads_share_the_engine_without_mixing_results(tiny: Janus):
    alone = [tiny.draw("a dog", seed=seed)[0].ids for seed in range(4)]
    text = tiny.ask(PICTURE, "What?", max_tokens=12)
    found: dict[int, tuple[int, ...]] = {}
    said: list[str] = []

    def draw(seed: int) -> None:
        found[seed] = tiny.draw("a dog", seed=seed)[0].ids

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
    threads.append(
        threading.Thread(target=lambda: said.append(tiny.ask(PICTURE, "What?", max_tokens=12)))
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == alone
    assert said == [text]


def test_an_answer_is_as_long_as_the_context_allows(tiny: Janus):
    request = tiny.text_request(PICTURE, "What?")  # by default more than this model has room for
    assert len(request.prompt) + request.params.max_tokens == tiny.template.context
    with pytest.raises(ContextError):
        tiny.ask(PICTURE, "What?", max_tokens=512)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"temperature": -1}, "temperature"),
        ({"guidence": 3}, "guidance"),
        ({"count": 0}, "count"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_wrong_settings_are_named(tiny: Janus, settings: dict, named: str):
    with pytest.raises(UsageError, match=named):
        tiny.draw("a dog", **settings)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_model_quantized_as_it_is_read(tiny: Janus, tiny_folder: Path, kind: str):
    """Layer by layer, with parts left in the file: the same model as one quantized afterwards."""
    read = Janus.from_pretrained(tiny_folder, device="cpu", dtype="float32", quantize=kind)
    model = pack_quantized(copy.deepcopy(tiny.model), kind)
    packed = Janus(model, tiny.tokenizer, tiny.template.style, name="tiny")
    ids = [janus.draw("a dog", seed=3, guidance=3)[0].ids for janus in (read, packed)]
    assert ids[0] == ids[1]
    settings = {"max_tokens": 20, "temperature": 1.0, "seed": 5}
    answers = [janus.ask(PICTURE, "What is it?", **settings) for janus in (read, packed)]
    assert answers[0] == answers[1] != ""


def test_a_quantized_model_is_not_saved(tiny: Janus, tmp_path: Path):
    tiny.save_pretrained(tmp_path / "plain")
    quantized = Janus.from_pretrained(tmp_path / "plain", device="cpu", quantize="int8")
    assert quantized.num_parameters == tiny.num_parameters
    assert "int8" in repr(quantized)
    with pytest.raises(UsageError, match="quantized"):
        quantized.save_pretrained(tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_bad_input_is_explained(tiny: Janus, tmp_path: Path):
    with pytest.raises(UsageError, match="empty"):
        tiny.draw("  ")
    with pytest.raises(PictureError):
        tiny.caption(tmp_path / "missing.png")
    with pytest.raises(ContextError):
        tiny.draw("word " * 10_000)
    with pytest.raises(WeightsMissingError):
        Janus.from_pretrained(tmp_path)
    with pytest.raises(WeightsMissingError, match="janus"):
        Janus.from_pretrained("janus-emojy")
    with pytest.raises(JanusError, match="device"):
        Janus.from_pretrained(tmp_path, device="gpu")


def test_importing_janus_is_light():
    code = "import sys, janus; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_drawing_that_fails_says_why(tiny: Janus):
    def no_memory(*_: object) -> None:
        raise MemoryError

    full = tiny.model.register_forward_pre_hook(no_memory)
    try:
        with pytest.raises(OutOfMemoryError, match="Not enough memory"):
            tiny.draw("a dog")
    finally:
        full.remove()


def test_with_little_memory_the_same_pictures_come_one_after_another(
    tiny: Janus, monkeypatch: pytest.MonkeyPatch
):
    wanted = [picture.ids for picture in tiny.draw("a dog", count=3, seed=5)]
    new_cache = tiny.model.language_model.new_cache

    def small_cache(num_slots: int, length: int):
        if num_slots > 2:
            raise torch.OutOfMemoryError("full")
        return new_cache(num_slots, length)

    monkeypatch.setattr(tiny.model.language_model, "new_cache", small_cache)
    shared = SharedEngine(
        tiny.model, context=tiny.template.context, placeholder_id=tiny.tokenizer.special.image
    )
    monkeypatch.setattr(tiny, "engine", shared)
    *_, last = tiny.draw_stream("a dog", count=3, seed=5)
    assert last.held_back and last.pictures
    assert [picture.ids for picture in last.pictures] == wanted
    *_, last = tiny.draw_stream("a dog", seed=5)
    assert not last.held_back


def test_too_little_memory_is_known_by_all_its_names():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert isinstance(as_janus_error(caught.value), OutOfMemoryError)
    assert isinstance(as_janus_error(torch.OutOfMemoryError("full")), OutOfMemoryError)
    assert as_janus_error(RuntimeError("broken")) is None
