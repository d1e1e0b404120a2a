"""Stage 3: seeing and drawing learned together by one transformer.

Batches of dialogues about pictures and of prompts with their pictures go in; everything but the VQ
tokenizer is trained, on both directions in every step. Positions after a row's end are computed
and ignored: attention is causal, so they change nothing before them.
"""

# B dialogues of T ids, C drawings, R prompts of P ids, I image tokens, D width,
# G prompts in pairs: with their words, and without

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from janus.model.cache import BranchedRows, Rows
from janus.model.model import JanusModel
from janus.training.balance import ExpertBalance
from janus.training.emoji.batches import DialogueBatch, JointBatch
from janus.training.emoji.scenes import DEFAULT_MIX
from janus.training.losses import guided_loss, image_loss, text_loss
from janus.training.optimizer import MasterOptimizer, warmup_stable_decay
from janus.training.run import Run

COMPILERS = ("g++", "clang++", "cl")  # one of which torch.compile needs


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTraining:
    """Every knob of the stage."""

    steps: int
    num_seen: int = 12
    row_length: int = 192  # tokens of a picture seen and the dialogues about it
    lesson_share: float = 0.0  # of the conversations
    num_drawn: int = 20
    drawn_mix: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIX)
    num_unconditional: int = 4
    peak_lr: float = 1e-3
    warmup: int = 200
    decay_share: float = 0.2  # of the steps, at the end: the rate falls, and guidance is learned
    weight_decay: float = 0.05
    text_weight: float = 2.0
    guided_weight: float = 0.25
    balance_rate: float = 2e-3
    compile: bool = False
    log_every: int = 20
    save_every: int = 250

    @property
    def num_decay(self) -> int:
        """How many steps at the end the rate falls."""
        return round(self.decay_share * self.steps)


def train_joint(
    model: JanusModel,
    batches: Iterable[JointBatch],
    settings: JointTraining,
    run: Run,
    *,
    image_token_id: int,
    encode: Callable[[Tensor], Tensor],
) -> None:
    """Trains in place; resumes from the run's newest state, where `batches` must start too.

    `encode` gives the ids [C, I] of pictures to draw, which `model.vqmodel.encode` does also.
    """
    optimizer = MasterOptimizer(
        trained_parameters(model),
        hidden=hidden_matrices(model),
        weight_decay=settings.weight_decay,
    )
    balance = ExpertBalance(model, settings.balance_rate)
    first = resume(run, model, optimizer)
    if settings.compile and any(map(shutil.which, COMPILERS)):
        for layer in model.language_model.layers:
            layer.compile(dynamic=True)  # a sixth less time, on two CPU cores
    for step, batch in enumerate(batches, start=first):
        batch = batch.to(model.device)
        words = dialogue_loss(model, batch, balance, image_token_id)
        (settings.text_weight * words).backward()
        with sdpa_kernel(SDPBackend.MATH):  # for rows this short, faster than the fused kernel
            # Guidance is quickly learned, but its large gradients would drown all others.
            is_guided = step >= settings.steps - settings.num_decay
            ids_CI = encode(batch.drawn_C3SS)
            codes, guided = drawing_losses(model, batch, balance, ids_CI, is_guided)
            (codes + settings.guided_weight * guided).backward()
        norm = optimizer.step(
            warmup_stable_decay(
                step,
                peak=settings.peak_lr,
                warmup=settings.warmup,
                total=settings.steps,
                decay=settings.num_decay,
            )
        )
        load = balance.update()
        if (step + 1) % settings.log_every == 0:
            losses = {"text": words, "image": codes, "guided": guided}
            figures = {name: float(loss.detach()) for name, loss in losses.items()}
            run.log(step + 1, **figures, gradient=norm, load=load)
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save(state_of(step + 1, model, optimizer))
    optimizer.use_average()


def trained_parameters(model: JanusModel) -> Iterator[torch.nn.Parameter]:
    """Everything but the VQ tokenizer, which keeps what the first stage taught it."""
    for name, parameter in model.named_parameters():
        if not name.startswith("vqmodel."):
            yield parameter


def hidden_matrices(model: JanusModel) -> Iterator[torch.nn.Parameter]:
    """The matrices of the transformer and of the vision encoder's layers."""
    for name, parameter in model.named_parameters():
        if ".layers." in name and parameter.ndim > 1 and not name.endswith("mlp.gate.weight"):
            yield parameter


def dialogue_loss(
    model: JanusModel, batch: DialogueBatch, balance: ExpertBalance, image_token_id: int
) -> Tensor:
    """Cross-entropy of the answers in dialogues about seen pictures, several about each."""
    is_image_BT = batch.dialogue_ids_BT == image_token_id
    hidden_BTD = model.embed_text(batch.dialogue_ids_BT)
    seen_BID = model.see(batch.seen_B3SS)
    hidden_BTD = hidden_BTD.masked_scatter(is_image_BT[..., None], seen_BID.to(hidden_BTD.dtype))
    is_image_N = is_image_BT.flatten()
    with balance.tokens(text=~is_image_N, seen=is_image_N):
        rows = BranchedRows.of(batch.dialogue_branches_BT)
        hidden_ND = model(hidden_BTD.flatten(0, 1), rows)
    return text_loss(model, hidden_ND, batch.dialogue_targets_BT.flatten())


def drawing_losses(
    model: JanusModel,
    batch: JointBatch,
    balance: ExpertBalance,
    ids_CI: Tensor,
    is_guided: bool = True,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the image ids that follow prompts, and of guided logits for some of them.

    The second is 0 where it is not asked for.
    """
    num_guided = len(batch.prompt_ids_RP) - len(ids_CI)
    ids_RI = torch.cat([ids_CI, ids_CI[:num_guided]])
    # Who never looks back at a mistake does not learn to go on from one; and who may trust what is
    # drawn already hardly needs the prompt, beyond the first piece of each object.
    shown_CI = torch.where(batch.swapped_CI, ids_CI.roll(1, dims=0), ids_CI)
    shown_RI = torch.cat([shown_CI, shown_CI[:num_guided]])
    hidden_RID = _draw_along(model, batch, balance, shown_RI)
    codes = image_loss(model, hidden_RID, ids_RI)
    if not is_guided:
        return codes, codes.new_zeros(())
    cond_GID, uncond_GID = hidden_RID[:num_guided], hidden_RID[len(ids_CI) :]
    return codes, guided_loss(model, cond_GID, uncond_GID, ids_CI[:num_guided])


def _draw_along(
    model: JanusModel, batch: JointBatch, balance: ExpertBalance, ids_RI: Tensor
) -> Tensor:
    """The hidden states [R, I, D] that predict each id of pictures, given these ids before it."""
    num_rows, num_ids = ids_RI.shape
    prompt_RPD = model.embed_text(batch.prompt_ids_RP)
    tail_RID = prompt_RPD.new_zeros(num_rows, num_ids - 1, prompt_RPD.shape[-1])
    hidden_RTD = torch.cat([prompt_RPD, tail_RID], dim=1)
    # Ids follow each prompt's own last token; the state there predicts the first of them.
    row_R1 = torch.arange(num_rows, device=ids_RI.device)[:, None]
    place_RI = batch.prompt_lengths_R[:, None] - 1 + torch.arange(num_ids, device=ids_RI.device)
    drawn_RJD = model.embed_image(ids_RI[:, :-1]).to(hidden_RTD.dtype)
    hidden_RTD = hidden_RTD.index_put((row_R1, place_RI[:, 1:]), drawn_RJD)
    is_drawn_RT = torch.zeros_like(hidden_RTD[..., 0], dtype=torch.bool)
    is_drawn_RT[row_R1, place_RI] = True
    is_drawn_N = is_drawn_RT.flatten()
    with balance.tokens(text=~is_drawn_N, drawn=is_drawn_N):
        rows = Rows.uniform(len(is_drawn_RT), is_drawn_RT.shape[1], is_drawn_RT.device)
        hidden_ND = model(hidden_RTD.flatten(0, 1), rows)
    return hidden_ND.unflatten(0, is_drawn_RT.shape)[row_R1, place_RI]


def state_of(step: int, model: JanusModel, optimizer: MasterOptimizer) -> dict:
    """What a run saves: the optimiser with its weights, and the biases that balance the experts."""
    biases = {n: b for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")}
    return {"step": step, "optimizer": optimizer.state_dict(), "biases": biases}


def resume(run: Run, model: JanusModel, optimizer: MasterOptimizer) -> int:
    """Takes up a run's newest state, if there is any; returns the step to go on with."""
    state = run.load()
    if state is None:
        return 0
    optimizer.load_state_dict(state["optimizer"])
    buffers = dict(model.named_buffers())
    for name, bias in state["biases"].items():
        buffers[name].copy_(bias)
    return state["step"]
