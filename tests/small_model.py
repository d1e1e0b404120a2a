"""A whole model that is small: latent attention, experts, both encoders; random, but it speaks."""

from dataclasses import replace
from string import ascii_lowercase

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from janus.config import JanusConfig
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.vocabulary import SPECIAL_TOKENS
from tests.conftest import tiny_config

WIDTH = 64  # of its transformer


def small_janus(config: JanusConfig | None = None) -> Janus:
    """Sees and draws 32 x 32 pixels in 16 tokens; answers in lower-case letters and no end."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = JanusModel(config or _config(tokenizer)).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=1.2 * parameter[0].numel() ** -0.5)
    letters = [tokenizer.id_of(letter) for letter in ascii_lowercase]
    silent = torch.ones(len(model.lm_head.weight), dtype=torch.bool)
    silent[letters] = False
    model.lm_head.weight[silent] = 0
    style = PromptStyle.of_checkpoint(tokenizer, {"use_default_system_prompt": False})
    return Janus(model, tokenizer, style, name="small")


def byte_tokenizer() -> JanusTokenizer:
    """One id for each byte and each special token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    return JanusTokenizer(tokenizer)


def _config(tokenizer: JanusTokenizer) -> JanusConfig:
    tiny = tiny_config(tokenizer.special.image)
    transformer = replace(tiny.transformer, vocab_size=len(tokenizer), max_position_embeddings=1024)
    return replace(tiny, transformer=transformer)
