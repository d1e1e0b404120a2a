"""Training runs for real, at a tiny size: losses fall, runs resume, experts stay balanced."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from janus.config import JanusConfig
from janus.model.model import JanusModel
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.balance import ExpertBalance
from janus.training.codebook import PatchSpace, find_codes, nearest_code
from janus.training.emoji.batches import (
    Dialogues,
    JointBatch,
    LabelledPictures,
    Pictures,
    SceneBatches,
)
from janus.training.emoji.sprites import Sprites
from janus.training.image_tokenizer import (
    CodebookTraining,
    TokenizerTraining,
    encode,
    train_codebook,
    train_decoder,
    train_encoder,
)
from janus.training.initial import initialise_convolutions, initialise_linears
from janus.training.joint import JointTraining, dialogue_loss, drawing_losses, train_joint
from janus.training.looking import LookingTraining, train_looking
from janus.training.losses import NO_TARGET, guided_loss, text_loss
from janus.training.optimizer import MasterOptimizer, warmup_cosine, warmup_stable_decay
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
    return SceneBatches(
        Dialogues(SIZE, template, num_seen=3), sprites, 1, 50, num_free=3, num_on_grid=4
    )


@pytest.fixture
def pictures(sprites: Sprites) -> torch.Tensor:
    return SceneBatches(Pictures(SIZE), sprites, 0, 1, num_free=6)[0]


@pytest.fixture
def space(model: JanusModel, pictures: torch.Tensor, tmp_path: Path) -> PatchSpace:
    settings = CodebookTraining(num_batches=1, rounds=5)
    return train_codebook(model.vqmodel, [pictures], settings, Run(tmp_path, "codebook"))


def tokenizer_stage(steps: int) -> TokenizerTraining:
    return TokenizerTraining(
        steps=steps, batch_size=6, peak_lr=5e-3, warmup=2, log_every=2, save_every=6
    )


def joint_stage(steps: int) -> JointTraining:
    return JointTraining(steps=steps, peak_lr=3e-3, warmup=2, log_every=1, save_every=3)


def test_codes_spread_over_what_differs():
    """Nine in ten directions are the same: they get few codes, the others get one each."""
    directions_Mc = F.normalize(torch.randn(200, 8, generator=torch.manual_seed(0)), dim=-1)
    directions_Mc[20:] = directions_Mc[0]
    codes_Kc = find_codes(directions_Mc, 32, rounds=40, seed=0)
    nearness_M, _ = nearest_code(directions_Mc, codes_Kc)
    assert torch.allclose(nearness_M, torch.ones(200), atol=1e-5)


def test_a_code_depends_on_its_patch_alone(
    model: JanusModel, pictures: torch.Tensor, space: PatchSpace
):
    ids_BN = encode(model.vqmodel, space, pictures)
    changed = pictures.clone()
    changed[..., 8:] = -0.3  # all but the first column of patches
    ids_Bhw = ids_BN.unflatten(1, (SIZE // 8, -1))
    changed_Bhw = encode(model.vqmodel, space, changed).unflatten(1, (SIZE // 8, -1))
    assert torch.equal(changed_Bhw[..., 0], ids_Bhw[..., 0])
    assert not torch.equal(changed_Bhw, ids_Bhw)


def test_codes_are_found_alike_in_bfloat16(
    model: JanusModel, pictures: torch.Tensor, space: PatchSpace
):
    weight = model.vqmodel.quantize.embedding.weight
    weight.data = weight.data.bfloat16().float()  # what both can hold
    ids_BN = encode(model.vqmodel, space, pictures)
    assert torch.equal(encode(model.vqmodel.bfloat16(), space, pictures), ids_BN)


def test_a_codebook_is_kept(model: JanusModel, space: PatchSpace, tmp_path: Path):
    codes_Kc = model.vqmodel.quantize.unit_codes().clone()
    model.vqmodel.quantize.embedding.weight.data.zero_()
    again = train_codebook(model.vqmodel, [], CodebookTraining(), Run(tmp_path, "codebook"))
    assert torch.equal(model.vqmodel.quantize.unit_codes(), codes_Kc)
    assert torch.equal(again.basis_Pd, space.basis_Pd)


def test_the_vq_encoder_learns_and_resumes(
    model: JanusModel, pictures: torch.Tensor, space: PatchSpace, tmp_path: Path
):
    run = Run(tmp_path, "encoder")
    train_encoder(model.vqmodel, [pictures] * 12, space, tokenizer_stage(24), run)
    assert run.next_step == 12
    train_encoder(model.vqmodel, [pictures] * 12, space, tokenizer_stage(24), run)
    records = read_log(tmp_path, "encoder")
    assert [record["step"] for record in records] == list(range(2, 25, 2))
    assert records[-1]["total"] < 0.7 * records[0]["total"]


def test_looking_learns_what_patches_show(model: JanusModel, sprites: Sprites, tmp_path: Path):
    batches = SceneBatches(LabelledPictures(SIZE, 8), sprites, 0, 30, num_free=4)
    pixels_B3SS, labels_3BN = batches[0]
    assert labels_3BN.shape == (3, 4, 16)
    assert (labels_3BN[0] == len(sprites)).any(dim=1).all()  # background
    assert (labels_3BN[0] < len(sprites)).any(dim=1).all()
    assert (labels_3BN[1:] < 4).all()
    settings = LookingTraining(steps=30, warmup=2, log_every=1)
    run = Run(tmp_path, "looking")
    train_looking(
        model.vision_model, len(sprites) + 1, [(pixels_B3SS, labels_3BN)] * 30, settings, run
    )
    records = read_log(tmp_path, "looking")
    assert records[-1]["patches"] < 0.5 * records[0]["patches"]
    assert records[-1]["places"] < 0.5 * records[0]["places"]


def test_the_decoder_learns_and_no_id_changes(
    model: JanusModel, pictures: torch.Tensor, space: PatchSpace, tmp_path: Path
):
    before = model.vqmodel.encode(pictures)
    run = Run(tmp_path, "decoder")
    train_decoder(model.vqmodel, [pictures] * 16, space, tokenizer_stage(16), run)
    assert torch.equal(model.vqmodel.encode(pictures), before)
    records = read_log(tmp_path, "decoder")
    assert records[-1]["pixels"] < 0.8 * records[0]["pixels"]


def test_both_directions_learn(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer, tmp_path: Path
):
    batches = [dialogues[0]] * 15
    run = Run(tmp_path, "joint")
    train_joint(
        model,
        batches,
        joint_stage(15),
        run,
        image_token_id=vocabulary.special.image,
        encode=model.vqmodel.encode,
    )
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
                encode=model.vqmodel.encode,
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
        assert (ids[places + 1] == vocabulary.special.eos).sum() >= 5  # one for each turn


def test_a_short_answer_counts_as_much_as_a_long_one(model: JanusModel):
    hidden_ND = torch.randn(9, model.config.transformer.hidden_size)
    targets_N = torch.tensor([3, NO_TARGET, 4, 5, 6, NO_TARGET, NO_TARGET, 7, 8])
    losses_N = F.cross_entropy(model.text_logits(hidden_ND), targets_N, reduction="none")
    answers = [losses_N[:1], losses_N[2:5], losses_N[7:]]
    wanted = torch.stack([answer.mean() for answer in answers]).mean()
    torch.testing.assert_close(text_loss(model, hidden_ND, targets_N), wanted)


def without_guidance(batch: JointBatch) -> JointBatch:
    """Without the unconditional copies of its prompts."""
    num_drawn = len(batch.drawn_C3SS)
    return replace(
        batch,
        prompt_ids_RP=batch.prompt_ids_RP[:num_drawn],
        prompt_lengths_R=batch.prompt_lengths_R[:num_drawn],
    )


def test_guided_logits_learn_on_the_conditional_side(model: JanusModel):
    shape = (2, 16, model.config.transformer.hidden_size)
    cond, uncond = torch.randn(shape, requires_grad=True), torch.randn(shape, requires_grad=True)
    ids = torch.randint(16, (2, 16))
    loss = guided_loss(model, cond, uncond, ids)
    wanted = []
    for i, strength in enumerate((2.0, 8.0)):
        c, u = model.image_logits(cond[i]).double(), model.image_logits(uncond[i]).double()
        wanted.append(F.cross_entropy(strength * c - (strength - 1) * u, ids[i]).item())
    assert loss.item() == pytest.approx(np.mean(wanted), rel=1e-4)
    loss.backward()
    assert cond.grad is not None and cond.grad.any()
    assert uncond.grad is None


def test_a_mistake_is_looked_back_at_and_the_right_picture_learned(
    model: JanusModel, dialogues: SceneBatches
):
    """Swapped ids change what is predicted after them, and not what is to be predicted."""
    batch, balance = without_guidance(dialogues[8]), ExpertBalance(model, 0.0)
    ids_CI = model.vqmodel.encode(batch.drawn_C3SS)
    batch.swapped_CI[:] = False
    with torch.no_grad():
        clean, _ = drawing_losses(model, batch, balance, ids_CI)
        batch.swapped_CI[:, -1] = True
        assert drawing_losses(model, batch, balance, ids_CI)[0] == clean  # nothing comes after it
        batch.swapped_CI[:, :8] = True
        assert drawing_losses(model, batch, balance, ids_CI)[0] != clean


def test_half_of_the_pictures_are_clean(template: ChatTemplate):
    swapped_CI = Dialogues(SIZE, template, num_seen=1)._swapped(400, np.random.default_rng(0))
    shares_C = swapped_CI.float().mean(dim=1)
    assert 0.4 < (shares_C == 0).float().mean() < 0.6
    assert shares_C.max() < 0.9 and shares_C[shares_C > 0].mean() > 0.15


def test_the_unconditional_rows_draw_the_same_pictures(dialogues: SceneBatches):
    batch = dialogues[7]
    num_drawn = len(batch.drawn_C3SS)
    for i in range(len(batch.prompt_ids_RP) - num_drawn):
        length = int(batch.prompt_lengths_R[i])
        assert length == batch.prompt_lengths_R[num_drawn + i]
        ids, unconditional = batch.prompt_ids_RP[[i, num_drawn + i], :length]
        assert ids[0] == unconditional[0] and ids[-1] == unconditional[-1]
        assert (unconditional[1:-1] == unconditional[1]).all()


def test_what_follows_a_row_changes_nothing(
    model: JanusModel, dialogues: SceneBatches, vocabulary: JanusTokenizer
):
    """Losses with padding equal the mean of the losses of each row alone."""
    batch, balance = dialogues[4], ExpertBalance(model, 0.0)
    batch.swapped_CI[:] = False
    ids_CI = model.vqmodel.encode(batch.drawn_C3SS)
    losses = []
    for i in range(len(ids_CI)):
        length = int(batch.prompt_lengths_R[i])
        alone = type(batch)(
            seen_B3SS=batch.seen_B3SS,
            dialogue_ids_BT=batch.dialogue_ids_BT,
            dialogue_targets_BT=batch.dialogue_targets_BT,
            dialogue_branches_BT=batch.dialogue_branches_BT,
            drawn_C3SS=batch.drawn_C3SS[i : i + 1],
            swapped_CI=batch.swapped_CI[i : i + 1],
            prompt_ids_RP=batch.prompt_ids_RP[i : i + 1, :length],
            prompt_lengths_R=batch.prompt_lengths_R[i : i + 1],
        )
        loss, guided = drawing_losses(model, alone, balance, ids_CI[i : i + 1])
        assert guided == 0  # nothing is drawn without its prompt
        losses.append(loss.item())
    together, _ = drawing_losses(model, without_guidance(batch), balance, ids_CI)
    together = together.item()
    assert together == pytest.approx(np.mean(losses), rel=1e-5)


def test_drawing_loss_is_the_models_own_likelihood(model: JanusModel, dialogues: SceneBatches):
    """The teacher-forced loss equals the log-probability that decoding gives the same ids."""
    from janus.model.cache import Rows

    batch = dialogues[5]
    length = int(batch.prompt_lengths_R[0])
    prompt = batch.prompt_ids_RP[0, :length]
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
            dialogue_branches_BT=batch.dialogue_branches_BT,
            drawn_C3SS=batch.drawn_C3SS[:1],
            swapped_CI=batch.swapped_CI[:1] & False,
            prompt_ids_RP=prompt[None],
            prompt_lengths_R=batch.prompt_lengths_R[:1],
        )
        loss, _ = drawing_losses(model, one, ExpertBalance(model, 0.0), ids[None])
    assert loss.item() == pytest.approx(total / len(ids), rel=1e-4)


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
    assert np.mean(peaks[-5:]) < 1.75
    assert all(r.e_score_correction_bias[0] < 0.1 for r in balance.routers.values())


def test_small_steps_are_not_lost_in_bfloat16():
    parameter = torch.nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = MasterOptimizer([parameter], weight_decay=0.0)
    for _ in range(20):  # each step is an eighth of what bfloat16 can tell from one
        parameter.grad = torch.ones_like(parameter)
        optimizer.step(lr=5e-4)
    assert torch.allclose(parameter.float(), torch.full((4, 4), 0.99), atol=4e-3)


def test_hidden_matrices_move_equally_far_in_every_direction():
    """One step of Muon is about orthogonal, of AdamW's size, and each matrix's own in a stack."""
    random_3XY = torch.randn(3, 16, 8, generator=torch.manual_seed(0))
    gradients_3XY = torch.linalg.qr(random_3XY).Q * torch.linspace(1, 10, 8)
    stack, alone, other = (
        nn.Parameter(torch.zeros(shape)) for shape in ((3, 16, 8), *[(16, 8)] * 2)
    )
    optimizer = MasterOptimizer([stack, alone, other], hidden=[stack, alone], weight_decay=0.0)
    stack.grad, alone.grad, other.grad = (g.clone() for g in (gradients_3XY, *gradients_3XY[:2]))
    optimizer.step(lr=1e-3)
    lengths = torch.linalg.svdvals(stack.detach())
    assert lengths.max() < 2 * lengths.min()  # of the gradients: ten times
    assert torch.allclose(stack[0], alone, rtol=1e-2)
    assert stack.square().mean().sqrt().item() == pytest.approx(0.2e-3, rel=0.3)
    assert torch.allclose(other.abs(), torch.full_like(other, 1e-3), rtol=1e-2)


def test_the_learning_rate_rises_then_falls():
    rates = [warmup_cosine(s, peak=1.0, warmup=10, total=100) for s in range(101)]
    assert rates[9] == 1.0
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.02)


def test_the_stable_rate_falls_at_the_end():
    rates = [warmup_stable_decay(s, peak=1.0, warmup=10, total=100, decay=20) for s in range(101)]
    assert rates[9:81] == [1.0] * 72
    assert all(a > b for a, b in itertools.pairwise(rates[80:]))
    assert rates[-1] == 0


def test_the_recipe_is_a_valid_model(vocabulary: JanusTokenizer):
    from janus.training.emoji.recipe import emoji_config

    config = emoji_config(vocabulary.special.image)
    assert isinstance(config, JanusConfig)
    with torch.device("meta"):
        model = JanusModel(config)
    num_bytes = 2 * sum(parameter.numel() for parameter in model.parameters())
    assert num_bytes < 64e6  # in bfloat16, as it is shipped
