"""The studio in a Space: which model it shows, on the hardware that the Space has.

In: the Space's card, and ZeroGPU's decorator where it runs on that. Out: the page. The variable
JANUS_MODEL names a model; otherwise it is that of the card, or the bundled one without a GPU.
"""

import os
from pathlib import Path

import gradio as gr
from huggingface_hub import metadata_load

from janus.devices import best_device
from janus.pipeline import Janus
from webui.app import build
from webui.loader import Loading, ModelLoader, pretrained
from webui.space.zero import Gpu, ZeroJanus
from weights import catalog


def studio(card: Path, gpu: Gpu | None = None) -> gr.Blocks:
    """The page; without ZeroGPU, the model is still being loaded."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    name = model_name(card, has_gpu=gpu is not None or best_device() == "cuda")
    entry = catalog.find(name)
    is_bundled = entry is not None and entry.name == catalog.BUNDLED
    if gpu is not None:
        # At once and in this thread: ZeroGPU keeps what is there when the page is launched. And as
        # told, since there is no GPU yet that could be asked what it can do.
        model = Janus.from_pretrained(name, device="cuda", dtype="bfloat16")
        return build(ZeroJanus(model, gpu), in_small_space=is_bundled)
    loader = ModelLoader(pretrained(), Loading(name))
    loader.start(name)
    return build(loader, in_small_space=is_bundled)


def model_name(card: Path, *, has_gpu: bool) -> str:
    """The model to show."""
    wanted = os.environ.get("JANUS_MODEL")
    if wanted or not has_gpu:
        return wanted or catalog.BUNDLED
    models = (metadata_load(card) or {}).get("models", [])
    return models[0] if models else catalog.BUNDLED
