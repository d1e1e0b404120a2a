"""Does our model compute what stock transformers computes from the same weights?

In: a model's name or folder, in either layout. Out: a `Report` with a check for each part: seen
pictures, logits of both heads, ids chosen one after another, ids of prompts. The two models are
loaded one after the other, so memory for one is enough. Prints nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from janus.errors import UsageError
from janus.evaluation.parity_case import Case, Outputs, Theirs, processor_ids, run_ours
from janus.model.loading import stored_quantization
from janus.pipeline import Janus
from weights.files import Checkpoint
from weights.hub import locate

LARGEST_ERROR = 1e-4
TIE = 1e-4  # logits that close may change places: sums differ in their last bits
# In shorter types two correct programs differ: an expert chosen otherwise changes all that follows.
JUDGED = "float32"

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`passed` is None where nothing follows from a difference."""

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
        if not self.passed:
            return "NOT the same as transformers."
        if any(check.passed is None for check in self.checks):
            return f"No verdict in {self.dtype}, only in {JUDGED}."
        return "Same as transformers."


def compare(
    name_or_folder: str,
    *,
    device: str = "auto",
    dtype: str = JUDGED,
    num_tokens: int = 32,
    local_files_only: bool = False,
    tell: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Runs both models on the same prompts; up to `num_tokens` ids of an answer are compared.

    Raises `JanusError` or `WeightsError` where the model cannot be opened.
    """
    folder = locate(name_or_folder, local_files_only=local_files_only)
    checkpoint = Checkpoint.open(folder)
    if kind := stored_quantization(checkpoint.config):
        raise UsageError(
            f"{name_or_folder} is quantized to {kind}, which transformers does not read.",
            "Compare the whole weights.",
        )
    layout = checkpoint.layout
    tell("Running this package's model ...")
    ours = Janus.from_pretrained(folder, device=device, dtype=dtype)
    case = Case.of(ours, num_tokens)
    found = run_ours(ours.model, case)
    where, kind = ours.device, str(ours.dtype).removeprefix("torch.")
    with _transformers_layout(ours, folder, layout) as theirs_folder:
        del ours
        tell("Running transformers' model ...")
        theirs = Theirs(theirs_folder, case, device=where, dtype=kind)
        checks = [*_compare_outputs(theirs, found, kind), *_compare_prompts(theirs_folder, case)]
    return Report(
        model=name_or_folder, layout=layout, dtype=kind, device=str(where), checks=tuple(checks)
    )


@contextmanager
def _transformers_layout(janus: Janus, folder: Path, layout: str) -> Iterator[Path]:
    """A folder that stock transformers opens."""
    if layout == "transformers":
        yield folder
        return
    with TemporaryDirectory(prefix="janus-parity-") as temporary:
        janus.save_pretrained(temporary)
        yield Path(temporary)


def _compare_outputs(theirs: Theirs, found: Outputs, dtype: str) -> Iterator[Check]:
    yield _close("seen picture", found.seen, theirs.seen(), dtype)
    yield _close("text logits", found.text_logits, theirs.text_logits(), dtype)
    yield _close("image logits", found.image_logits, theirs.image_logits(), dtype)
    yield _same(
        "answer, word by word", found.text_ids, theirs.answer(), theirs.next_text_logits, dtype
    )
    yield _same(
        "guided picture, code by code",
        found.image_ids,
        theirs.picture(),
        theirs.next_image_logits,
        dtype,
    )


def _compare_prompts(folder: Path, case: Case) -> Iterator[Check]:
    """The prompts that JanusProcessor makes of the same words, where the folder has one."""
    if not any(folder.glob("*processor_config.json")):
        return
    answer, picture = processor_ids(folder, case)
    yield _same_prompt("prompt of the answer", case.answer.prompt.ids, answer)
    yield _same_prompt("prompt of the picture", case.drawing.prompt.ids, picture)


def _close(name: str, ours: Tensor, theirs: Tensor, dtype: str) -> Check:
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    return Check(
        name=name,
        value=error,
        result=f"relative error {error:.1e}",
        required=f"at most {LARGEST_ERROR:.0e}" if dtype == JUDGED else "-",
        passed=error <= LARGEST_ERROR if dtype == JUDGED else None,
    )


def _same(
    name: str, ours: Ids, theirs: Ids, their_logits: Callable[[Ids], Tensor], dtype: str
) -> Check:
    """Equal ids, or different ones after a tie, from where on the two go separate ways."""
    total = max(len(ours), len(theirs))
    pairs = enumerate(zip(ours, theirs, strict=False))
    equal = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    result, passed = f"{equal} of {total} equal", equal == total
    if equal < min(len(ours), len(theirs)):
        logits = their_logits(ours[:equal])
        apart = float(logits.max() - logits[ours[equal]])
        result, passed = f"{result}, then {apart:.1e} apart", apart <= TIE
    return Check(
        name=name,
        value=equal / max(total, 1),
        result=result,
        required=f"equal, or {TIE:.0e} apart" if dtype == JUDGED else "-",
        passed=passed if dtype == JUDGED else None,
    )


def _same_prompt(name: str, ours: Ids, theirs: Ids) -> Check:
    return Check(
        name=name,
        value=float(ours == theirs),
        result=f"{len(ours)} ids, JanusProcessor {len(theirs)}",
        required="equal",
        passed=ours == theirs,
    )
