"""The same model in stock transformers, to be timed beside ours."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from janus.config import to_transformers
from janus.evaluation.bench import BOS, PAD, prompt_for
from janus.generation.params import DrawParams
from janus.model.loading import WithoutInitialisation, canonical_name
from janus.model.model import JanusModel


class Transformers:
    """Has the weights of the model that it is made from, and shares their memory where it can."""

    name = "transformers"

    def __init__(self, model: JanusModel) -> None:
        from transformers import GenerationConfig, JanusConfig, JanusForConditionalGeneration

        config = JanusConfig(**to_transformers(model.config))
        with WithoutInitialisation():
            theirs: Any = JanusForConditionalGeneration._from_config(config, dtype=model.dtype)
        # In the order of any checkpoint, not in the one that our kernels like.
        weights = {
            canonical_name(name): tensor.contiguous() for name, tensor in model.state_dict().items()
        }
        theirs.load_state_dict(weights, strict=False, assign=True)
        # Prompts begin and end with one id here, so that no other is masked away.
        theirs.generation_config = GenerationConfig(
            bos_token_id=BOS,
            pad_token_id=PAD,
            generation_kwargs={"boi_token_id": BOS},
        )
        self.model = theirs.eval()

    def time_drawing(self, steps: int) -> Iterator[float]:
        """Milliseconds of one image token after another, around the same position as ours."""
        calls: list[float] = []
        hook = self.model.model.language_model.register_forward_pre_hook(
            lambda *_: calls.append(time.perf_counter())
        )
        self._draw(steps + 2, do_sample=True)
        hook.remove()
        # Between its first two calls lies the prompt.
        for begun, ended in pairwise(calls[1:]):
            yield (ended - begun) * 1e3

    def see(self, pixels_B3SS: Tensor) -> object:
        return self.model.model.get_image_features(pixels_B3SS.to(self.model.dtype))

    def draw_pixels(self, ids_BI: Tensor) -> object:
        return self.model.decode_image_tokens(ids_BI)

    def likeliest(self, num: int) -> list[int]:
        """The likeliest ids of a picture, one after the other."""
        return self._draw(num, do_sample=False)[0].tolist()

    @torch.inference_mode()
    def _draw(self, num: int, *, do_sample: bool) -> Tensor:
        prompt_1T = torch.tensor([prompt_for(num).ids], device=self.model.device)
        vision = self.model.model.vision_model.config
        whole, vision.num_image_tokens = vision.num_image_tokens, num
        try:
            return self.model.generate(
                input_ids=prompt_1T,
                attention_mask=torch.ones_like(prompt_1T),
                generation_mode="image",
                guidance_scale=DrawParams().guidance,
                do_sample=do_sample,
            )
        finally:
            vision.num_image_tokens = whole
