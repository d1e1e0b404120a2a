"""What we save opens in stock transformers, nothing set by hand, and does the same there."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from janus import Janus
from janus.errors import WeightsMissingError
from janus.prompts.chat import Turn
from janus.saving import GENERATION_FILE, read_drawing


@pytest.fixture(scope="module")
def stock(tiny_folder: Path):
    from transformers import JanusForConditionalGeneration, JanusProcessor

    model = JanusForConditionalGeneration.from_pretrained(tiny_folder).eval()
    return model, JanusProcessor.from_pretrained(tiny_folder)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.radial_gradient("L").resize((32, 32)).convert("RGB")


def test_stock_generate_sees_the_same(tiny: Janus, stock, picture: Image.Image):
    model, processor = stock
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}
    ]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=text, images=[picture], return_tensors="pt")
    theirs = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    request = tiny.text_request(picture, "What is it?", max_tokens=12)
    assert inputs["input_ids"][0].tolist() == list(request.prompt.ids)
    *_, ticket = tiny.engine.run(request)
    new_ids = theirs[0, inputs["input_ids"].shape[1] :].tolist()
    eos = tiny.tokenizer.special.eos
    assert [token for token in new_ids if token != eos] == list(ticket.ids)


def test_stock_generate_draws_the_same(tiny: Janus, stock):
    model, processor = stock
    messages = [{"role": "user", "content": [{"type": "text", "text": "two red hearts"}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=text, generation_mode="image", return_tensors="pt")
    theirs = model.generate(**inputs, generation_mode="image", do_sample=False)
    (ours,) = tiny.draw("two red hearts", temperature=0)
    assert theirs[0].tolist() == list(ours.ids)
    pixels = model.decode_image_tokens(theirs)[0]
    painted = torch.tensor(list(ours.image.getdata())).view(32, 32, 3)
    assert ((pixels + 1) * 127.5).clip(0, 255).sub(painted).abs().max() <= 1.01


def test_several_turns_give_stock_the_same_prompt(tiny: Janus, stock):
    _, processor = stock
    turns = [("user", " Hello. "), ("assistant", "Hi."), ("user", "Who are you?")]
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    theirs = processor(text=text, return_tensors="pt")["input_ids"][0].tolist()
    ours = tiny.template.to_answer([Turn(role, text) for role, text in turns])
    assert theirs == list(ours.ids)


def test_reading_back_changes_nothing(tiny: Janus, tiny_folder: Path, picture: Image.Image):
    again = Janus.from_pretrained(tiny_folder, dtype="float32", device="cpu")
    assert again.model.config == tiny.model.config
    for (name, ours), theirs in zip(
        tiny.model.state_dict().items(), again.model.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    assert again.template.style == tiny.template.style
    assert again.guidance == tiny.guidance == 3
    assert again.ask(picture, "What?", max_tokens=8) == tiny.ask(picture, "What?", max_tokens=8)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"guidance_scale": 0.5}', "0.5"),
        ('{"guidance_scale": "strong"}', "strong"),
        ('{"generation_kwargs": {"temperature": 3}}', "temperature is 3"),
        ("[]", "not a JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_generation_defaults_that_cannot_be(tiny_folder: Path, tmp_path: Path, content, named):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / GENERATION_FILE).write_text(content)
    with pytest.raises(WeightsMissingError, match=named) as error:
        Janus.from_pretrained(folder)
    assert GENERATION_FILE in str(error.value) and error.value.hint


def test_a_checkpoint_that_states_nothing_draws_as_janus_does(tiny_folder: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    for content in ('{"guidance_scale": null}', '{"generation_kwargs": []}'):
        (folder / GENERATION_FILE).write_text(content)
        assert read_drawing(folder) == {"guidance": 5, "temperature": 1}
    (folder / GENERATION_FILE).unlink()
    assert read_drawing(folder) == {"guidance": 5, "temperature": 1}


def test_a_checkpoints_own_way_of_drawing(tiny: Janus, tmp_path: Path):
    """It is kept, and drawings have it that ask for nothing else."""
    parts = (tiny.model, tiny.tokenizer, tiny.template.style)
    Janus(*parts, name="calm", guidance=2, temperature=0.4).save_pretrained(tmp_path)
    again = Janus.from_pretrained(tmp_path, dtype="float32", device="cpu")
    own, asked = again.image_request("a dog").params, again.image_request("a dog", temperature=1)
    assert (own.guidance, own.temperature) == (2, 0.4)
    assert (asked.params.guidance, asked.params.temperature) == (2, 1)


def test_the_routers_bias_stays_exact_in_bfloat16(tiny_folder: Path):
    model = Janus.from_pretrained(tiny_folder, dtype="bfloat16", device="cpu").model
    kinds = {name: t.dtype for name, t in model.state_dict().items()}
    biases = [kind for name, kind in kinds.items() if "e_score_correction_bias" in name]
    assert biases == [torch.float32]
    assert kinds["lm_head.weight"] == torch.bfloat16
