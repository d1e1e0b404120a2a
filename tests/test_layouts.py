"""Published checkpoints: whole in the original layout, whole again after transformers' layout."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from janus import Janus
from janus.config import to_transformers
from janus.errors import WeightsMissingError
from janus.model.loading import canonical_name
from janus.prompts.chat import SEEING_SYSTEM_PROMPT, Turn
from janus.prompts.tokenizer import JanusTokenizer
from tests.layouts import (
    MODELS,
    PRO_1B,
    PRO_7B,
    UNUSED,
    Form,
    Published,
    hollow_tensors,
    original_config,
    random_tensors,
    tokenizer_json,
    write_large_bin,
    write_settings,
    write_weights,
)
from weights.files import Checkpoint
from weights.names import canonical_tensors, original_tensors

QUESTION = "What is it?"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A published checkpoint at toy widths, opened by us, saved, and opened by transformers."""

    published: Published
    source: dict[str, Tensor]
    original: Path
    ours: Janus
    saved: Path
    stock: Any
    report: Mapping[str, Any]  # what stock found amiss
    processor: Any


@pytest.fixture(scope="module", params=MODELS)
def opened(
    request: pytest.FixtureRequest,
    vocabulary: JanusTokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Opened:
    from transformers import JanusForConditionalGeneration, JanusProcessor

    published = MODELS[request.param]
    original, saved = (tmp_path_factory.mktemp(name) for name in ("original", "saved"))
    source = random_tensors(published.tiny.shapes())
    write_tiny(original, published, vocabulary)
    write_weights(original, source, published.form)
    ours = Janus.from_pretrained(original, dtype="float32", device="cpu")
    ours.save_pretrained(saved)
    loaded: Any = JanusForConditionalGeneration.from_pretrained(saved, output_loading_info=True)
    return Opened(
        published=published,
        source=source,
        original=original,
        ours=ours,
        saved=saved,
        stock=loaded[0].eval(),
        report=loaded[1],
        processor=JanusProcessor.from_pretrained(saved),
    )


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.radial_gradient("L").resize((64, 64)).convert("RGB")


def write_tiny(folder: Path, published: Published, vocabulary: JanusTokenizer) -> None:
    config = original_config(published.tiny, published.tiny.language())
    tokenizer = tokenizer_json(vocabulary, published.added_tokens)
    write_settings(folder, config, tokenizer, published.sft_format)


def state(janus: Janus) -> dict[str, Tensor]:
    return {canonical_name(name): tensor for name, tensor in janus.model.state_dict().items()}


def assert_whole(canonical: dict[str, Tensor], source: dict[str, Tensor]) -> None:
    """Bit by bit what was published, but for the two things that are never used."""
    back = dict(original_tensors(canonical.items()))
    for name, tensor in back.items():
        assert torch.equal(tensor, source[name].to(tensor.dtype)), name
    assert all(any(part in name for part in UNUSED) for name in source.keys() - back.keys())


# There and back


def test_every_published_tensor_arrives(opened: Opened) -> None:
    assert (len(opened.source), len(state(opened.ours))) == opened.published.num_keys
    assert_whole(state(opened.ours), opened.source)


def test_transformers_gets_every_tensor(opened: Opened) -> None:
    assert_whole(opened.stock.state_dict(), opened.source)


def test_transformers_misses_nothing_and_wonders_at_nothing(opened: Opened) -> None:
    assert not any(opened.report.values()), opened.report


def test_saved_and_opened_again(opened: Opened, picture: Image.Image) -> None:
    assert_same(Janus.from_pretrained(opened.saved, dtype="float32", device="cpu"), opened, picture)


def test_saved_by_transformers_and_opened_again(
    opened: Opened, picture: Image.Image, tmp_path: Path
) -> None:
    opened.stock.save_pretrained(tmp_path)
    opened.processor.save_pretrained(tmp_path)
    assert_same(Janus.from_pretrained(tmp_path, dtype="float32", device="cpu"), opened, picture)


def assert_same(again: Janus, opened: Opened, picture: Image.Image) -> None:
    assert_whole(state(again), opened.source)
    assert again.template.style == opened.ours.template.style
    prompts = [model.text_request(picture, QUESTION).prompt for model in (again, opened.ours)]
    assert prompts[0].ids == prompts[1].ids


# Stock transformers, with nothing set by hand


def stock_inputs(opened: Opened, turns: list[tuple[str, str]], **options: Any) -> Any:
    """What stock's processor makes of a conversation that begins with the given pictures."""
    pictures = [{"type": "image"} for _ in options.get("images", [])]
    contents = [[{"type": "text", "text": text}] for _, text in turns]
    contents[0] = pictures + contents[0]
    messages = [
        {"role": role, "content": content}
        for (role, _), content in zip(turns, contents, strict=True)
    ]
    text = opened.processor.apply_chat_template(messages, add_generation_prompt=True)
    return opened.processor(text=text, return_tensors="pt", **options)


def test_stock_sees_the_same(opened: Opened, picture: Image.Image) -> None:
    inputs = stock_inputs(opened, [("user", QUESTION)], images=[picture])
    request = opened.ours.text_request(picture, QUESTION, max_tokens=12, temperature=0)
    assert inputs["input_ids"][0].tolist() == list(request.prompt.ids)
    theirs = opened.stock.generate(**inputs, max_new_tokens=12, do_sample=False)
    *_, ticket = opened.ours.engine.run(request)
    new_ids = theirs[0, inputs["input_ids"].shape[1] :].tolist()
    eos = opened.ours.tokenizer.special.eos
    assert [token for token in new_ids if token != eos] == list(ticket.ids)


def test_stock_draws_the_same(opened: Opened) -> None:
    inputs = stock_inputs(opened, [("user", "two red hearts")], generation_mode="image")
    theirs = opened.stock.generate(**inputs, generation_mode="image", do_sample=False)
    (ours,) = opened.ours.draw("two red hearts", temperature=0)
    assert theirs[0].tolist() == list(ours.ids)
    pixels = opened.stock.decode_image_tokens(theirs)[0]
    painted = torch.from_numpy(np.array(ours.image))
    assert ((pixels + 1) * 127.5).clip(0, 255).sub(painted).abs().max() <= 1.01


def test_stock_gets_the_same_conversation(opened: Opened, picture: Image.Image) -> None:
    turns = [("user", " Which is larger? "), ("assistant", "The first."), ("user", "Why?")]
    theirs = stock_inputs(opened, turns, images=[picture, picture])["input_ids"][0].tolist()
    shown = torch.zeros(3, 64, 64)
    first, *others = (Turn(role, text) for role, text in turns)
    ours = opened.ours.template.to_answer([Turn(first.role, first.text, (shown, shown)), *others])
    assert theirs == list(ours.ids)


def test_each_model_is_spoken_to_in_its_own_words(opened: Opened, picture: Image.Image) -> None:
    request = opened.ours.text_request(picture, QUESTION)
    words = opened.ours.tokenizer._tokenizer.decode(
        list(request.prompt.ids), skip_special_tokens=False
    )
    old = opened.published.sft_format == "deepseek_old"
    user, assistant = ("User", "Assistant") if old else ("<|User|>", "<|Assistant|>")
    assert f"{SEEING_SYSTEM_PROMPT}\n\n{user}: <begin_of_image>" in words
    assert words.endswith(f"<end_of_image>\n{QUESTION}\n\n{assistant}:")


def test_ids_are_those_of_the_tokenizer(opened: Opened) -> None:
    special = opened.ours.tokenizer.special
    config = json.loads((opened.saved / "config.json").read_text())
    generation = json.loads((opened.saved / "generation_config.json").read_text())
    assert config["image_token_id"] == opened.processor.tokenizer.image_token_id == special.image
    assert config["text_config"]["pad_token_id"] == generation["pad_token_id"] == special.pad
    assert generation["generation_kwargs"] == {"boi_token_id": special.image_start}


def test_ids_differ_from_model_to_model(vocabulary: JanusTokenizer, tmp_path: Path) -> None:
    ids = set()
    for name, published in MODELS.items():
        write_tiny(tmp_path / name, published, vocabulary)
        special = JanusTokenizer.open(tmp_path / name).special
        ids.add((special.pad, special.image_start, special.image))
    assert len(ids) == len(MODELS)


# Every form, and what is wrong with a file


@pytest.mark.parametrize("form", ["safetensors", "safetensors shards", "bin shards"])
def test_every_form_goes_round_in_bfloat16(
    form: Form, vocabulary: JanusTokenizer, tmp_path: Path
) -> None:
    published = MODELS["Janus-Pro-1B"]
    source = random_tensors(published.tiny.shapes())
    write_tiny(tmp_path, published, vocabulary)
    write_weights(tmp_path, source, form)
    model = Janus.from_pretrained(tmp_path, dtype="bfloat16", device="cpu")
    model.save_pretrained(tmp_path / "saved")
    stored = dict(Checkpoint.open(tmp_path / "saved").tensors())
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert_whole(stored, source)


def test_all_that_does_not_fit_is_listed(vocabulary: JanusTokenizer, tmp_path: Path) -> None:
    published = MODELS["Janus-Pro-1B"]
    tensors = random_tensors(published.tiny.shapes())
    del tensors["gen_embed.weight"]
    tensors["vision_model.vision_tower.blocks.23.attn.qkv.bias"] = torch.zeros(90)
    layer = "language_model.model.layers.24.input_layernorm.weight"
    tensors[layer] = torch.zeros(32)
    write_tiny(tmp_path, published, vocabulary)
    write_weights(tmp_path, tensors, "bin")
    with pytest.raises(WeightsMissingError) as caught:
        Janus.from_pretrained(tmp_path)
    message = caught.value.message
    assert "1 missing, 1 unexpected, 3 of another shape" in message
    assert "generation_embeddings.weight" in message
    assert "layers.24.input_layernorm.weight" in message
    assert "layers.23.self_attn.q_proj.bias is (30,), should be (32,)" in message


# The published sizes


FULL = {
    "Janus-Pro-1B": (PRO_1B, PRO_1B.language()),
    "Janus-Pro-7B": (PRO_7B, {}),  # the published file does not say more
}


@pytest.mark.parametrize("name", FULL)
def test_full_size_checkpoints_fit(name: str, vocabulary: JanusTokenizer, tmp_path: Path) -> None:
    """Opened with every tensor of the published shape, but none with content."""
    sizes, language = FULL[name]
    published = MODELS[name]
    tokenizer = tokenizer_json(vocabulary, published.added_tokens)
    write_settings(tmp_path, original_config(sizes, language), tokenizer)
    source = hollow_tensors(sizes.shapes())
    write_weights(tmp_path, source, published.form)
    model = Janus.from_pretrained(tmp_path, device="meta")
    assert (len(source), len(state(model))) == published.num_keys
    expected = {n: t.shape for n, t in canonical_tensors(source.items())}
    assert {n: t.shape for n, t in state(model).items()} == expected
    assert stock_shapes(model) == expected


def stock_shapes(model: Janus) -> dict[str, torch.Size]:
    """What transformers builds from the configuration that we write."""
    from transformers import JanusConfig, JanusForConditionalGeneration

    config = JanusConfig.from_dict(to_transformers(model.model.config))
    with torch.device("meta"):
        return {n: t.shape for n, t in JanusForConditionalGeneration(config).state_dict().items()}


LOAD = """
import sys
from pathlib import Path

import torch


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


before = peak()

from PIL import Image

from janus import Janus

model = Janus.from_pretrained(sys.argv[1], dtype="bfloat16", device="cpu")
print(peak() - before, model.num_parameters)
if len(sys.argv) > 2:
    model.save_pretrained(sys.argv[2])
model.ask(Image.new("RGB", (400, 300)), "What?", max_tokens=2, temperature=0)
drawing = model.draw_stream("a cat", guidance=1)
print([next(drawing).index for _ in range(4)])
"""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not kept for three runs, as pytest's others are."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_real_one_takes_little_more_than_its_weights(
    vocabulary: JanusTokenizer, large: Path
) -> None:
    """Opens, runs and is converted at full size; then so is what was written."""
    original, converted = large / "original", large / "converted"
    tokenizer = tokenizer_json(vocabulary, MODELS["Janus-Pro-1B"].added_tokens)
    write_settings(original, original_config(PRO_1B, PRO_1B.language()), tokenizer)
    write_large_bin(original / "pytorch_model.bin", PRO_1B.shapes())
    for arguments in ([original, converted], [converted]):
        command = [sys.executable, "-c", LOAD, *map(str, arguments)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        memory, steps = result.stdout.splitlines()
        taken, parameters = map(int, memory.split())
        assert parameters == 2_076_636_811
        assert taken < 1.2 * 2 * parameters
        assert steps == "[1, 2, 3, 4]"
