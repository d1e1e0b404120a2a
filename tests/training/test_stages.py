"""Training runs for real, at a tiny size: losses fall, runs resume, experts stay balanced."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from janus.config import JanusConfig
from janus.model.model import JanusModel
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.balance import ExpertBalance
from janus.training.codebook import MovingCodebook
from janus.training.emoji.batches import Dialogues, LabelledPictures, Pictures, SceneBatches
from janus.training.emoji.sprites import Sprites
from janus.training.encoder import EncoderTraining, train_encoder
from janus.training.image_tokenizer import (
    CodesTraining,
    DecoderTraining,
    train_codes,
    train_decoder,
)
from janus.training.initial import initialise_convolutions, initialise_linears
from janus.training.joint import JointTraining, dialogue_loss, drawing_loss, train_joint
from janus.training.losses import NO_TARGET
from janus.training.optimizer import MasterAdamW, warmup_cosine
from janus.training.run import Run, read_log
from tests.conftest import tiny_config

SIZE = 32


@pytest.fixture
def model(vocabulary: JanusTokenizer) -> JanusModel:
    torch.manual_seed(0)
    model = JanusModel(tiny_config(vocabulary.special.image))
    initialise_linears(model)
    initialise_convolutions(model.vqmodel)
    return model


@pytest.fixture(scope="module")
def template(vocabulary: JanusTokenizer) -> ChatTemplate:
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    return ChatTemplate(vocabulary, style, num_image_tokens=16, context=512)


@pytest.fixture(scope="module")
def dialogues(sprites: Sprites, template: ChatTemplate) -> SceneBatches:
    return SceneBatches(Dialogues(SIZE, template, num_seen=3), sprites, 7, seed=1, steps=50)


def codes_stage(steps: int) -> CodesTraining:
    return CodesTraining(
        steps=steps,
        peak_lr=5e-3,
        warmup=2,
        steps_without_codebook=4,
        log_every=2,
        save_every=6,
        painter_width=32,
    )


def joint_stage(steps: int) -> JointTraining:
    return JointTraining(steps=steps, warmup=2, log_every=1, save_every=3)


def test_the_codes_learn_and_resume(model: JanusModel, sprites: Sprites, tmp_path: Path):
    batches = SceneBatches(Pictures(SIZE), sprites, 4, seed=0, steps=24)
    run = Run(tmp_path, "codes")
    train_codes(model.vqmodel, [batches[0]] * 12, codes_stage(24), run)
    assert run.next_step == 12
    train_codes(model.vqmodel, [batches[0]] * 12, codes_stage(24), run)
    records = read_log(tmp_path, "codes")
    assert [record["step"] for record in records] == list(range(2, 25, 2))
    assert records[-1]["pixels"] < 0.95 * records[0]["pixels"]
    assert records[-1]["codebook_use"] > 0.3
    assert model.vqmodel.encode(batches[0]).unique().numel() > 4


def test_codes_spread_over_what_differs(model: JanusModel):
    """Nine in ten latents are the same: they get few codes, the others get one each."""
    codebook = MovingCodebook(model.vqmodel.quantize, decay=0.9)
    num_codes, width = codebook.sums_Kc.shape
    latents_Mc = F.normalize(torch.randn(200, width, generator=torch.manual_seed(0)), dim=-1)
    latents_Mc[20:] = latents_Mc[0]
    latents_Bchw = latents_Mc.view(2, 10, 10, width).permute(0, 3, 1, 2)
    for _ in range(40):
        nearest_Bchw = codebook.follow(latents_Bchw, revive=True)
    assert torch.allclose(nearest_Bchw, latents_Bchw, atol=0.05)
    same_K = model.vqmodel.quantize.unit_codes() @ latents_Mc[0] > 0.99
    assert same_K.sum() < num_codes / 4


def test_the_encoder_learns_what_patches_show(model: JanusModel, sprites: Sprites, tmp_path: Path):
    batches = SceneBatches(LabelledPictures(SIZE, 8), sprites, 4, seed=0, steps=30)
    pixels_B3SS, labels_BN = batches[0]
    assert labels_BN.shape == (4, 16)
    assert (labels_BN == len(sprites)).any(dim=1).all()  # background
    assert (labels_BN < len(sprites)).any(dim=1).all()
    settings = EncoderTraining(steps=30, warmup=2, log_every=1)
    run = Run(tmp_path, "encoder")
    train_encoder(
        model.vision_model, len(sprites) + 1, [(pixels_B3SS, labels_BN)] * 30, settings, run
    )
    records = read_log(tmp_path, "encoder")
    assert records[-1]["patches"] < 0.5 * records[0]["patches"]


def test_the_decoder_learns_and_no_id_changes(model: JanusModel, sprites: Sprites, tmp_path: Path):
    pixels_B3SS = SceneBatches(Pictures(SIZE), sprites, 4, seed=0, steps=1)[0]
    before = model.vqmodel.encode(pixels_B3SS)
    settings = DecoderTraining(steps=16, warmup=2, log_every=1)
    train_decoder(model.vqmodel, [pixels_B3SS] * 16, settings, Run(tmp_path, "decoder"))
    assert torch.equal(model.vqmodel.encode(pixels_B3SS), before)
    records = read_log(tmp_path, "decoder")
    assert records[-1]["pixels"] < 0.8 * records[0]["pixels"]


def test_both_directions_learn(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer, tmp_path: Path
):
    batches = [dialogues[0]] * 15
    run = Run(tmp_path, "joint")
    train_joint(model, batches, joint_stage(15), run, image_token_id=vocabulary.special.image)
    records = read_log(tmp_path, "joint")
    assert records[-1]["text"] < 0.8 * records[0]["text"]
    assert records[-1]["image"] < records[0]["image"]


def test_an_interrupted_run_ends_as_the_whole_one(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer, tmp_path: Path
):
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    image = vocabulary.special.image

    def train(parts: list[range], folder: str) -> dict[str, torch.Tensor]:
        for part in parts:
            model.load_state_dict(start)
            batches = (dialogues[i] for i in part)
            train_joint(
                model,
                batches,
                joint_stage(6),
                Run(tmp_path / folder, "joint"),
                image_token_id=image,
            )
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}

    whole = train([range(6)], "whole")
    parts = train([range(3), range(3, 6)], "parts")
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


def test_a_dialogues_targets_are_its_answers(dialogues: SceneBatches, vocabulary: JanusTokenizer):
    batch = dialogues[3]
    for ids, targets in zip(batch.dialogue_ids_BT, batch.dialogue_targets_BT, strict=True):
        places = (targets != NO_TARGET).nonzero()[:, 0]
        assert torch.equal(ids[places + 1], targets[places])
        assert (targets == vocabulary.special.eos).sum() == 3  # turns


def test_what_follows_a_row_changes_nothing(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer
):
    """Losses with padding equal the mean of the losses of each row alone."""
    batch, balance = dialogues[4], ExpertBalance(model, 0.0)
    losses = []
    for i in range(len(batch.prompt_ids_CP)):
        length = int(batch.prompt_lengths_C[i])
        alone = type(batch)(
            seen_B3SS=batch.seen_B3SS,
            dialogue_ids_BT=batch.dialogue_ids_BT,
            dialogue_targets_BT=batch.dialogue_targets_BT,
            drawn_C3SS=batch.drawn_C3SS[i : i + 1],
            prompt_ids_CP=batch.prompt_ids_CP[i : i + 1, :length],
            prompt_lengths_C=batch.prompt_lengths_C[i : i + 1],
        )
        losses.append(drawing_loss(model, alone, balance).item())
    together = drawing_loss(model, batch, balance).item()
    assert together == pytest.approx(np.mean(losses), rel=1e-5)


def test_drawing_loss_is_the_models_own_likelihood(model: JanusModel, dialogues: SceneBatches):
    """The teacher-forced loss equals the log-probability that decoding gives the same ids."""
    from janus.model.cache import Rows

    batch = dialogues[5]
    length = int(batch.prompt_lengths_C[0])
    prompt = batch.prompt_ids_CP[0, :length]
    with torch.no_grad():
        ids = model.vqmodel.encode(batch.drawn_C3SS[:1])[0]
        cache = model.language_model.new_cache(1, 128)
        hidden = model(model.embed_text(prompt), Rows((length,), (0,), (0,)), cache)[-1]
        total = 0.0
        for i, token in enumerate(ids):
            total -= model.image_logits(hidden).log_softmax(-1)[token].item()
            hidden = model(model.embed_image(token[None]), Rows((1,), (length + i,), (0,)), cache)[
                -1
            ]
        one = type(batch)(
            seen_B3SS=batch.seen_B3SS,
            dialogue_ids_BT=batch.dialogue_ids_BT,
            dialogue_targets_BT=batch.dialogue_targets_BT,
            drawn_C3SS=batch.drawn_C3SS[:1],
            prompt_ids_CP=prompt[None],
            prompt_lengths_C=batch.prompt_lengths_C[:1],
        )
        loss = drawing_loss(model, one, ExpertBalance(model, 0.0)).item()
    assert loss == pytest.approx(total / len(ids), rel=1e-4)


def test_busy_experts_are_chosen_less(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer
):
    """With weights held still, the biases alone take back an unfair start."""
    balance = ExpertBalance(model, rate=0.01)
    for router in balance.routers.values():
        router.e_score_correction_bias[0] = 0.2
    peaks = []
    with torch.no_grad():
        for _ in range(40):
            dialogue_loss(model, dialogues[6], balance, vocabulary.special.image)
            peaks.append(balance.update()["seen"])
    assert peaks[0] == 2.0  # every token has the favoured expert among its two of four
    assert np.mean(peaks[-5:]) < 1.6
    assert all(r.e_score_correction_bias[0] < 0.1 for r in balance.routers.values())


def test_small_steps_are_not_lost_in_bfloat16():
    parameter = torch.nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = MasterAdamW([parameter], weight_decay=0.0)
    for _ in range(20):  # each step is an eighth of what bfloat16 can tell from one
        parameter.grad = torch.ones_like(parameter)
        optimizer.step(lr=5e-4)
    assert torch.allclose(parameter.float(), torch.full((4, 4), 0.99), atol=4e-3)


def test_the_learning_rate_rises_then_falls():
    rates = [warmup_cosine(s, peak=1.0, warmup=10, total=100) for s in range(101)]
    assert rates[9] == 1.0
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.02)


def test_the_recipe_is_a_valid_model(vocabulary: JanusTokenizer):
    from janus.training.emoji.recipe import emoji_config

    config = emoji_config(vocabulary.special.image)
    assert isinstance(config, JanusConfig)
    with torch.device("meta"):
        model = JanusModel(config)
    num_bytes = 2 * sum(parameter.numel() for parameter in model.parameters())
    assert num_bytes < 64e6  # in bfloat16, as it is shipped
