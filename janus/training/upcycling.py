"""A dense checkpoint -> a mixture of experts that computes the same, where its training can begin.

In: a model of either layout and a recipe. Out: a folder in transformers' layout with all that
belongs to it, which stock transformers opens. The result is written beside its place, read back and
compared with the dense model; only what is equal is moved there. Holds one shard and one layer.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from janus.config import ExpertsConfig, JanusConfig, TransformerConfig
from janus.errors import SaveError, UsageError
from janus.model.loading import load_model, num_parameters, stored_quantization
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.saving import config_json, other_files, read_drawing, read_processor, require_unused
from janus.training.equality import Difference, require_equal
from weights.export import write_checkpoint
from weights.files import Checkpoint
from weights.hub import locate
from weights.recipes import Plan, Recipe
from weights.upcycle import upcycle_tensors

Show = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcycled:
    """What was written, and how far it is from the dense model."""

    folder: Path
    parameters_before: int
    parameters: int
    active_parameters: int  # those that any one token uses
    difference: Difference


def upcycle(
    name_or_folder: str,
    target: str | Path,
    recipe: Recipe,
    *,
    local_files_only: bool = False,
    max_shard_bytes: int = 4_000_000_000,
    progress: Callable[[str], AbstractContextManager[Show]] = lambda stage: nullcontext(_nobody),
) -> Upcycled:
    """Writes the upcycled model to `target`, a folder that is new or empty.

    `progress` gives for each stage a context with a function that takes the fraction done. Raises
    `JanusError` or `WeightsError` where it cannot be done, or where the result turns out not to be
    the same function; then there is nothing at `target`.
    """
    target = Path(target).resolve()
    require_unused(target)
    folder = locate(name_or_folder, local_files_only=local_files_only)
    job = _Job.of(Checkpoint.open(folder), recipe)
    _require_room(target, job.num_bytes)
    with _folder_beside(target) as temporary:
        staged = Path(temporary) / target.name
        with progress("Writing") as show:
            _write(job, staged, max_shard_bytes, show)
        with progress("Comparing") as show:
            difference = require_equal(
                job.dense,
                Checkpoint.open(staged),
                job.config.transformer,
                recipe.tolerance,
                show,
            )
        _move(staged, target)
    return Upcycled(
        folder=target,
        parameters_before=job.parameters_before,
        parameters=job.parameters,
        active_parameters=job.active_parameters,
        difference=difference,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """All that is known before anything is written; `config` is the result's."""

    dense: Checkpoint
    dtype: torch.dtype
    config: JanusConfig
    plan: Plan
    parameters_before: int

    @classmethod
    def of(cls, dense: Checkpoint, recipe: Recipe) -> "_Job":
        if kind := stored_quantization(dense.config):
            raise UsageError(f"These weights are quantized to {kind}.", "Upcycle whole ones.")
        model = load_model(dense.folder, device="meta")  # compares all names and shapes
        transformer = model.config.transformer
        _require_dense(transformer)
        plan = recipe.plan(transformer.intermediate_size, transformer.num_hidden_layers)
        return cls(
            dense=dense,
            dtype=dense.outline()["lm_head.weight"].dtype,
            config=_with_experts(model.config, plan),
            plan=plan,
            parameters_before=num_parameters(model),
        )

    @property
    def num_bytes(self) -> int:
        """Of the result, about."""
        return self.dense.num_bytes + self.dtype.itemsize * self._added

    @property
    def parameters(self) -> int:
        return self.parameters_before + self._added

    @property
    def active_parameters(self) -> int:
        idle = self.plan.idle_parameters(self.config.transformer.hidden_size)
        return self.parameters - self._num_layers * idle

    @property
    def _added(self) -> int:
        return self._num_layers * self.plan.added_parameters(self.config.transformer.hidden_size)

    @property
    def _num_layers(self) -> int:
        return self.config.transformer.num_hidden_layers - self.plan.first_dense


def _with_experts(config: JanusConfig, plan: Plan) -> JanusConfig:
    experts = ExpertsConfig(
        n_routed_experts=len(plan.routed),
        num_experts_per_tok=plan.experts_per_token,
        moe_intermediate_size=plan.slice_width,
        n_shared_experts=plan.shared,
        n_group=plan.groups,
        topk_group=plan.kept_groups,
        routed_scaling_factor=plan.scale,
        first_k_dense_replace=plan.first_dense,
    )
    return replace(config, transformer=replace(config.transformer, experts=experts))


def _write(job: _Job, folder: Path, max_shard_bytes: int, show: Show) -> None:
    tokenizer = JanusTokenizer.open(job.dense.folder)
    style = PromptStyle.of_checkpoint(tokenizer, read_processor(job.dense.folder))
    write_checkpoint(
        folder,
        _watched(upcycle_tensors(job.dense.tensors(), job.plan), job.num_bytes, show),
        config_json(job.config, tokenizer, job.dtype),
        other_files(job.config, tokenizer, style, drawing=read_drawing(job.dense.folder)),
        max_shard_bytes=max_shard_bytes,
    )


def _watched(
    pairs: Iterable[tuple[str, Tensor]], num_bytes: int, show: Show
) -> Iterator[tuple[str, Tensor]]:
    done = 0
    for name, tensor in pairs:
        yield name, tensor
        done += tensor.nbytes
        show(min(done / num_bytes, 1.0))


def _nobody(fraction: float) -> None:
    """Watches no progress."""


# ---------------------------------------------------------------- refusals


def _require_dense(transformer: TransformerConfig) -> None:
    if transformer.experts is not None:
        raise UsageError(
            f"This model is a mixture of {transformer.experts.n_routed_experts} experts already.",
            "Upcycle a dense one, such as janus-pro-1b.",
        )
    if transformer.output_bias:
        raise UsageError(
            "This model's attention adds a bias to its output; transformers' layout of a mixture "
            "of experts (glm4_moe) has no place for that.",
            "Upcycle a model without it, such as janus-pro-1b.",
        )


def _require_room(target: Path, num_bytes: int) -> None:
    existing = next(folder for folder in target.parents if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if free < num_bytes:
        raise SaveError(
            f"The upcycled model takes {num_bytes / 1e9:.1f} GB, and the disk of {existing} has "
            f"{free / 1e9:.1f} GB free.",
            "Make room, choose another disk, or ask for fewer experts or copies.",
        )


# ---------------------------------------------------------------- places


def _folder_beside(target: Path) -> TemporaryDirectory[str]:
    """On the same disk, so that moving is renaming; it goes away in any case."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error


def _move(staged: Path, target: Path) -> None:
    try:
        if target.exists():
            target.rmdir()
        staged.rename(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> SaveError:
    return SaveError(f"{target} cannot be written: {error.strerror}.", "Choose another folder.")
