"""Stages 1 and 4: the VQ tokenizer learns to write pictures as ids, and to paint them from ids.

Stage 1 trains encoder and codebook. A small painter stands in for the decoder, which costs ten
times as much, and is thrown away: it sees a code and its neighbours alone, so a code has to say
what is at its own place. A code should also say the same wherever its patch stands and whatever
else is in the picture, or the transformer would have to predict the difference: a part of one
picture, pasted into another, must keep its latents. Stage 4 trains the decoder on the final ids.
"""

# B pictures of 3 H W pixels, c width of a code, h w grid

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.training.codebook import MovingCodebook
from janus.training.initial import initialise_convolutions
from janus.training.optimizer import MasterAdamW, warmup_cosine
from janus.training.run import Run
from vision.tokenizer import ImageTokenizer

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderTraining:
    """Every knob of stage 4."""

    steps: int
    batch_size: int = 8
    peak_lr: float = 1e-3
    warmup: int = 100
    edges: float = 1.0
    log_every: int = 20
    save_every: int = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesTraining(DecoderTraining):
    """Every knob of stage 1."""

    batch_size: int = 16
    steps_without_codebook: int = 200
    commitment: float = 0.25
    constancy: float = 2.0
    codebook_decay: float = 0.99
    revive_every: int = 10
    painter_width: int = 256


class Painter(nn.Module):
    """Codes [B, c, h, w] -> pixels [B, 3, H, W]; each patch from 5 x 5 codes around it."""

    def __init__(self, code_width: int, width: int, patch: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(code_width, width, 3, padding=1, padding_mode="replicate")
        self.look_again = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.paint = nn.Conv2d(width, 3 * patch**2, 1)
        self.unfold = nn.PixelShuffle(patch)

    def forward(self, codes_Bchw: Tensor) -> Tensor:
        hidden = F.silu(self.look(codes_Bchw))
        hidden = hidden + F.silu(self.look_again(hidden))
        return self.unfold(self.paint(hidden))


def train_codes(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: CodesTraining, run: Run
) -> None:
    """Trains encoder and codebook in place; resumes from the run's newest state."""
    patch = model.config.downsampling
    painter = Painter(model.config.embed_dim, settings.painter_width, patch)
    initialise_convolutions(painter)
    painter.to(model.quant_conv.weight)
    codebook = MovingCodebook(model.quantize, settings.codebook_decay)

    def losses(pixels_B3HW: Tensor, step: int) -> Losses:
        latents_Bchw = F.normalize(model.latents(pixels_B3HW), dim=1)
        constancy = _constancy(model, pixels_B3HW, latents_Bchw, step)
        codes_Bchw, commitment = latents_Bchw, latents_Bchw.new_zeros(())
        if step >= settings.steps_without_codebook:
            revive = step % settings.revive_every == 0
            nearest = codebook.follow(latents_Bchw.detach(), revive=revive).to(latents_Bchw.dtype)
            commitment = (latents_Bchw - nearest).float().square().sum(dim=1).mean()
            # The painter sees the codes; the gradient passes to the latents as if they were equal.
            codes_Bchw = latents_Bchw + (nearest - latents_Bchw).detach()
        painted = painting_losses(painter(codes_Bchw), pixels_B3HW, settings.edges)
        total = painted["total"] + settings.commitment * commitment + settings.constancy * constancy
        return {**painted, "total": total, "commitment": commitment, "constancy": constancy}

    seeing = (model.encoder, model.quant_conv, painter)
    parameters = [parameter for part in seeing for parameter in part.parameters()]
    _descend(parameters, losses, batches, settings, run, codebook)


def train_decoder(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: DecoderTraining, run: Run
) -> None:
    """Trains in place what turns codes into pixels; no id changes. Resumes as `train_codes`."""

    def losses(pixels_B3HW: Tensor, step: int) -> Losses:
        with torch.no_grad():
            ids_BN = model.encode(pixels_B3HW)
        return painting_losses(model.decode(ids_BN), pixels_B3HW, settings.edges)

    parameters = [*model.post_quant_conv.parameters(), *model.decoder.parameters()]
    _descend(parameters, losses, batches, settings, run)


def painting_losses(painted_B3HW: Tensor, pixels_B3HW: Tensor, edges_weight: float) -> Losses:
    """How far the painted pictures are from the true ones: in colour, and at edges."""
    difference = painted_B3HW.float() - pixels_B3HW
    pixels = difference.abs().mean()
    # Differences of neighbouring pixels: blur costs here, a wrong brightness does not.
    edges = difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return {"total": pixels + edges_weight * edges, "pixels": pixels, "edges": edges}


def _descend(
    parameters: list[nn.Parameter],
    losses: Callable[[Tensor, int], Losses],
    batches: Iterable[Tensor],
    settings: DecoderTraining,
    run: Run,
    codebook: MovingCodebook | None = None,
) -> None:
    """Follows the gradient of `losses(batch, step)["total"]`; `batches` start at the run's step."""
    optimizer = MasterAdamW(parameters, weight_decay=0.01)
    first_step = 0
    if state := run.load():
        first_step = state["step"]
        optimizer.load_state_dict(state["optimizer"])
        if codebook is not None:
            codebook.load_state_dict(state["codebook"])
    for step, pixels_B3HW in enumerate(batches, start=first_step):
        figures = losses(pixels_B3HW.to(parameters[0].device), step)
        figures["total"].backward()
        optimizer.step(
            warmup_cosine(step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps)
        )
        if (step + 1) % settings.log_every == 0:
            record = {name: float(loss.detach()) for name, loss in figures.items()}
            if codebook is not None:
                record["codebook_use"] = codebook.use()
            run.log(step + 1, **record)
        if run.is_due(step + 1, settings.save_every, settings.steps):
            state = {"step": step + 1, "optimizer": optimizer.state_dict()}
            if codebook is not None:
                state["codebook"] = codebook.state_dict()
            run.save(state)
    optimizer.use_average()


def _constancy(
    model: ImageTokenizer, pixels_B3HW: Tensor, latents_Bchw: Tensor, step: int
) -> Tensor:
    """Mean squared distance of the latents of a rectangle here, and pasted into other pictures.

    The patches at its rim, whose surroundings do change, do not count.
    """
    rng = np.random.default_rng(step)
    patch, grid = model.config.downsampling, latents_Bchw.shape[-1]
    rows, columns = rng.integers(grid // 2, grid, 2)
    tops, lefts = rng.integers(grid - rows + 1, size=2), rng.integers(grid - columns + 1, size=2)
    here, there = (
        (slice(top, top + rows), slice(left, left + columns))
        for top, left in zip(tops, lefts, strict=True)
    )
    collage_B3HW = pixels_B3HW.roll(1, dims=0)
    _region(collage_B3HW, there, patch).copy_(_region(pixels_B3HW, here, patch))
    pasted_Bchw = F.normalize(model.latents(collage_B3HW), dim=1)
    difference = _region(pasted_Bchw, there) - _region(latents_Bchw, here)
    return difference[..., 1:-1, 1:-1].float().square().sum(dim=1).mean()


def _region(images: Tensor, place: tuple[slice, slice], scale: int = 1) -> Tensor:
    down, across = (slice(s.start * scale, s.stop * scale) for s in place)
    return images[..., down, across]
