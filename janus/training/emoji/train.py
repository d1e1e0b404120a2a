"""Trains janus-emoji from nothing: codebook, looking, both directions jointly, VQ networks.

One call repeats the published weights within noise. Every stage saves its state as it goes; the
same call after an interruption goes on where it stopped. No network, no data beside the sprites.
"""

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from janus.devices import choose_device
from janus.model.loading import KEPT_IN_FLOAT32
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.codebook import PatchSpace
from janus.training.curves import plot_curves
from janus.training.emoji.batches import Dialogues, LabelledPictures, Pictures, SceneBatches
from janus.training.emoji.recipe import (
    CODEBOOK,
    DECODER,
    ENCODER,
    GUIDANCE,
    IMAGE_SIZE,
    JOINT,
    LOOKING,
    PATCH_SIZE,
    SEED,
    VOCAB_SIZE,
    emoji_config,
)
from janus.training.emoji.sprites import Sprites, load_sprites
from janus.training.emoji.vocabulary import train_vocabulary
from janus.training.image_tokenizer import (
    CodebookTraining,
    TokenizerTraining,
    encode,
    train_codebook,
    train_decoder,
    train_encoder,
)
from janus.training.initial import (
    initialise_convolutions,
    initialise_linears,
    start_from_codes,
)
from janus.training.joint import JointTraining, train_joint
from janus.training.looking import LookingTraining, train_looking
from janus.training.run import Run

NAME = "janus-emoji"
STYLE_SETTINGS = {"use_default_system_prompt": False}  # of the prompts that it is trained with

log = logging.getLogger(__name__)


def train(
    output: str | os.PathLike[str],
    run: str | os.PathLike[str],
    *,
    codebook_stage: CodebookTraining = CODEBOOK,
    looking_stage: LookingTraining = LOOKING,
    joint_stage: JointTraining = JOINT,
    encoder_stage: TokenizerTraining = ENCODER,
    decoder_stage: TokenizerTraining = DECODER,
    device: str | torch.device = "auto",
) -> Janus:
    """Trains in folder `run` (states, log.jsonl, curves.png) and writes the model to `output`."""
    torch.manual_seed(SEED)
    sprites = load_sprites()
    tokenizer = train_vocabulary(sprites, size=VOCAB_SIZE, seed=SEED)
    style = PromptStyle.of_checkpoint(tokenizer, STYLE_SETTINGS)
    model = _new_model(tokenizer).to(choose_device(device))
    space = _find_codes(model, sprites, codebook_stage, Run(run, "codebook"))
    _learn_to_look(model, sprites, looking_stage, Run(run, "looking"))
    _learn_jointly(model, sprites, tokenizer, style, space, joint_stage, Run(run, "joint"))
    log.info("stage 4 of 5: VQ encoder, %d steps", encoder_stage.steps)
    learn_vq = partial(_learn_vq, model, sprites, space)
    learn_vq(train_encoder, encoder_stage, SEED + 4, Run(run, "encoder"))
    log.info("stage 5 of 5: VQ decoder, %d steps", decoder_stage.steps)
    learn_vq(train_decoder, decoder_stage, SEED + 2, Run(run, "decoder"))
    plot_curves(Path(run), Path(run) / "curves.png")
    janus = Janus(
        model.eval().requires_grad_(False), tokenizer, style, name=NAME, guidance=GUIDANCE
    )
    janus.save_pretrained(output)
    return janus


def _new_model(tokenizer: JanusTokenizer) -> JanusModel:
    """Random weights in bfloat16, which two CPU cores multiply several times faster."""
    model = JanusModel(emoji_config(tokenizer.special.image))
    initialise_linears(model)
    initialise_convolutions(model.vqmodel)
    model = model.bfloat16()
    for name, buffer in model.named_buffers():
        if any(part in name for part in KEPT_IN_FLOAT32):
            buffer.data = buffer.data.float()
    return model


def _find_codes(
    model: JanusModel, sprites: Sprites, settings: CodebookTraining, run: Run
) -> PatchSpace:
    log.info("stage 1 of 5: codebook")
    batches = _pictures(sprites, settings.batch_size, SEED, range(settings.num_batches))
    space = train_codebook(model.vqmodel, batches, settings, run)
    start_from_codes(model)
    return space


def _learn_to_look(
    model: JanusModel, sprites: Sprites, settings: LookingTraining, run: Run
) -> None:
    log.info("stage 2 of 5: vision encoder, %d steps", settings.steps)
    batches = SceneBatches(
        LabelledPictures(IMAGE_SIZE, PATCH_SIZE),
        sprites,
        SEED + 3,
        settings.steps,
        num_free=settings.batch_size,
    )
    train_looking(model.vision_model, len(sprites) + 1, batches.ahead(run.next_step), settings, run)


def _learn_jointly(
    model: JanusModel,
    sprites: Sprites,
    tokenizer: JanusTokenizer,
    style: PromptStyle,
    space: PatchSpace,
    settings: JointTraining,
    run: Run,
) -> None:
    log.info("stage 3 of 5: seeing and drawing, %d steps", settings.steps)
    template = ChatTemplate(
        tokenizer,
        style,
        num_image_tokens=model.config.num_image_tokens,
        context=model.config.transformer.max_position_embeddings,
    )
    batches = SceneBatches(
        Dialogues(IMAGE_SIZE, template, settings.num_seen, settings.num_turns),
        sprites,
        SEED + 1,
        settings.steps,
        num_free=settings.num_seen,
        num_on_grid=settings.num_drawn,
    )
    train_joint(
        model,
        batches.ahead(run.next_step),
        settings,
        run,
        image_token_id=tokenizer.special.image,
        encode=partial(encode, model.vqmodel, space),
    )


def _learn_vq(
    model: JanusModel,
    sprites: Sprites,
    space: PatchSpace,
    learn: Callable[..., None],
    settings: TokenizerTraining,
    seed: int,
    run: Run,
) -> None:
    steps = range(run.next_step, settings.steps)
    batches = _pictures(sprites, settings.batch_size, seed, steps)
    learn(model.vqmodel, batches, space, settings, run)


def _pictures(sprites: Sprites, batch_size: int, seed: int, steps: range) -> Iterator[torch.Tensor]:
    scenes = SceneBatches(Pictures(IMAGE_SIZE), sprites, seed, steps.stop, num_on_grid=batch_size)
    return scenes.ahead(steps.start)
