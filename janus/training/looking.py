"""Stage 2: the vision encoder learns what it looks at, before any word is spoken.

Janus starts from an encoder that others trained (SigLIP); ours starts from nothing. Pictures go in,
with what each patch shows and where that has its centre; the linear layer that says so is thrown
away after. An encoder that need not say where forgets the places, and the transformer after it
cannot learn what is left of what.
"""

# B pictures, N patches, D width, C things to tell apart, G rows and columns of patches

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from janus.training.optimizer import MasterOptimizer, warmup_cosine
from janus.training.run import Run
from vision.encoder import VisionEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class LookingTraining:
    """Every knob of the stage."""

    steps: int
    batch_size: int = 32
    peak_lr: float = 1e-3
    warmup: int = 100
    log_every: int = 20
    save_every: int = 250


def train_looking(
    encoder: VisionEncoder,
    num_classes: int,
    batches: Iterable[tuple[Tensor, Tensor]],
    settings: LookingTraining,
    run: Run,
) -> None:
    """Trains in place. Resumes from the run's newest state, where `batches` must start too."""
    config, weight = encoder.config, encoder.post_layernorm.weight
    side = config.image_size // config.patch_size
    sizes = [num_classes, side, side]
    head = nn.Linear(config.hidden_size, sum(sizes)).to(weight)
    optimizer = MasterOptimizer([*encoder.parameters(), *head.parameters()])
    first_step = 0
    if state := run.load():
        first_step = state["step"]
        optimizer.load_state_dict(state["optimizer"])
    for step, (pixels_B3SS, labels_3BN) in enumerate(batches, start=first_step):
        pixels_B3SS, labels_3BN = pixels_B3SS.to(weight.device), labels_3BN.to(weight.device)
        logits = head(encoder(pixels_B3SS)).float().split(sizes, dim=-1)
        what, row, column = (
            F.cross_entropy(logits_BNC.flatten(0, 1), labels_BN.flatten())
            for logits_BNC, labels_BN in zip(logits, labels_3BN, strict=True)
        )
        (what + row + column).backward()
        optimizer.step(
            warmup_cosine(step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps)
        )
        if (step + 1) % settings.log_every == 0:
            run.log(
                step + 1,
                patches=float(what.detach()),
                places=float((row + column).detach()),
                right=named_right(logits[0], labels_3BN[0]),
            )
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save({"step": step + 1, "optimizer": optimizer.state_dict()})
    optimizer.use_average()


def named_right(logits_BNC: Tensor, labels_BN: Tensor) -> float:
    """Share of the patches that show an object (not background) that are named correctly."""
    is_object_BN = labels_BN < logits_BNC.shape[-1] - 1
    return float((logits_BNC.argmax(-1) == labels_BN)[is_object_BN].float().mean())
