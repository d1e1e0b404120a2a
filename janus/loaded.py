"""A model in memory with all that belongs to it: its words, its prompts and its own settings.

Says what it is. Loads nothing and runs nothing.
"""

import torch

from janus.generation.params import DrawParams
from janus.model.loading import num_parameters
from janus.model.model import JanusModel
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer

TRAINED_CONTEXT = 4096  # of every published checkpoint, whatever its config says


class LoadedModel:
    """What every part of a `Janus` works with."""

    def __init__(
        self,
        model: JanusModel,
        tokenizer: JanusTokenizer,
        style: PromptStyle,
        *,
        name: str,
        guidance: float = DrawParams().guidance,
        temperature: float = DrawParams().temperature,
    ) -> None:
        """`guidance` and `temperature` are those of drawings that ask for none."""
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.guidance, self.temperature = guidance, temperature
        context = min(model.config.transformer.max_position_embeddings, TRAINED_CONTEXT)
        self.template = ChatTemplate(
            tokenizer, style, num_image_tokens=model.config.num_image_tokens, context=context
        )

    @property
    def image_size(self) -> int:
        """Pixels along a side of what it sees and draws."""
        return self.model.config.vision.image_size

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def quantization(self) -> str | None:
        """ "int8" or "int4" where the transformer's weights are packed into fewer bits."""
        return self.model.quantization

    @property
    def has_experts(self) -> bool:
        """Whether some of its feed-forward layers are mixtures of experts."""
        return self.model.config.transformer.experts is not None

    @property
    def number_type(self) -> str:
        """Of weights and activations, as people call it."""
        return self.model.number_type

    @property
    def num_parameters(self) -> int:
        return num_parameters(self.model)

    @property
    def drawing(self) -> dict[str, float]:
        """Settings of drawings that ask for none."""
        return {"guidance": self.guidance, "temperature": self.temperature}
