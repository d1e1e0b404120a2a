"""Does our model compute what stock transformers computes from the same weights?

In: a model's name or folder, in either layout. Out: a `Report` with a check for each part: seen
pictures, logits of both heads, ids chosen one after another, ids of prompts. The two models are
loaded one after the other, so memory for one is enough. Prints nothing.
"""

# B pictures, I tokens of a picture, T tokens of a prompt, V words, K codes, S side, D width

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest
from janus.generation.guidance import guide
from janus.model.cache import Rows
from janus.pipeline import Janus
from weights.files import Checkpoint
from weights.hub import locate

QUESTION = "What is shown in this picture, and in which colours?"
DESCRIPTION = "A red circle beside a yellow square, before a sky that turns from blue to green."
NUM_CODES = 16  # fixed image ids before those whose logits are compared

LARGEST_ERROR = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
TIE = 1e-4  # logits that close may change places: sums differ in their last bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`passed` is None where a difference would prove nothing."""

    name: str
    value: float
    result: str
    required: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        return {True: "ok", False: "DIFFERENT", None: "not judged"}[self.passed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    model: str
    layout: str
    dtype: str
    device: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    @property
    def subject(self) -> str:
        converted = ", written in transformers' layout by us" if self.layout == "original" else ""
        return f"{self.model} ({self.layout} layout{converted}), {self.dtype} on {self.device}"

    @property
    def verdict(self) -> str:
        return "Same as transformers." if self.passed else "NOT the same as transformers."


def compare(
    name_or_folder: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    num_tokens: int = 32,
    local_files_only: bool = False,
    tell: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Runs both models on the same prompts; `num_tokens` ids of an answer are compared.

    Raises `JanusError` or `WeightsError` where the model cannot be opened.
    """
    folder = locate(name_or_folder, local_files_only=local_files_only)
    layout = Checkpoint.open(folder).layout
    tell("Running this package's model ...")
    ours = Janus.from_pretrained(folder, device=device, dtype=dtype)
    case = _Case.of(ours, num_tokens)
    found = _run_ours(ours.model, case)
    where, kind = str(ours.device), str(ours.dtype).removeprefix("torch.")
    with _transformers_layout(ours, folder, layout) as theirs_folder:
        del ours
        tell("Running transformers' model ...")
        theirs = _load_theirs(theirs_folder, where, kind)
        checks = [*_compare_outputs(theirs, case, found, kind), *_compare_ids(theirs_folder, case)]
    return Report(
        model=name_or_folder, layout=layout, dtype=kind, device=where, checks=tuple(checks)
    )


def sample_picture(side: int) -> Image.Image:
    """A gradient with two shapes: something to see at every place, and the same everywhere."""
    slope = Image.linear_gradient("L").resize((side, side))
    picture = Image.merge("RGB", (slope.point(lambda level: level // 4), slope, slope.rotate(180)))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((side * 0.1, side * 0.2, side * 0.5, side * 0.6), fill="red")
    pen.rectangle((side * 0.55, side * 0.5, side * 0.9, side * 0.85), fill="yellow")
    return picture


# ---------------------------------------------------------------- what both are given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """The prompts as our templates build them, and fixed image ids."""

    picture: Image.Image
    answer: TextRequest
    drawing: ImageRequest
    image_token_id: int
    codes: tuple[int, ...]

    @classmethod
    def of(cls, janus: Janus, num_tokens: int) -> "_Case":
        config = janus.model.config
        picture = sample_picture(janus.image_size)
        step = max(1, config.codebook.num_embeddings // NUM_CODES)
        num_codes = min(NUM_CODES, config.num_image_tokens)
        return cls(
            picture=picture,
            answer=janus.text_request(picture, QUESTION, temperature=0, max_tokens=num_tokens),
            drawing=janus.image_request(DESCRIPTION, temperature=0, seed=0),
            image_token_id=janus.tokenizer.special.image,
            codes=tuple(i * step % config.codebook.num_embeddings for i in range(num_codes)),
        )

    @property
    def pixels_13SS(self) -> Tensor:
        assert self.answer.prompt.pixels is not None
        return self.answer.prompt.pixels

    @property
    def unguided_ids(self) -> tuple[int, ...]:
        return self.drawing.prompt.unconditional(self.drawing.pad_id).ids

    def text_ids_1T(self, device: Any, *, answer: tuple[int, ...] = ()) -> Tensor:
        return torch.tensor([self.answer.prompt.ids + answer], device=device)

    def codes_1T(self, device: Any) -> Tensor:
        return torch.tensor([self.codes], device=device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outputs:
    seen_BID: Tensor
    text_logits_TV: Tensor
    image_logits_TK: Tensor
    text_ids: tuple[int, ...]
    image_ids: tuple[int, ...]


# ---------------------------------------------------------------- ours


@torch.inference_mode()
def _run_ours(model: Any, case: _Case) -> _Outputs:
    device = model.lm_head.weight.device
    seen_BID = model.see(case.pixels_13SS.to(device))
    ids_1T = case.text_ids_1T(device)
    hidden_1TD = model.embed_text(ids_1T)
    hidden_1TD[ids_1T == case.image_token_id] = seen_BID.flatten(0, 1)
    drawn_1TD = torch.cat(
        [
            model.embed_text(torch.tensor([case.drawing.prompt.ids], device=device)),
            model.embed_image(case.codes_1T(device)),
        ],
        dim=1,
    )
    return _Outputs(
        seen_BID=seen_BID.cpu(),
        text_logits_TV=model.text_logits(_final_states(model, hidden_1TD)).cpu(),
        image_logits_TK=model.image_logits(_final_states(model, drawn_1TD)).cpu(),
        text_ids=_greedy_ids(model, case.answer, case),
        image_ids=_greedy_ids(model, case.drawing, case),
    )


def _final_states(model: Any, hidden_1TD: Tensor) -> Tensor:
    return model(hidden_1TD[0], Rows.uniform(1, hidden_1TD.shape[1], hidden_1TD.device))


def _greedy_ids(model: Any, request: TextRequest | ImageRequest, case: _Case) -> tuple[int, ...]:
    output = max(case.answer.params.max_tokens, model.config.num_image_tokens)
    engine = Engine(
        model,
        num_slots=2,
        length=len(request.prompt) + output,
        placeholder_id=case.image_token_id,
    )
    ticket = engine.submit(request)
    for _ in engine.run(ticket):
        pass
    return ticket.ids


@contextmanager
def _transformers_layout(janus: Janus, folder: Path, layout: str) -> Iterator[Path]:
    """A folder that stock transformers opens."""
    if layout == "transformers":
        yield folder
        return
    with TemporaryDirectory(prefix="janus-parity-") as temporary:
        janus.save_pretrained(temporary)
        yield Path(temporary)


# ---------------------------------------------------------------- theirs


def _load_theirs(folder: Path, device: str, dtype: str) -> Any:
    from transformers import JanusForConditionalGeneration

    theirs = JanusForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype))
    return theirs.to(device).eval()  # pyright: ignore[reportArgumentType]


@torch.inference_mode()
def _compare_outputs(theirs: Any, case: _Case, found: _Outputs, dtype: str) -> Iterator[Check]:
    seen_BID = theirs.model.get_image_features(case.pixels_13SS.to(theirs.device, theirs.dtype))
    yield _close("seen picture", found.seen_BID, seen_BID.pooler_output, dtype)
    yield _close("text logits", found.text_logits_TV, _text_logits(theirs, case)[0], dtype)
    yield _close("image logits", found.image_logits_TK, _image_logits(theirs, case)[0], dtype)
    yield _same(
        "answer, word by word",
        found.text_ids,
        _their_answer(theirs, case),
        lambda ids: _text_logits(theirs, case, answer=ids)[0, -1],
        dtype,
    )
    yield _same(
        "guided picture, code by code",
        found.image_ids,
        _their_picture(theirs, case),
        lambda ids: _guided_logits(theirs, case, ids),
        dtype,
    )


def _text_logits(theirs: Any, case: _Case, answer: tuple[int, ...] = ()) -> Tensor:
    ids_1T = case.text_ids_1T(theirs.device, answer=answer)
    return theirs(ids_1T, pixel_values=case.pixels_13SS.to(theirs.device, theirs.dtype)).logits


def _image_logits(theirs: Any, case: _Case) -> Tensor:
    prompt_1T = torch.tensor([case.drawing.prompt.ids], device=theirs.device)
    return _logits_after(theirs, prompt_1T, case.codes_1T(theirs.device))


def _guided_logits(theirs: Any, case: _Case, ids: tuple[int, ...]) -> Tensor:
    """Of the next code, after these: [K]."""
    prompts = [case.drawing.prompt.ids, case.unguided_ids]
    codes_BT = torch.tensor([ids, ids], dtype=torch.long, device=theirs.device)
    logits_BTK = _logits_after(theirs, torch.tensor(prompts, device=theirs.device), codes_BT)
    weight_B = torch.tensor([case.drawing.params.guidance], device=theirs.device)
    return guide(logits_BTK[:1, -1], logits_BTK[1:, -1], weight_B)[0]


def _logits_after(theirs: Any, prompts_BT: Tensor, codes_BT: Tensor) -> Tensor:
    embeddings = [theirs.get_input_embeddings()(prompts_BT)]
    if codes_BT.numel():
        embeddings.append(theirs.prepare_embeddings_for_image_generation(codes_BT))
    states = theirs.model.language_model(inputs_embeds=torch.cat(embeddings, dim=1))
    return theirs.model.generation_head(states.last_hidden_state)


def _their_answer(theirs: Any, case: _Case) -> tuple[int, ...]:
    ids_1T = case.text_ids_1T(theirs.device)
    written_1T = theirs.generate(
        input_ids=ids_1T,
        attention_mask=torch.ones_like(ids_1T),
        pixel_values=case.pixels_13SS.to(theirs.device, theirs.dtype),
        max_new_tokens=case.answer.params.max_tokens,
        do_sample=False,
    )
    written = written_1T[0, ids_1T.shape[1] :].tolist()
    return tuple(token for token in written if token not in case.answer.eos_ids)


def _their_picture(theirs: Any, case: _Case) -> tuple[int, ...]:
    ids_1T = torch.tensor([case.drawing.prompt.ids], device=theirs.device)
    drawn_1I = theirs.generate(
        input_ids=ids_1T,
        attention_mask=torch.ones_like(ids_1T),
        generation_mode="image",
        guidance_scale=case.drawing.params.guidance,
        do_sample=False,
    )
    return tuple(drawn_1I[0].tolist())


def _compare_ids(folder: Path, case: _Case) -> Iterator[Check]:
    """The prompts that JanusProcessor makes of the same words, where the folder has one."""
    from transformers import JanusProcessor

    if not any(folder.glob("*processor_config.json")):
        return
    processor: Any = JanusProcessor.from_pretrained(folder)
    seeing = _as_text(processor, [{"type": "image"}, {"type": "text", "text": QUESTION}])
    drawing = _as_text(processor, [{"type": "text", "text": DESCRIPTION}])
    answer = processor(text=seeing, images=case.picture)
    picture = processor(text=drawing, generation_mode="image")
    yield _same_prompt("prompt of the answer", case.answer.prompt.ids, answer.input_ids)
    yield _same_prompt("prompt of the picture", case.drawing.prompt.ids, picture.input_ids)


def _as_text(processor: Any, content: list[dict[str, str]]) -> str:
    conversation = [{"role": "user", "content": content}]
    return processor.apply_chat_template(conversation, add_generation_prompt=True)


# ---------------------------------------------------------------- checks


def _close(name: str, ours: Tensor, theirs: Tensor, dtype: str) -> Check:
    wanted = theirs.float().cpu()
    error = float((ours.float() - wanted).abs().max() / wanted.abs().max())
    largest = LARGEST_ERROR[dtype]
    return Check(
        name=name,
        value=error,
        result=f"relative error {error:.1e}",
        required=f"at most {largest:.0e}",
        passed=error <= largest,
    )


def _same(
    name: str,
    ours: tuple[int, ...],
    theirs: tuple[int, ...],
    their_logits: Callable[[tuple[int, ...]], Tensor],
    dtype: str,
) -> Check:
    """Equal ids, or different ones after a tie, from where on the two go separate ways."""
    total = max(len(ours), len(theirs))
    equal = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
    if equal is None:
        equal = min(len(ours), len(theirs))
    result, passed = f"{equal} of {total} equal", equal == total
    if not passed and equal < len(ours):
        logits = their_logits(ours[:equal])
        apart = float(logits.max() - logits[ours[equal]])
        result, passed = f"{result}, then {apart:.1e} apart", apart <= TIE
    exact = dtype == "float32"
    return Check(
        name=name,
        value=equal / max(total, 1),
        result=result,
        required=f"equal, or {TIE:.0e} apart" if exact else "-",
        passed=passed if exact else None,
    )


def _same_prompt(name: str, ours: tuple[int, ...], theirs: Any) -> Check:
    wanted = tuple(torch.as_tensor(theirs).flatten().tolist())
    is_equal = ours == wanted
    return Check(
        name=name,
        value=float(is_equal),
        result=f"{len(ours)} ids, JanusProcessor {len(wanted)}",
        required="equal",
        passed=is_equal,
    )
