"""Janus as diffusers draws: `pipe("two red hearts", num_images_per_prompt=4).images`.

Prompts and diffusers' settings in; pictures out, as PIL, numpy, torch or ids of the codebook. Draws
with a `Janus`, all pictures of a call in the same passes. Nothing is denoised: step i of a drawing
is the i-th id of every picture. It does not see; `pipe.janus` does.
"""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any, Literal, NoReturn, Self, cast, get_args

import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from PIL import Image
from torch import Tensor

from janus.drawings import Generators, requests_for
from janus.engine.request import ImageRequest, Ticket, num_steps
from janus.errors import UsageError
from janus.pipeline import DEFAULT_MODEL, Janus

OutputType = Literal["pil", "np", "pt", "latent"]
StepCallback = Callable[["JanusPipeline", int, int, dict[str, Tensor]], dict[str, Tensor] | None]

UNDRAWN = -1  # in the place of ids that are not chosen yet

# What other pipelines take and Janus cannot: why, and what to do.
UNSUPPORTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "negative_prompt": (
            "Janus has no negative prompt: guidance leads away from an empty one.",
            "Say in the prompt what to draw, and how closely with guidance_scale.",
        ),
        "num_inference_steps": (
            "Janus takes one step for each id of a picture, no more and no fewer.",
            "Leave num_inference_steps out.",
        ),
        "image": (
            "Janus draws from words alone: it changes no picture.",
            "Leave image out, or ask about it with pipe.janus.ask(image, question).",
        ),
    }
)


class JanusPipeline(DiffusionPipeline):
    """Make one with `JanusPipeline.from_pretrained`, or of a `Janus` that is loaded already."""

    _callback_tensor_inputs = ("latents",)

    janus: Janus

    def __init__(self, janus: Janus) -> None:
        super().__init__()
        if not isinstance(janus, Janus):
            raise UsageError(
                f"A JanusPipeline is made of a Janus, not of a {type(janus).__name__}.",
                "Use JanusPipeline.from_pretrained(name or folder).",
            )
        self.register_modules(janus=janus)
        self._interrupt = False

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        torch_dtype: str | torch.dtype | None = None,
        device_map: str | torch.device | None = None,
        **settings: Any,
    ) -> Self:
        """Opens what `Janus.from_pretrained` opens, with its settings or diffusers' names for them.

        Unlike other pipelines it is put on the GPU where there is one; `device="cpu"` keeps it off.
        """
        named = {"dtype": torch_dtype, "device": device_map}
        given = {name: value for name, value in named.items() if value is not None}
        known = inspect.signature(Janus.from_pretrained).parameters
        for name in settings:
            if name not in known:
                raise UsageError(
                    f"There is no setting {name!r}.", f"The settings are: {', '.join(known)}."
                )
            if name in given:
                raise UsageError(f"{name} is given twice, under two names.", "Give one of them.")
        return cls(Janus.from_pretrained(name_or_folder, **settings, **given))

    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        num_images_per_prompt: int | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
        generator: Generators | None = None,
        height: int | None = None,
        width: int | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] | None = ("latents",),
        **settings: Any,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Pictures of each prompt in their order; further `settings` are those of `Janus.draw`.

        Picture k of all has the generator's initial seed + k, wherever the generator has come to:
        a call with the same generator draws the same again. A list has one generator a picture.

        `callback_on_step_end(pipe, step, timestep, {"latents": ids})` is called after each of
        `pipe.num_timesteps` steps, which end in groups; `timestep` counts down to 0. `ids` are
        [pictures, ids of a picture], -1 where none is chosen yet. They cannot be replaced. With
        `pipe._interrupt = True` the drawing ends early, with pictures as far as they have come.

        `output_type` is "pil", "np" ([B, H, W, 3], 0 to 1), "pt" ([B, 3, H, W], 0 to 1) or
        "latent" (such ids).

        Raises:
            UsageError: a setting is out of range, or asks for what Janus cannot do.
        """
        _check_choice("output_type", output_type, get_args(OutputType))
        inputs = getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs)
        for name in inputs or ():
            _check_choice("callback_on_step_end_tensor_inputs", name, self._callback_tensor_inputs)
        self._check_size(height, width)
        settings |= {
            "num_images_per_prompt": num_images_per_prompt,
            "guidance_scale": guidance_scale,
            "temperature": temperature,
        }
        requests = requests_for(self.janus, prompt, generator, _supported(settings))
        self._interrupt = False
        tickets = self._draw(requests, callback_on_step_end, inputs or ())
        images = self._output(tickets, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    # ------------------------------------------------------------ the model

    def to(
        self,
        *args: str | torch.device | torch.dtype | None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Moves the pipeline; the `Janus` that it was made of stays where it is.

        Raises `UsageError` for a device or dtype that cannot be used, and for a quantized model.
        """
        for value in args:
            if isinstance(value, torch.dtype):
                dtype = value
            elif value is not None:
                device = value
        self.janus = self.janus.to(device, dtype)
        return self

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        safe_serialization: bool = True,
        variant: str | None = None,
    ) -> None:
        """Writes a checkpoint as `Janus.save_pretrained` does, which transformers opens too.

        It has no `model_index.json`: `DiffusionPipeline.from_pretrained` would look for this class
        in diffusers itself, or run code from the folder.
        """
        if not safe_serialization or variant is not None:
            raise UsageError(
                "Weights are saved as safetensors, without a variant.",
                "Leave safe_serialization and variant out.",
            )
        self.janus.save_pretrained(save_directory)

    @property
    def device(self) -> torch.device:
        return self.janus.device

    @property
    def dtype(self) -> torch.dtype:
        return self.janus.dtype

    def enable_model_cpu_offload(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `UsageError`, as its siblings do."""
        raise UsageError(
            "Janus is one model that works in every step: it has no parts to offload by turns.",
            "Use torch_dtype=torch.bfloat16 for half the memory of float32, or a CPU with "
            'quantize="int8" or "int4".',
        )

    enable_sequential_cpu_offload = enable_group_offload = enable_model_cpu_offload

    def __repr__(self) -> str:
        return f"JanusPipeline({self.janus!r})"

    # ------------------------------------------------------------ the drawing of late

    @property
    def num_timesteps(self) -> int:
        """Steps of a drawing: the ids of a picture."""
        return self.janus.model.config.num_image_tokens

    @property
    def interrupt(self) -> bool:
        return self._interrupt

    # ------------------------------------------------------------ inside

    def _check_size(self, height: int | None, width: int | None) -> None:
        side = self.janus.image_size
        asked = tuple(side if length is None else length for length in (width, height))
        if asked != (side, side):
            raise UsageError(
                f"This model does not draw {asked[0]}x{asked[1]}.",
                f"It draws {side}x{side}: leave height and width out.",
            )

    def _draw(
        self, requests: Sequence[ImageRequest], callback: StepCallback | None, inputs: Sequence[str]
    ) -> Sequence[Ticket]:
        """The tickets at their end, or when the drawing was interrupted."""
        tickets: Sequence[Ticket] = ()
        num_pictures, num_shown = sum(request.params.count for request in requests), 0
        with (
            self.progress_bar(total=self.num_timesteps) as bar,  # pyright: ignore[reportCallIssue]
            closing(self.janus.engine.run_all(requests)) as passes,
        ):
            for tickets in passes:
                while num_shown < num_steps(tickets) // num_pictures and not self._interrupt:
                    if callback is not None:
                        self._call(callback, num_shown, tickets, inputs)
                    num_shown += 1
                    bar.update()
                if self._interrupt:
                    break
        return tickets

    def _call(
        self, callback: StepCallback, step: int, tickets: Sequence[Ticket], inputs: Sequence[str]
    ) -> None:
        given = {"latents": self._ids(tickets)} if "latents" in inputs else {}
        returned = callback(self, step, self.num_timesteps - 1 - step, dict(given)) or {}
        if any(value is not given.get(name) for name, value in returned.items()):
            raise UsageError(
                "Ids that are drawn cannot be replaced.",
                "Let callback_on_step_end return what it was given, or nothing.",
            )

    def _ids(self, tickets: Sequence[Ticket]) -> Tensor:
        pictures = [ids for ticket in tickets for ids in ticket.pictures]
        ids_BI = torch.full((len(pictures), self.num_timesteps), UNDRAWN)
        for row_I, ids in zip(ids_BI, pictures, strict=True):
            row_I[: len(ids)] = torch.tensor(ids, dtype=torch.long)
        return ids_BI

    def _output(self, tickets: Sequence[Ticket], output_type: OutputType) -> Any:
        if output_type == "latent":
            return self._ids(tickets)
        images = [image for ticket in tickets for image in self.janus.previews(ticket.pictures)]
        if output_type == "pil":
            return images
        pixels_BHW3 = VaeImageProcessor.pil_to_numpy(cast(list[Image.Image], images))
        return pixels_BHW3 if output_type == "np" else VaeImageProcessor.numpy_to_pt(pixels_BHW3)


def _supported(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are given. Raises `UsageError` for what Janus cannot do."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        if name in UNSUPPORTED:
            raise UsageError(*UNSUPPORTED[name])
    return given


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"{name} is {value!r}.", f"Use {', '.join(choices)}.")
