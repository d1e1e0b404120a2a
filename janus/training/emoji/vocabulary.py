"""The vocabulary of janus-emoji: byte-level BPE over the sentences of its world.

Any text can be encoded (all bytes are in it); most words of the emoji world take one id.
"""

from collections.abc import Iterator

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from janus.prompts.tokenizer import (
    ASSISTANT,
    BOS,
    EOS,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    PAD,
    USER,
    JanusTokenizer,
)
from janus.training.emoji.language import dialogue, prompt
from janus.training.emoji.scenes import sample_scene
from janus.training.emoji.sprites import LANGUAGES, Sprites

SPECIAL_TOKENS = (BOS, EOS, PAD, IMAGE_START, IMAGE_END, IMAGE, USER, ASSISTANT)


def train_vocabulary(
    sprites: Sprites, *, size: int, seed: int, num_scenes: int = 10_000
) -> JanusTokenizer:
    """Learns merges from sentences of training scenes; the same seed gives the same vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(sprites, seed, num_scenes), trainer)
    return JanusTokenizer(tokenizer)


def _sentences(sprites: Sprites, seed: int, num_scenes: int) -> Iterator[str]:
    """In every language, as they stand in a prompt: after a colon, words begin with a space."""
    rng = np.random.default_rng(seed)
    for _ in range(num_scenes):
        scene = sample_scene(rng, sprites, False)
        for language in LANGUAGES:
            yield f": {prompt(scene, sprites, rng, language)}\n\n"
            for asked in dialogue(scene, sprites, rng, language):
                yield f"\n{asked.text}\n\n: {asked.answer}"
