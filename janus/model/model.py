"""The wiring diagram in code: two visual encoders, one transformer, two heads.

    seen picture -> vision_model -> aligner ----------------+
    text ids -> embed_tokens -------------------------------+-> language_model -> text or image
    drawn ids -> generation_embeddings -> generation_aligner+   hidden states     logits

Takes and gives tensors; prompts, sampling and the decode loop live elsewhere. Attribute names are
those of transformers' JanusForConditionalGeneration, without its leading `model.`.
"""

# B pictures, I image tokens of a picture, N new tokens of all rows, D width

import torch
from torch import Tensor, nn

from janus.config import JanusConfig
from janus.model.cache import Cache, Rows
from janus.model.heads import ImageHead
from janus.model.transformer import Transformer
from vision.aligner import Aligner
from vision.encoder import VisionEncoder
from vision.tokenizer import ImageTokenizer


class JanusModel(nn.Module):
    def __init__(self, config: JanusConfig) -> None:
        super().__init__()
        self.config = config
        width = config.transformer.hidden_size
        vision, codebook = config.vision, config.codebook
        self.vision_model = VisionEncoder(vision)
        self.aligner = Aligner(vision.hidden_size, width, vision.depth)
        self.vqmodel = ImageTokenizer(codebook)
        self.generation_embeddings = nn.Embedding(codebook.num_embeddings, codebook.embed_dim)
        self.generation_aligner = Aligner(codebook.embed_dim, width, codebook.num_hidden_layers)
        self.generation_head = ImageHead(codebook)
        self.language_model = Transformer(config.transformer)
        self.lm_head: nn.Module = nn.Linear(width, config.transformer.vocab_size, bias=False)
        self.quantization: str | None = None  # see `quantized`

    @property
    def device(self) -> torch.device:
        return self.generation_embeddings.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the activations, and of all weights that are not packed."""
        return self.generation_embeddings.weight.dtype

    @property
    def number_type(self) -> str:
        """Of weights and activations, as people call it."""
        return self.quantization or str(self.dtype).removeprefix("torch.")

    def see(self, pixels_B3SS: Tensor) -> Tensor:
        """Pictures in [-1, 1] -> what stands in their place in a prompt: [B, I, D]."""
        return self.aligner(self.vision_model(pixels_B3SS))

    def embed_text(self, ids: Tensor) -> Tensor:
        return self.language_model.embed_tokens(ids)

    def embed_image(self, ids: Tensor) -> Tensor:
        """Ids of drawn codes [...] -> inputs of the transformer [..., D]."""
        return self.generation_aligner(self.generation_embeddings(ids))

    def forward(self, hidden_ND: Tensor, rows: Rows, cache: Cache | None = None) -> Tensor:
        """Embeddings of the new tokens -> their final hidden states."""
        return self.language_model(hidden_ND, rows, cache)

    def text_logits(self, hidden: Tensor) -> Tensor:
        return self.lm_head(hidden)

    def image_logits(self, hidden: Tensor) -> Tensor:
        return self.generation_head(hidden)

    def draw_pixels(self, ids_BI: Tensor) -> Tensor:
        """Ids of whole pictures -> pixels, about [-1, 1]: [B, 3, S, S]."""
        return self.vqmodel.decode(ids_BI)
