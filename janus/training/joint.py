"""Stage 3: seeing and drawing learned together by one transformer.

Batches of dialogues about pictures and of prompts with their pictures go in; everything but the VQ
tokenizer is trained, on both directions in every step. Positions after a row's end are computed
and ignored: attention is causal, so they change nothing before them.
"""

# B dialogues of T ids, C drawings with prompts of P ids, I image tokens, D width

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from janus.model.cache import Rows
from janus.model.model import JanusModel
from janus.training.balance import ExpertBalance
from janus.training.emoji.batches import JointBatch
from janus.training.losses import image_loss, text_loss
from janus.training.optimizer import MasterAdamW, warmup_cosine
from janus.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTraining:
    """Every knob of the stage."""

    steps: int
    num_seen: int = 18
    num_drawn: int = 24
    num_turns: int = 3
    peak_lr: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.05
    text_weight: float = 1.0
    balance_rate: float = 2e-3
    log_every: int = 20
    save_every: int = 250


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
    optimizer = MasterAdamW(trained_parameters(model), weight_decay=settings.weight_decay)
    balance = ExpertBalance(model, settings.balance_rate)
    first = _resume(run, model, optimizer)
    for step, batch in enumerate(batches, start=first):
        batch = batch.to(model.device)
        with sdpa_kernel(SDPBackend.MATH):  # for rows this short, faster than the fused kernel
            words = dialogue_loss(model, batch, balance, image_token_id)
            (settings.text_weight * words).backward()
            codes = drawing_loss(model, batch, balance, encode(batch.drawn_C3SS))
            codes.backward()
        norm = optimizer.step(
            warmup_cosine(step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps)
        )
        load = balance.update()
        if (step + 1) % settings.log_every == 0:
            figures = {"text": float(words.detach()), "image": float(codes.detach())}
            run.log(step + 1, **figures, gradient=norm, load=load)
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save(_state(step + 1, model, optimizer))
    optimizer.use_average()


def trained_parameters(model: JanusModel) -> Iterator[torch.nn.Parameter]:
    """Everything but the VQ tokenizer, which keeps what the first stage taught it."""
    for name, parameter in model.named_parameters():
        if not name.startswith("vqmodel."):
            yield parameter


def dialogue_loss(
    model: JanusModel, batch: JointBatch, balance: ExpertBalance, image_token_id: int
) -> Tensor:
    """Cross-entropy of the answers in dialogues about seen pictures."""
    is_image_BT = batch.dialogue_ids_BT == image_token_id
    hidden_BTD = model.embed_text(batch.dialogue_ids_BT)
    seen_BID = model.see(batch.seen_B3SS)
    hidden_BTD = hidden_BTD.masked_scatter(is_image_BT[..., None], seen_BID.to(hidden_BTD.dtype))
    is_image_N = is_image_BT.flatten()
    with balance.tokens(text=~is_image_N, seen=is_image_N):
        rows = Rows.uniform(len(is_image_BT), is_image_BT.shape[1], is_image_BT.device)
        hidden_ND = model(hidden_BTD.flatten(0, 1), rows)
    return text_loss(model, hidden_ND, batch.dialogue_targets_BT.flatten())


def drawing_loss(
    model: JanusModel, batch: JointBatch, balance: ExpertBalance, ids_CI: Tensor
) -> Tensor:
    """Cross-entropy of the image ids that follow prompts."""
    num_rows, num_ids = ids_CI.shape
    prompt_CPD = model.embed_text(batch.prompt_ids_CP)
    tail_CID = prompt_CPD.new_zeros(num_rows, num_ids - 1, prompt_CPD.shape[-1])
    hidden_CTD = torch.cat([prompt_CPD, tail_CID], dim=1)
    # Ids follow each prompt's own last token; the state there predicts the first of them.
    row_C1 = torch.arange(num_rows, device=ids_CI.device)[:, None]
    place_CI = batch.prompt_lengths_C[:, None] - 1 + torch.arange(num_ids, device=ids_CI.device)
    drawn_CJD = model.embed_image(ids_CI[:, :-1]).to(hidden_CTD.dtype)
    hidden_CTD = hidden_CTD.index_put((row_C1, place_CI[:, 1:]), drawn_CJD)
    is_drawn_CT = torch.zeros_like(hidden_CTD[..., 0], dtype=torch.bool)
    is_drawn_CT[row_C1, place_CI] = True
    is_drawn_N = is_drawn_CT.flatten()
    with balance.tokens(text=~is_drawn_N, drawn=is_drawn_N):
        rows = Rows.uniform(len(is_drawn_CT), is_drawn_CT.shape[1], is_drawn_CT.device)
        hidden_ND = model(hidden_CTD.flatten(0, 1), rows)
    hidden_CTD = hidden_ND.unflatten(0, is_drawn_CT.shape)
    return image_loss(model, hidden_CTD[row_C1, place_CI], ids_CI)


def _state(step: int, model: JanusModel, optimizer: MasterAdamW) -> dict:
    biases = {n: b for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")}
    return {"step": step, "optimizer": optimizer.state_dict(), "biases": biases}


def _resume(run: Run, model: JanusModel, optimizer: MasterAdamW) -> int:
    state = run.load()
    if state is None:
        return 0
    optimizer.load_state_dict(state["optimizer"])
    buffers = dict(model.named_buffers())
    for name, bias in state["biases"].items():
        buffers[name].copy_(bias)
    return state["step"]
