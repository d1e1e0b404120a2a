"""What many tests share: the sprites, the vocabulary of the emoji world, a tiny random model."""

import os

import pytest
import torch

from janus.config import ExpertsConfig, JanusConfig, LatentAttentionConfig, TransformerConfig
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.sprites import Sprites, load_sprites
from janus.training.emoji.vocabulary import train_vocabulary
from janus.training.initial import initialise_convolutions, initialise_linears
from vision.config import CodebookConfig, VisionConfig

VOCAB_SIZE = 640
MOST_PROCESSES = 4  # each holds torch, models and a studio

if not torch.cuda.is_available():  # Triton reads it when it is imported
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite is shared among the cores; a part of it begins sooner in this process."""
    if hasattr(config, "workerinput") or not config.pluginmanager.hasplugin("xdist"):
        return  # one of those processes, or a machine that lacks the plugin
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and config.option.numprocesses is None and not torch.cuda.is_available():
        config.option.numprocesses, config.option.maxprocesses = "auto", MOST_PROCESSES
        config.option.dist = "worksteal"  # neighbours stay together: they share what is set up
        os.environ["OMP_NUM_THREADS"] = "1"  # a core for each process is one thread


@pytest.fixture(scope="session", autouse=True)
def _as_on_a_new_machine():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        torch.set_num_threads(2)
    # It reads its settings once: before a command of ours that is tested here changes them.
    import huggingface_hub.constants  # noqa: F401


@pytest.fixture(scope="session")
def sprites() -> Sprites:
    return load_sprites()


@pytest.fixture(scope="session")
def vocabulary(sprites: Sprites) -> JanusTokenizer:
    return train_vocabulary(sprites, size=VOCAB_SIZE, seed=0, num_scenes=500)


@pytest.fixture(scope="session")
def tiny(vocabulary: JanusTokenizer) -> Janus:
    """A random model of the bundled one's architecture, small enough to draw in a second."""
    torch.manual_seed(0)
    model = JanusModel(tiny_config(vocabulary.special.image)).eval().requires_grad_(False)
    initialise_linears(model)
    initialise_convolutions(model.vqmodel)
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    return Janus(model, vocabulary, style, name="tiny", guidance=3.0)


@pytest.fixture(scope="session")
def tiny_folder(tiny: Janus, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny.save_pretrained(folder)
    return folder


def tiny_config(image_token_id: int) -> JanusConfig:
    width = 64
    return JanusConfig(
        image_token_id=image_token_id,
        transformer=TransformerConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=width,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=512,
            latent_attention=LatentAttentionConfig(
                kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=24
            ),
            experts=ExpertsConfig(
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                first_k_dense_replace=1,
            ),
        ),
        vision=VisionConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=width,
        ),
        codebook=CodebookConfig(
            num_embeddings=128,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=(1, 1, 1, 2),
            num_res_blocks=0,
            projection_dim=width,
            image_token_embed_dim=width,
        ),
    )
