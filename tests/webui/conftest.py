"""A studio that runs in this process, on a random model of the bundled one's size."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.recipe import emoji_config
from janus.training.initial import initialise_convolutions, initialise_linears

CONTEXT = 256  # short, because a random model never ends its answers
SECONDS_A_STEP = 0.02  # at least, so that a drawing lasts on any machine


@pytest.fixture(scope="package")
def model(vocabulary: JanusTokenizer) -> Janus:
    """It sees and draws as the bundled one does, but has less to think with."""
    config = emoji_config(vocabulary.special.image)
    transformer = replace(config.transformer, num_hidden_layers=2, max_position_embeddings=CONTEXT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = JanusModel(replace(config, transformer=transformer)).eval()
        network.requires_grad_(False)
        initialise_linears(network)
        initialise_convolutions(network.vqmodel)
    network.register_forward_pre_hook(lambda *_: time.sleep(SECONDS_A_STEP))
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    model = Janus(network, vocabulary, style, name="janus-emoji", guidance=2.0)
    model.draw("anything", count=4)  # from now on there is room for several at a time
    return model


@pytest.fixture(scope="package")
def studio(model: Janus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", os.fspath(tmp_path_factory.mktemp("gradio")))
        from webui.app import build, serve

        page = build(model, can_switch=True)
        yield serve(page, host="127.0.0.1", port=free_port())
        page.close(verbose=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
