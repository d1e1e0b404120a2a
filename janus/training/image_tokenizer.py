"""Stages 1, 4 and 5: the VQ tokenizer, which writes pictures as ids and paints them from ids.

The codebook comes first, from patches alone (see `codebook`). The encoder then learns to find the
direction of each patch through its convolutions, and the decoder to paint pictures from codes; both
need nothing but the codebook, so the transformer can learn to draw before or beside them.
"""

# B pictures of 3 H W pixels, N ids of a picture, P numbers of a patch, c width of a code, h w grid

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.training.codebook import PatchSpace, find_codes, nearest_code
from janus.training.optimizer import MasterOptimizer, warmup_cosine
from janus.training.run import Run
from vision.tokenizer import ImageTokenizer

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookTraining:
    """Every knob of the codebook."""

    num_batches: int = 200
    batch_size: int = 32
    rounds: int = 15
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerTraining:
    """Every knob of the encoder's stage and of the decoder's."""

    steps: int
    batch_size: int
    peak_lr: float = 1e-3
    warmup: int = 100
    log_every: int = 20
    save_every: int = 250


@torch.no_grad()
def train_codebook(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: CodebookTraining, run: Run
) -> PatchSpace:
    """Fills the codebook, or takes it from the run. Returns the space that its codes live in."""
    table_Kc = model.quantize.embedding.weight
    state = run.load()
    if state is None:
        patch = model.config.downsampling
        # As bytes, so that equal patches are equal numbers, and many fit into memory.
        bytes_MP = torch.cat(
            [
                _patch_bytes(pixels_B3HW, patch).unique(dim=0)
                for pixels_B3HW in islice(batches, settings.num_batches)
            ]
        )
        patches_MP = bytes_MP.unique(dim=0).to(table_Kc.device).float() / 127.5 - 1
        space = PatchSpace.of(patches_MP, table_Kc.shape[1])
        codes_Kc = find_codes(
            space.directions(patches_MP), len(table_Kc), rounds=settings.rounds, seed=settings.seed
        )
        state = {"step": 1, "mean": space.mean_P, "basis": space.basis_Pd, "codes": codes_Kc}
        run.save(state)
    table_Kc.copy_(state["codes"])
    return PatchSpace(state["mean"].to(table_Kc.device), state["basis"].to(table_Kc.device))


def train_encoder(
    model: ImageTokenizer,
    batches: Iterable[Tensor],
    space: PatchSpace,
    settings: TokenizerTraining,
    run: Run,
) -> None:
    """Trains in place what turns pixels into latents; resumes from the run's newest state."""

    def losses(pixels_B3HW: Tensor) -> Losses:
        wanted_Bchw = space.latents(pixels_B3HW)
        latents_Bchw = model.latents(pixels_B3HW).float()
        cosine_Bhw = F.cosine_similarity(latents_Bchw, wanted_Bchw)
        return {"total": 1 - cosine_Bhw.mean()}

    parameters = [*model.encoder.parameters(), *model.quant_conv.parameters()]
    _descend(parameters, losses, batches, settings, run)


def train_decoder(
    model: ImageTokenizer,
    batches: Iterable[Tensor],
    space: PatchSpace,
    settings: TokenizerTraining,
    run: Run,
) -> None:
    """Trains in place what turns codes into pixels; resumes from the run's newest state."""

    def losses(pixels_B3HW: Tensor) -> Losses:
        ids_BN = encode(model, space, pixels_B3HW)
        return painting_losses(model.decode(ids_BN), pixels_B3HW)

    parameters = [*model.post_quant_conv.parameters(), *model.decoder.parameters()]
    _descend(parameters, losses, batches, settings, run)


@torch.no_grad()
def encode(model: ImageTokenizer, space: PatchSpace, pixels_B3HW: Tensor) -> Tensor:
    """Ids [B, N] of the codes that a perfect encoder would find."""
    latents_Bchw = space.latents(pixels_B3HW)
    latents_Mc = latents_Bchw.permute(0, 2, 3, 1).flatten(0, 2)
    # Normalised after the cast: in bfloat16, lengths would differ more than neighbours' cosines.
    codes_Kc = F.normalize(model.quantize.embedding.weight.float(), dim=-1)
    _, ids_M = nearest_code(latents_Mc, codes_Kc)
    return ids_M.view(len(pixels_B3HW), -1)


def painting_losses(painted_B3HW: Tensor, pixels_B3HW: Tensor) -> Losses:
    """How far the painted pictures are from the true ones: in colour, and at edges."""
    difference = painted_B3HW.float() - pixels_B3HW
    pixels = difference.abs().mean()
    # Differences of neighbouring pixels: blur costs here, a wrong brightness does not.
    edges = difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return {"total": pixels + edges, "pixels": pixels, "edges": edges}


def _descend(
    parameters: list[nn.Parameter],
    losses: Callable[[Tensor], Losses],
    batches: Iterable[Tensor],
    settings: TokenizerTraining,
    run: Run,
) -> None:
    """Follows the gradient of `losses(batch)["total"]`; `batches` start at the run's next step."""
    optimizer = MasterOptimizer(parameters, weight_decay=0.01)
    first_step = 0
    if state := run.load():
        first_step = state["step"]
        optimizer.load_state_dict(state["optimizer"])
    for step, pixels_B3HW in enumerate(batches, start=first_step):
        figures = losses(pixels_B3HW.to(parameters[0].device))
        figures["total"].backward()
        optimizer.step(
            warmup_cosine(step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps)
        )
        if (step + 1) % settings.log_every == 0:
            run.log(step + 1, **{name: float(loss.detach()) for name, loss in figures.items()})
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save({"step": step + 1, "optimizer": optimizer.state_dict()})
    optimizer.use_average()


def _patch_bytes(pixels_B3HW: Tensor, patch: int) -> Tensor:
    patches_MP = F.pixel_unshuffle(pixels_B3HW, patch).permute(0, 2, 3, 1).flatten(0, 2)
    return ((patches_MP + 1) * 127.5).round().to(torch.uint8)
