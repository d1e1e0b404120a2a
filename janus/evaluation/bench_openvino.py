"""The same transformer and image head in OpenVINO, on a CPU, to be timed beside ours.

What transformers has of them is converted as OpenVINO's own exporter for transformers does it: keys
and values are states of the graph, which its attention kernel extends where they lie, and NNCF
gives the weights as few bits as ours. It neither sees nor decodes. Needs the extra `openvino`.
"""

# R rows (with the prompt, and without), T new tokens of a row, L positions attended to, D width,
# K key heads, d width of a head, C codes

# OpenVINO is large, so that not everybody who works on this has it.
# pyright: reportMissingImports=false

import contextlib
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.errors import MissingExtraError, UsageError
from janus.evaluation.bench import PAD, prompt_for
from janus.evaluation.bench_peer import Transformers
from janus.generation.guidance import guide
from janus.generation.params import DrawParams
from janus.model.model import JanusModel

ROWS = 2
INT4_GROUP = 128  # weights that share a scale, as in the models that OpenVINO's makers publish


class OpenVino:
    """Has the weights of the model that it is made from, in `quantize` or in their number type."""

    name = "openvino"

    def __init__(self, model: JanusModel, *, quantize: str | None = None) -> None:
        """Raises `UsageError` for what is not an ordinary Llama on a CPU, `MissingExtraError`."""
        check_openvino(model)
        self.words_ND = model.language_model.embed_tokens.weight.float()
        with torch.inference_mode():
            codes = torch.arange(model.config.codebook.num_embeddings)
            self.codes_CD = model.embed_image(codes).float()
        theirs = Transformers(model).model.model
        step = Step(theirs.language_model.float(), theirs.generation_head.float())
        compiled = compile_step(step, model.config.transformer, model.dtype, quantize)
        self.request = compiled.create_infer_request()

    def time_drawing(self, steps: int) -> Iterator[float]:
        """Milliseconds of one image token after another, around the same position as ours.

        Their choice, of the likeliest, is less work than ours, which is random.
        """
        ids = self._draw(steps + 2)
        next(ids)  # the prompt
        next(ids)  # the first of its kind
        for _ in range(steps):
            begun = time.perf_counter()
            next(ids)
            yield (time.perf_counter() - begun) * 1e3

    def likeliest(self, num: int) -> list[int]:
        """The likeliest ids of a picture, one after the other."""
        return list(islice(self._draw(num), num))

    def _draw(self, num: int) -> Iterator[int]:
        prompt, weight = prompt_for(num), torch.tensor([DrawParams().guidance])
        prompts_RT = torch.tensor([prompt.ids, prompt.unconditional(PAD).ids])
        new_RTD, position = self.words_ND[prompts_RT], 0
        self.request.reset_state()
        for _ in range(num):
            cond_C, uncond_C = self._step(new_RTD, position)
            code = int(guide(cond_C[None], uncond_C[None], weight).argmax())
            yield code
            position += new_RTD.shape[1]
            new_RTD = self.codes_CD[code].expand(ROWS, 1, -1)

    def _step(self, new_RTD: Tensor, position: int) -> Tensor:
        count = new_RTD.shape[1]
        # Position p sees itself and all before it.
        hidden_TL = torch.full((count, position + count), float("-inf")).triu(position + 1)
        inputs = (
            new_RTD.contiguous(),
            hidden_TL[None, None],
            torch.arange(position, position + count)[None],
            torch.arange(ROWS, dtype=torch.int32),
        )
        self.request.infer([each.numpy() for each in inputs])
        return torch.from_numpy(self.request.get_output_tensor(0).data)


class Step(nn.Module):
    """What is converted: embeddings of new tokens and earlier keys and values in, logits out."""

    def __init__(self, transformer: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
        self.head = head

    def forward(
        self, new_RTD: Tensor, mask: Tensor, positions: Tensor, rows: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        # The kernel for states is chosen only where their rows can be reordered.
        kept = Kept([tensor.index_select(0, rows) for tensor in past])
        out = self.transformer(
            inputs_embeds=new_RTD,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=kept,
        )
        return self.head(out.last_hidden_state[:, -1]), *kept.tensors


class Kept:
    """Keys and values of all layers in turn, as transformers' own cache, but free of conditions."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.tensors = tensors

    def get_seq_length(self, *_: Any) -> int:
        return self.tensors[0].shape[-2]

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any) -> tuple[Tensor, ...]:
        mine = slice(2 * layer, 2 * layer + 2)
        pairs = zip(self.tensors[mine], (key, value), strict=True)
        self.tensors[mine] = [torch.cat(pair, dim=-2) for pair in pairs]
        return tuple(self.tensors[mine])


def check_openvino(model: JanusModel) -> None:
    """Whether the model can be converted, and what converts it is installed."""
    transformer = model.config.transformer
    if transformer.latent_attention or transformer.experts or model.device.type != "cpu":
        raise UsageError(
            "Only a Llama on a CPU is converted for OpenVINO, such as Janus-Pro's.",
            "Use --random janus-pro-1b, or --against transformers.",
        )
    try:
        import nncf  # noqa: F401
        import openvino  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"OpenVINO cannot be timed: {error}.", "pip install 'janus-multimodal[openvino]'"
        ) from error


def compile_step(
    step: Step, config: TransformerConfig, dtype: torch.dtype, quantize: str | None
) -> Any:
    """The step as OpenVINO runs it, with as many threads as torch has."""
    import openvino

    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if dtype is torch.float32:  # or it would compute in bfloat16, and keep keys in 8 bits
        options |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    with tempfile.TemporaryDirectory() as folder, _talking_to_stderr():
        file = Path(folder, "step.xml")
        graph = _compress(_convert(step, config), quantize)
        # Only in graphs from files are rotary positions recognised as such, and done in one go.
        openvino.save_model(graph, file, compress_to_fp16=False)
        del graph
        return openvino.compile_model(openvino.Core().read_model(file), "CPU", options)


def _convert(step: Step, config: TransformerConfig) -> Any:
    import openvino
    from openvino.passes import MakeStateful, Manager

    heads, width = config.num_key_value_heads, config.head_dim
    example = (
        torch.zeros(ROWS, 3, config.hidden_size),
        torch.zeros(1, 1, 3, 7),
        torch.arange(4, 7)[None],
        torch.arange(ROWS, dtype=torch.int32),
        *[torch.zeros(ROWS, heads, 4, width)] * (2 * config.num_hidden_layers),
    )
    shapes = [[ROWS, -1, config.hidden_size], [1, 1, -1, -1], [1, -1], [ROWS]]
    shapes += [[ROWS, heads, -1, width]] * (2 * config.num_hidden_layers)
    with torch.inference_mode():
        graph = openvino.convert_model(step.eval(), example_input=example, input=shapes)
    states = list(zip(graph.get_parameters()[4:], graph.get_results()[1:], strict=True))
    manager = Manager()
    manager.register_pass(MakeStateful(states))
    manager.run_passes(graph)
    return _begin_empty(graph, (ROWS, heads, 0, width))


def _begin_empty(graph: Any, shape: tuple[int, ...]) -> Any:
    """Gives states their value at the start, without which their kernel is not chosen."""
    from openvino import opset13

    empty = opset13.constant(torch.zeros(shape).numpy())
    for operation in graph.get_ops():
        if operation.get_type_name() == "ReadValue":
            operation.set_arguments([empty])
    graph.validate_nodes_and_infer_types()
    return graph


def _compress(graph: Any, quantize: str | None) -> Any:
    import nncf

    nncf.set_log_level(logging.WARNING)
    mode = nncf.CompressWeightsMode
    if quantize == "int8":
        return nncf.compress_weights(graph, mode=mode.INT8_ASYM)
    if quantize == "int4":
        return nncf.compress_weights(graph, mode=mode.INT4_ASYM, group_size=INT4_GROUP, ratio=1.0)
    return graph


@contextlib.contextmanager
def _talking_to_stderr() -> Iterator[None]:
    """What converters say is no result, and how they warn of each other is no help."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
