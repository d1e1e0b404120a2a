"""What parity is measured on: one picture, one question, one description; and both models on them.

Prompts come from our templates, so that both models are given the same ids. All tensors that leave
are float32 on the CPU. Decides nothing.
"""

# B pictures, I tokens of a picture, T tokens of a prompt, V words, K codes, S side, D width

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest
from janus.generation.guidance import guide
from janus.model.cache import Rows
from janus.model.model import JanusModel
from janus.pipeline import Janus

QUESTION = "What is shown in this picture, and in which colours?"
DESCRIPTION = "A red circle beside a yellow square, before a sky that turns from blue to green."
NUM_CODES = 16  # fixed image ids, after each of which the logits are compared


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Prompts, and fixed image ids to follow the one for drawing."""

    image: Image.Image
    answer: TextRequest
    drawing: ImageRequest
    codes: tuple[int, ...]
    image_token_id: int

    @classmethod
    def of(cls, janus: Janus, num_tokens: int) -> "Case":
        config, image = janus.model.config, sample_image(janus.image_size)
        num_codes = min(NUM_CODES, config.num_image_tokens)
        step = config.codebook.num_embeddings // num_codes
        return cls(
            image=image,
            answer=janus.text_request(image, QUESTION, temperature=0, max_tokens=num_tokens),
            drawing=janus.image_request(DESCRIPTION, temperature=0, seed=0),
            codes=tuple(i * step for i in range(num_codes)),
            image_token_id=janus.tokenizer.special.image,
        )

    @property
    def pixels_13SS(self) -> Tensor:
        assert self.answer.prompt.pixels is not None
        return self.answer.prompt.pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What our model makes of a case: [1, I, D], [T, V], [T, K], and greedy ids."""

    seen: Tensor
    text_logits: Tensor
    image_logits: Tensor
    text_ids: tuple[int, ...]
    image_ids: tuple[int, ...]


def sample_image(side: int) -> Image.Image:
    """Gradients and two shapes: something to see at every place, and the same everywhere."""
    slope = Image.linear_gradient("L").resize((side, side))
    image = Image.merge("RGB", (slope.rotate(90), slope, slope.rotate(180)))
    pen = ImageDraw.Draw(image)
    pen.ellipse((side * 0.1, side * 0.2, side * 0.5, side * 0.6), fill="red")
    pen.rectangle((side * 0.55, side * 0.5, side * 0.9, side * 0.85), fill="yellow")
    return image


# ---------------------------------------------------------------- ours


@torch.inference_mode()
def run_ours(model: JanusModel, case: Case) -> Outputs:
    device = model.device
    seen_1ID = model.see(case.pixels_13SS.to(device))
    ids_1T = torch.tensor([case.answer.prompt.ids], device=device)
    asked_1TD = model.embed_text(ids_1T)
    asked_1TD[ids_1T == case.image_token_id] = seen_1ID.flatten(0, 1)
    words_1TD = model.embed_text(torch.tensor([case.drawing.prompt.ids], device=device))
    codes_1TD = model.embed_image(torch.tensor([case.codes], device=device))
    drawn_1TD = torch.cat([words_1TD, codes_1TD], dim=1)
    return Outputs(
        seen=_plain(seen_1ID),
        text_logits=_plain(model.text_logits(_final_states(model, asked_1TD))),
        image_logits=_plain(model.image_logits(_final_states(model, drawn_1TD))),
        text_ids=_greedy_ids(model, case.answer, case.image_token_id),
        image_ids=_greedy_ids(model, case.drawing, case.image_token_id),
    )


def _final_states(model: JanusModel, hidden_1TD: Tensor) -> Tensor:
    return model(hidden_1TD[0], Rows.uniform(1, hidden_1TD.shape[1], hidden_1TD.device))


def _greedy_ids(
    model: JanusModel, request: TextRequest | ImageRequest, placeholder_id: int
) -> tuple[int, ...]:
    is_answer = isinstance(request, TextRequest)
    output = request.params.max_tokens if is_answer else model.config.num_image_tokens
    length = len(request.prompt) + output
    engine = Engine(model, num_slots=2, length=length, placeholder_id=placeholder_id)
    *_, ticket = engine.run(engine.submit(request))
    return ticket.ids


def _plain(tensor: Tensor) -> Tensor:
    return tensor.float().cpu()


# ---------------------------------------------------------------- theirs


class Theirs:
    """Stock transformers' model on a case."""

    def __init__(self, folder: Path, case: Case, *, device: torch.device, dtype: str) -> None:
        self.case, self.device = case, device
        self.model = load_theirs(folder, dtype).to(device)
        self.pixels_13SS = case.pixels_13SS.to(device, self.model.dtype)

    @torch.inference_mode()
    def seen(self) -> Tensor:
        return _plain(self.model.model.get_image_features(self.pixels_13SS).pooler_output)

    @torch.inference_mode()
    def text_logits(self, answer: tuple[int, ...] = ()) -> Tensor:
        """At every place of the prompt and of this answer: [T, V]."""
        ids_1T = torch.tensor([self.case.answer.prompt.ids + answer], device=self.device)
        return _plain(self.model(ids_1T, pixel_values=self.pixels_13SS).logits[0])

    def next_text_logits(self, answer: tuple[int, ...]) -> Tensor:
        return self.text_logits(answer)[-1]

    @torch.inference_mode()
    def image_logits(self) -> Tensor:
        """At every place of the prompt and of the fixed codes: [T, K]."""
        return _plain(self._image_logits([self.case.drawing.prompt.ids], self.case.codes)[0])

    @torch.inference_mode()
    def next_image_logits(self, codes: tuple[int, ...]) -> Tensor:
        """With guidance, after these codes: [K]."""
        prompt = self.case.drawing.prompt
        unguided = prompt.unconditional(self.case.drawing.pad_id)
        logits_2TK = self._image_logits([prompt.ids, unguided.ids], codes)
        weight_1 = torch.tensor([self.case.drawing.params.guidance], device=self.device)
        return _plain(guide(logits_2TK[:1, -1], logits_2TK[1:, -1], weight_1)[0])

    @torch.inference_mode()
    def answer(self) -> tuple[int, ...]:
        ids_1T = torch.tensor([self.case.answer.prompt.ids], device=self.device)
        written_1T = self.model.generate(
            input_ids=ids_1T,
            attention_mask=torch.ones_like(ids_1T),
            pixel_values=self.pixels_13SS,
            max_new_tokens=self.case.answer.params.max_tokens,
            do_sample=False,
        )
        written = written_1T[0, ids_1T.shape[1] :].tolist()
        return tuple(token for token in written if token not in self.case.answer.eos_ids)

    @torch.inference_mode()
    def picture(self) -> tuple[int, ...]:
        ids_1T = torch.tensor([self.case.drawing.prompt.ids], device=self.device)
        drawn_1I = self.model.generate(
            input_ids=ids_1T,
            attention_mask=torch.ones_like(ids_1T),
            generation_mode="image",
            guidance_scale=self.case.drawing.params.guidance,
            do_sample=False,
        )
        return tuple(drawn_1I[0].tolist())

    def _image_logits(self, prompts: list[tuple[int, ...]], codes: tuple[int, ...]) -> Tensor:
        prompts_BT = torch.tensor(prompts, device=self.device)
        embeddings = [self.model.get_input_embeddings()(prompts_BT)]
        if codes:
            codes_BT = torch.tensor([codes] * len(prompts), device=self.device)
            embeddings.append(self.model.prepare_embeddings_for_image_generation(codes_BT))
        states = self.model.model.language_model(inputs_embeds=torch.cat(embeddings, dim=1))
        return self.model.model.generation_head(states.last_hidden_state)


def load_theirs(folder: Path, dtype: str) -> Any:
    from transformers import JanusForConditionalGeneration

    model = JanusForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.eval()


def processor_ids(folder: Path, case: Case) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that stock JanusProcessor makes of the question and of the description."""
    from transformers import JanusProcessor

    processor: Any = JanusProcessor.from_pretrained(folder)

    def prompt(*content: dict[str, str]) -> str:
        turn = {"role": "user", "content": list(content)}
        return processor.apply_chat_template([turn], add_generation_prompt=True)

    asked = prompt({"type": "image"}, {"type": "text", "text": QUESTION})
    described = prompt({"type": "text", "text": DESCRIPTION})
    answer = processor(text=asked, images=case.image).input_ids
    picture = processor(text=described, generation_mode="image").input_ids
    return _as_ids(answer), _as_ids(picture)


def _as_ids(ids: Any) -> tuple[int, ...]:
    return tuple(torch.as_tensor(ids).flatten().tolist())
