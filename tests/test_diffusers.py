"""JanusPipeline draws what Janus draws, and behaves as pipelines of diffusers do."""

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.callbacks import PipelineCallback

from janus import Janus, JanusError
from janus.diffusers import UNDRAWN, JanusPipeline
from janus.engine.engine import Engine
from janus.engine.worker import EngineWorker
from janus.errors import UsageError, WeightsMissingError
from janus.model.quantized import pack_quantized
from tests.small_model import small_janus

NUM_STEPS = 16  # ids of a picture of the tiny model


@pytest.fixture
def pipe(tiny: Janus) -> JanusPipeline:
    pipeline = JanusPipeline(tiny)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def native(janus: Janus, prompt: str, **settings) -> list[bytes]:
    return [picture.image.tobytes() for picture in janus.draw(prompt, **settings)]


def pixels(images) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_it_is_a_pipeline(pipe: JanusPipeline, tiny: Janus):
    assert isinstance(pipe, DiffusionPipeline)
    assert pipe.components == {"janus": tiny}
    assert JanusPipeline(**pipe.components).janus is tiny
    assert JanusPipeline.from_pipe(pipe).janus is tiny
    assert (pipe.device, pipe.dtype) == (tiny.device, tiny.dtype)
    assert repr(pipe) == f"JanusPipeline({tiny!r})"
    pipe.enable_attention_slicing()  # there is nothing to slice, and nothing to say


def test_one_prompt(pipe: JanusPipeline, tiny: Janus):
    images = pipe("a red heart", generator=seeded(7), guidance_scale=2, temperature=0.9).images
    assert pixels(images) == native(tiny, "a red heart", seed=7, guidance=2, temperature=0.9)


def test_several_pictures_of_a_prompt(pipe: JanusPipeline, tiny: Janus):
    images = pipe("a red heart", num_images_per_prompt=3, generator=seeded(7)).images
    assert pixels(images) == native(tiny, "a red heart", count=3, seed=7)


def test_prompts_of_different_lengths_in_the_same_passes(pipe: JanusPipeline, tiny: Janus):
    long = "a dog to the left of a car, " * 6
    alone = native(tiny, "a dog", count=2, seed=7) + native(tiny, long, count=2, seed=9)
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    hook = tiny.model.language_model.register_forward_hook(count)
    try:
        images = pipe(["a dog", long], num_images_per_prompt=2, generator=seeded(7)).images
    finally:
        hook.remove()
    assert pixels(images) == alone
    assert passes <= NUM_STEPS


def test_equal_prompts_give_different_pictures(pipe: JanusPipeline, tiny: Janus):
    images = pipe(["a dog"] * 3, generator=seeded(5)).images
    assert pixels(images) == native(tiny, "a dog", count=3, seed=5)
    assert len(set(pixels(pipe(["a dog"] * 3).images))) == 3


def test_a_generator_for_each_picture(pipe: JanusPipeline, tiny: Janus):
    generators = [seeded(seed) for seed in (3, 1, 4, 1)]
    images = pipe(["a dog", "a cat"], num_images_per_prompt=2, generator=generators).images
    prompts = ["a dog", "a dog", "a cat", "a cat"]
    alone = [native(tiny, p, seed=s)[0] for p, s in zip(prompts, (3, 1, 4, 1), strict=True)]
    assert pixels(images) == alone


def test_more_pictures_than_the_engine_has_rows(pipe: JanusPipeline, tiny: Janus):
    steps: list[int] = []
    ids = pipe(
        ["a dog", "a cat", "a red heart"],
        num_images_per_prompt=7,
        generator=seeded(0),
        output_type="latent",
        callback_on_step_end=lambda _, step, __, given: steps.append(step),
    ).images
    assert steps == list(range(NUM_STEPS))
    assert tuple(ids[20].tolist()) == tiny.draw("a red heart", seed=20)[0].ids


def test_settings_of_janus_are_taken(pipe: JanusPipeline, tiny: Janus):
    images = pipe("a dog", count=2, seed=3, top_k=5, reference=False).images
    assert pixels(images) == native(tiny, "a dog", count=2, seed=3, top_k=5)
    images = pipe("a dog", num_images_per_prompt=2, generator=seeded(3), reference=True).images
    assert pixels(images) == native(tiny, "a dog", count=2, seed=3, reference=True)


def test_output_types(pipe: JanusPipeline, tiny: Janus):
    drawn = tiny.draw("a dog", count=2, seed=3)
    levels = np.stack([np.asarray(picture.image) for picture in drawn])
    made = {
        kind: pipe("a dog", num_images_per_prompt=2, generator=seeded(3), output_type=kind).images
        for kind in ("np", "pt", "latent")
    }
    assert made["np"].shape == (2, 32, 32, 3)
    assert np.array_equal((made["np"] * 255).round(), levels)
    assert torch.equal(made["pt"], torch.from_numpy(made["np"]).permute(0, 3, 1, 2))
    assert made["latent"].tolist() == [list(picture.ids) for picture in drawn]
    (images,) = pipe("a dog", generator=seeded(3), return_dict=False)
    assert pixels(images) == native(tiny, "a dog", seed=3)


def test_the_callback_sees_every_step(pipe: JanusPipeline):
    seen: list[tuple[int, int]] = []
    ids: list[torch.Tensor] = []

    def note(pipeline, step, timestep, given):
        assert pipeline is pipe
        seen.append((step, timestep))
        ids.append(given["latents"])
        return given

    final = pipe(
        "a dog", num_images_per_prompt=2, callback_on_step_end=note, output_type="latent"
    ).images
    assert pipe.num_timesteps == NUM_STEPS
    assert seen == [(i, NUM_STEPS - 1 - i) for i in range(NUM_STEPS)]
    assert torch.equal(ids[-1], final)
    for i, reached in enumerate(ids):
        chosen = reached != UNDRAWN
        assert chosen.sum() >= 2 * (i + 1)
        assert torch.equal(reached[chosen], final[chosen])


def test_callback_objects_name_their_own_inputs(pipe: JanusPipeline):
    class Silent(PipelineCallback):
        calls = 0

        @property
        def tensor_inputs(self):
            return []

        def callback_fn(self, pipeline, step_index, timesteps, callback_kwargs):
            assert callback_kwargs == {}
            self.calls += 1
            return callback_kwargs

    callback = Silent()
    pipe("a dog", callback_on_step_end=callback)
    assert callback.calls == NUM_STEPS


def test_an_interrupted_drawing_shows_how_far_it_came(pipe: JanusPipeline, tiny: Janus):
    steps: list[int] = []

    def stop(pipeline, step, timestep, given):
        steps.append(step)
        pipeline._interrupt = step == 5

    ids = pipe(
        "a dog", generator=seeded(1), callback_on_step_end=stop, output_type="latent"
    ).images[0]
    assert steps == list(range(6))
    num_drawn = int((ids != UNDRAWN).sum())
    assert 6 <= num_drawn < NUM_STEPS
    (whole,) = tiny.draw("a dog", seed=1)
    assert tuple(ids[:num_drawn].tolist()) == whole.ids[:num_drawn]
    (image,) = pipe("a dog", generator=seeded(1), callback_on_step_end=stop).images
    assert image.size == whole.image.size
    assert image.tobytes() != whole.image.tobytes()
    engine = getattr(tiny.engine, "engine", None)
    assert engine is not None and not engine.has_work
    (after,) = pipe("a dog", generator=seeded(1)).images
    assert after.tobytes() == whole.image.tobytes()


def test_a_callback_that_fails_frees_the_engine(pipe: JanusPipeline, tiny: Janus):
    def fail(*_):
        raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError, match="of the caller"):
        pipe(["a dog", "a cat"], callback_on_step_end=fail)
    engine = getattr(tiny.engine, "engine", None)
    assert engine is not None and not engine.has_work


def test_threads_share_a_pipeline(pipe: JanusPipeline, tiny: Janus):
    found: dict[int, list[bytes]] = {}

    def draw(seed: int) -> None:
        found[seed] = pixels(pipe(["a dog", "a cat"], generator=seeded(seed)).images)

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in (1, 11, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, images in found.items():
        assert images == native(tiny, "a dog", seed=seed) + native(tiny, "a cat", seed=seed + 1)
    assert len(found) == 3


def test_a_model_that_is_served_draws_too(tiny: Janus):
    janus = Janus(tiny.model, tiny.tokenizer, tiny.template.style, name="tiny", guidance=3)
    engine = Engine(
        tiny.model, num_slots=4, length=128, placeholder_id=tiny.tokenizer.special.image
    )
    janus.engine = EngineWorker(engine, max_waiting=8)
    pipe = JanusPipeline(janus)
    pipe.set_progress_bar_config(disable=True)
    try:
        images = pipe(["a dog", "a cat", "a car"], generator=seeded(4)).images
        wanted = [native(tiny, p, seed=4 + i) for i, p in enumerate(("a dog", "a cat", "a car"))]
        assert [[image] for image in pixels(images)] == wanted
        with pytest.raises(UsageError, match="room for 12"):
            pipe(["a dog"] * 7)
        assert pixels(pipe("a dog", generator=seeded(4)).images) == wanted[0]
    finally:
        janus.engine.stop()


def test_progress_is_shown_unless_it_is_disabled(tiny: Janus, capfd):
    pipe = JanusPipeline(tiny)
    pipe("a dog")
    assert f"{NUM_STEPS}/{NUM_STEPS}" in capfd.readouterr().err
    pipe.set_progress_bar_config(disable=True)
    pipe("a dog")
    assert capfd.readouterr() == ("", "")


def test_what_is_saved_opens_everywhere(pipe: JanusPipeline, tmp_path: Path):
    """In Janus, in a pipeline, and in stock transformers (as `tests/test_saving.py` goes into)."""
    from transformers import JanusForConditionalGeneration, JanusProcessor

    pipe.save_pretrained(tmp_path)
    ids = pipe("a dog", generator=seeded(7), output_type="latent").images
    janus = Janus.from_pretrained(tmp_path, device="cpu", dtype="float32")
    again = JanusPipeline.from_pretrained(tmp_path, device="cpu", dtype="float32")
    again.set_progress_bar_config(disable=True)
    (picture,) = janus.draw("a dog", seed=7)
    assert [list(picture.ids)] == ids.tolist()
    assert pixels(again("a dog", generator=seeded(7)).images) == [picture.image.tobytes()]
    stock = JanusForConditionalGeneration.from_pretrained(tmp_path)
    assert JanusProcessor.from_pretrained(tmp_path).tokenizer is not None
    assert torch.equal(stock.lm_head.weight, pipe.janus.model.lm_head.weight)  # pyright: ignore


def test_settings_of_loading(tiny_folder: Path, tmp_path: Path):
    halved = JanusPipeline.from_pretrained(tiny_folder, torch_dtype=torch.bfloat16, device="cpu")
    assert (halved.dtype, halved.device.type) == (torch.bfloat16, "cpu")
    placed = JanusPipeline.from_pretrained(tiny_folder, device_map="cpu", quantize="int8")
    assert placed.janus.quantization == "int8"
    with pytest.raises(UsageError, match=r"'variant'.*quantize"):
        JanusPipeline.from_pretrained(tiny_folder, variant="fp16")
    with pytest.raises(UsageError, match="dtype is given twice"):
        JanusPipeline.from_pretrained(tiny_folder, torch_dtype="float32", dtype="float32")
    with pytest.raises(WeightsMissingError):
        JanusPipeline.from_pretrained(tmp_path)


def test_moving_the_pipeline(pipe: JanusPipeline, tiny: Janus):
    before = pixels(pipe("a dog", generator=seeded(7)).images)
    assert pipe.to("cpu").to(torch.float32).to(device="cpu").janus is tiny
    assert pipe.to("cpu", torch.bfloat16) is pipe
    assert (pipe.dtype, tiny.dtype) == (torch.bfloat16, torch.float32)
    assert pipe.components["janus"] is pipe.janus
    kinds = {name: weight.dtype for name, weight in pipe.janus.model.state_dict().items()}
    kept = {name for name, kind in kinds.items() if kind != torch.bfloat16}
    assert kept and all(name.endswith("e_score_correction_bias") for name in kept)
    settings = {"seed": 7, "guidance": tiny.guidance, "temperature": tiny.temperature}
    assert pixels(pipe("a dog", generator=seeded(7)).images) == native(
        pipe.janus, "a dog", **settings
    )
    assert pixels(JanusPipeline(tiny)("a dog", generator=seeded(7)).images) == before


def test_moved_is_as_loaded(tiny_folder: Path):
    """There and back: the same weights as those read in that type, laid out for the same speed."""
    read = Janus.from_pretrained(tiny_folder, device="cpu", dtype="bfloat16")
    moved = Janus.from_pretrained(tiny_folder, device="cpu", dtype="float32").to(dtype="bfloat16")
    assert [type(m) for m in moved.model.modules()] == [type(m) for m in read.model.modules()]
    theirs = read.model.state_dict()
    for name, weight in moved.model.state_dict().items():
        assert torch.equal(weight, theirs[name]), name
    assert moved.draw("a dog", seed=1)[0].ids == read.draw("a dog", seed=1)[0].ids
    back = moved.to(dtype="float32")
    assert back.dtype == torch.float32
    assert torch.equal(back.model.lm_head.weight, theirs["lm_head.weight"].float())  # pyright: ignore
    assert back.guidance == read.guidance == 3


def test_what_a_pipeline_left_behind_is_freed():
    pipe = JanusPipeline(small_janus())
    weight = weakref.ref(pipe.janus.model.generation_embeddings.weight)
    pipe.set_progress_bar_config(disable=True)
    pipe("a dog")
    pipe.to(torch.bfloat16)
    gc.collect()
    assert weight() is None


@pytest.mark.gpu
def test_to_the_gpu_and_back(tiny: Janus):
    pipe = JanusPipeline(tiny)
    (image,) = pipe.to("cuda")("a dog", generator=seeded(7)).images
    assert pipe.device.type == "cuda"
    assert image.size == (32, 32)
    assert pipe.to("cpu").device.type == "cpu"
    assert pixels(pipe("a dog", generator=seeded(7)).images) == native(
        tiny.to("cuda").to("cpu"), "a dog", seed=7
    )


def test_places_it_cannot_go(pipe: JanusPipeline, tiny: Janus):
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            pipe.to("cuda")
    with pytest.raises(UsageError, match="float16"):
        pipe.to("cpu", torch.float16)
    for offload in ("enable_model_cpu_offload", "enable_sequential_cpu_offload"):
        with pytest.raises(UsageError, match="no parts to offload"):
            getattr(pipe, offload)()
    assert pipe.janus is tiny


def test_a_quantized_model_stays_as_it_is():
    janus = small_janus()
    pack_quantized(janus.model, "int8")
    pipe = JanusPipeline(janus)
    assert pipe.to("cpu").janus is janus
    with pytest.raises(UsageError, match="int8"):
        pipe.to(torch.bfloat16)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"height": 512}, "32x512.*32x32"),
        ({"width": 64, "height": 32}, "64x32"),
        ({"height": 0}, "32x0"),
        ({"negative_prompt": "blurry"}, "negative prompt"),
        ({"num_inference_steps": 50}, "one step for each id"),
        ({"image": "photo.png"}, "changes no picture"),
        ({"strength": 0.5}, "'strength'"),
        ({"guidance_scale": 0}, "guidance is 0"),
        ({"num_images_per_prompt": 0}, "count is 0"),
        ({"output_type": "jpeg"}, "'jpeg'.*pil, np, pt, latent"),
        ({"generator": 7}, "torch.Generator"),
        ({"generator": [7]}, "torch.Generator"),
        ({"generator": [seeded(1), seeded(2)]}, "2 generators for 1 pictures"),
        ({"generator": []}, "0 generators for 1 pictures"),
        ({"generator": [seeded(-1)]}, "seed is 18446744073709551615"),
        ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, "'prompt_embeds'.*latents"),
    ],
)
def test_what_janus_cannot_do_is_named(pipe: JanusPipeline, settings: dict, named: str):
    with pytest.raises(UsageError, match=named):
        pipe("a dog", **settings)


@pytest.mark.parametrize("prompt", [None, [], ["a dog", 3], {"a dog"}])
def test_prompts_that_are_none(pipe: JanusPipeline, prompt):
    with pytest.raises(UsageError, match="must be a text or a list of texts"):
        pipe(prompt)


def test_one_bad_prompt_queues_nothing(pipe: JanusPipeline, tiny: Janus):
    for bad in ("  ", "word " * 10_000):
        with pytest.raises(JanusError):
            pipe(["a dog", bad])
        engine = getattr(tiny.engine, "engine", None)
        assert engine is None or not engine.has_work


def test_the_models_own_size_and_nothing_are_accepted(pipe: JanusPipeline):
    nothing = {"negative_prompt": None, "num_inference_steps": None, "image": None}
    (image,) = pipe("a dog", height=32, width=32, **nothing).images
    assert image.size == (32, 32)


def test_ids_that_are_drawn_stay(pipe: JanusPipeline):
    with pytest.raises(UsageError, match="cannot be replaced"):
        pipe("a dog", callback_on_step_end=lambda *_: {"latents": torch.zeros(1, NUM_STEPS)})


def test_saving_has_one_form(pipe: JanusPipeline, tmp_path: Path):
    with pytest.raises(UsageError, match="safetensors"):
        pipe.save_pretrained(tmp_path / "model", safe_serialization=False)
    assert not (tmp_path / "model").exists()
    with pytest.raises(UsageError, match="made of a Janus"):
        JanusPipeline("janus-emoji")  # pyright: ignore


def test_the_bundled_model():
    pipe = JanusPipeline.from_pretrained("janus-emoji", torch_dtype=torch.float32, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    prompts = ["a red heart on a blue background", "dos perros"]
    images = pipe(prompts, num_images_per_prompt=2, generator=seeded(0)).images
    assert pixels(images[:2]) == native(pipe.janus, prompts[0], count=2, seed=0)
    assert pixels(images[2:]) == native(pipe.janus, prompts[1], count=2, seed=2)
    assert "heart" in pipe.janus.caption(images[0])


def test_only_this_module_needs_diffusers():
    code = "import sys, janus.pipeline; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
