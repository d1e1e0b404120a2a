"""Trains janus-emoji from nothing: codebook, looking, both directions jointly, lessons, VQ
networks.

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
from janus.errors import UsageError
from janus.model.loading import KEPT_IN_FLOAT32
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.codebook import PatchSpace
from janus.training.curves import plot_curves
from janus.training.emoji.batches import Dialogues, LabelledPictures, Pictures, SceneBatches
from janus.training.emoji.lesson_batches import LessonBatches
from janus.training.emoji.names import NameFinder
from janus.training.emoji.recipe import (
    CODEBOOK,
    DECODER,
    ENCODER,
    FINISH,
    GUIDANCE,
    IMAGE_SIZE,
    JOINT,
    LESSONS,
    LOOKING,
    PATCH_SIZE,
    SEED,
    TEMPERATURE,
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
from janus.training.lessons import LessonTraining, train_lessons
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
    lesson_stage: LessonTraining = LESSONS,
    finish_stage: JointTraining = FINISH,
    encoder_stage: TokenizerTraining = ENCODER,
    decoder_stage: TokenizerTraining = DECODER,
    dense: bool = False,
    encoders: JanusModel | None = None,
    device: str | torch.device = "auto",
) -> Janus:
    """Trains in folder `run` (states, log.jsonl, curves.png) and writes the model to `output`.

    `dense` trains a transformer without routed experts, of the same active size, to compare with.
    `encoders` is a trained model whose vision encoder and VQ tokenizer this one starts with; the
    stages for these are left out.
    """
    torch.manual_seed(SEED)
    sprites = load_sprites()
    tokenizer = train_vocabulary(sprites, size=VOCAB_SIZE, seed=SEED)
    style = PromptStyle.of_checkpoint(tokenizer, STYLE_SETTINGS)
    model = _new_model(tokenizer, dense).to(choose_device(device))
    space = None
    if encoders is None:
        space = _find_codes(model, sprites, codebook_stage, Run(run, "codebook"))
        _learn_to_look(model, sprites, looking_stage, Run(run, "looking"))
    else:
        _take_encoders(model, encoders)
    template = ChatTemplate(
        tokenizer,
        style,
        num_image_tokens=model.config.num_image_tokens,
        context=model.config.transformer.max_position_embeddings,
    )
    log.info("stage 3 of 7: seeing and drawing, %d steps", joint_stage.steps)
    find_ids = model.vqmodel.encode if space is None else partial(encode, model.vqmodel, space)
    learn_jointly = partial(_learn_jointly, model, sprites, template, find_ids)
    learn_jointly(joint_stage, SEED + 1, Run(run, "joint"))
    _learn_lessons(model, sprites, template, lesson_stage, Run(run, "lessons"))
    log.info("stage 5 of 7: seeing and drawing, %d steps more", finish_stage.steps)
    learn_jointly(finish_stage, SEED + 6, Run(run, "finish"))
    if space is not None:
        log.info("stage 6 of 7: VQ encoder, %d steps", encoder_stage.steps)
        learn_vq = partial(_learn_vq, model, sprites, space)
        learn_vq(train_encoder, encoder_stage, SEED + 4, Run(run, "encoder"))
        log.info("stage 7 of 7: VQ decoder, %d steps", decoder_stage.steps)
        learn_vq(train_decoder, decoder_stage, SEED + 2, Run(run, "decoder"))
    plot_curves([Path(run)], Path(run) / "curves.png")
    model.eval().requires_grad_(False)
    suited = {"guidance": GUIDANCE, "temperature": TEMPERATURE}
    Janus(model, tokenizer, style, name=NAME, **suited).save_pretrained(output)
    return Janus.from_pretrained(output)


def _new_model(tokenizer: JanusTokenizer, dense: bool) -> JanusModel:
    """Random weights in bfloat16, which two CPU cores multiply several times faster."""
    model = JanusModel(emoji_config(tokenizer.special.image, dense=dense))
    initialise_linears(model)
    initialise_convolutions(model.vqmodel)
    model = model.bfloat16()
    for name, buffer in model.named_buffers():
        if any(part in name for part in KEPT_IN_FLOAT32):
            buffer.data = buffer.data.float()
    return model


def _take_encoders(model: JanusModel, encoders: JanusModel) -> None:
    """Both encoders of a trained model, instead of the stages that train them.

    Raises `UsageError` where they have other sizes.
    """
    ours, theirs = model.config, encoders.config
    if (ours.vision, ours.codebook) != (theirs.vision, theirs.codebook):
        raise UsageError(
            "The encoders of that model have other sizes than this recipe's.",
            "Take those of a janus-emoji.",
        )
    model.vision_model.load_state_dict(encoders.vision_model.state_dict())
    model.vqmodel.load_state_dict(encoders.vqmodel.state_dict())
    start_from_codes(model)


def _find_codes(
    model: JanusModel, sprites: Sprites, settings: CodebookTraining, run: Run
) -> PatchSpace:
    log.info("stage 1 of 7: codebook")
    batches = _pictures(sprites, settings.batch_size, SEED, range(settings.num_batches))
    space = train_codebook(model.vqmodel, batches, settings, run)
    start_from_codes(model)
    return space


def _learn_to_look(
    model: JanusModel, sprites: Sprites, settings: LookingTraining, run: Run
) -> None:
    log.info("stage 2 of 7: vision encoder, %d steps", settings.steps)
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
    template: ChatTemplate,
    find_ids: Callable[[torch.Tensor], torch.Tensor],
    settings: JointTraining,
    seed: int,
    run: Run,
) -> None:
    batches = SceneBatches(
        Dialogues(
            IMAGE_SIZE,
            template,
            settings.num_seen,
            settings.row_length,
            settings.num_unconditional,
            lesson_share=settings.lesson_share,
        ),
        sprites,
        seed,
        settings.steps,
        num_free=settings.num_seen,
        num_on_grid=settings.num_drawn,
        mix_on_grid=settings.drawn_mix,
    )
    train_joint(
        model,
        batches.ahead(run.next_step),
        settings,
        run,
        image_token_id=template.tokenizer.special.image,
        encode=find_ids,
    )


def _learn_lessons(
    model: JanusModel,
    sprites: Sprites,
    template: ChatTemplate,
    settings: LessonTraining,
    run: Run,
) -> None:
    log.info("stage 4 of 7: lessons, %d steps", settings.steps)
    batches = LessonBatches(
        template=template,
        sprites=sprites,
        courses=settings.courses,
        seed=SEED + 5,
        size=IMAGE_SIZE,
        patch=PATCH_SIZE,
        num_seen=settings.num_seen,
        row_length=settings.row_length,
        finder=NameFinder(template.tokenizer, sprites),
    )
    train_lessons(
        model,
        batches.ahead(run.next_step),
        settings,
        run,
        image_token_id=template.tokenizer.special.image,
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
