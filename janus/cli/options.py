"""Options that several commands share, in groups: a command takes a group as one parameter.

Settings of drawing and writing have their ranges, defaults and help texts from
`janus.generation.params`. An option that was not given is None, so that a command can tell. Loads
nothing heavy before it is asked to.
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus.errors import SaveError
from janus.generation.params import DrawParams, TextParams, knobs
from weights.catalog import BUNDLED

if TYPE_CHECKING:
    from janus.pipeline import Janus

SCHEMA = 1  # of everything that --json prints


def knob(cls: type, name: str, *spellings: str) -> Any:
    """A typer option for one setting of `DrawParams` or `TextParams`."""
    found = next(knob for knob in knobs(cls) if knob.name == name)
    facts = [found.range] if found.range else []
    if found.kind in ("int", "float") and found.default is not None:
        model = "the model's own, or " if found.of_model else ""
        facts.append(f"default: {model}{found.default}")
    limits = f" [{'; '.join(facts)}]" if facts else ""
    return typer.Option(
        *(spellings or (f"--{name.replace('_', '-')}",)),
        help=found.help + limits,
        show_default=False,
    )


class Settings:
    """A group of options that are settings of the model."""

    __slots__ = ()

    def given(self) -> dict[str, Any]:
        """Those that stand on the command line."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore
        return {name: value for name, value in values.items() if value not in (None, [])}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions(Settings):
    count: Annotated[int | None, knob(DrawParams, "count", "--count", "-n")] = None
    seed: Annotated[int | None, knob(DrawParams, "seed")] = None
    guidance: Annotated[float | None, knob(DrawParams, "guidance")] = None
    temperature: Annotated[float | None, knob(DrawParams, "temperature")] = None
    top_k: Annotated[int | None, knob(DrawParams, "top_k")] = None
    top_p: Annotated[float | None, knob(DrawParams, "top_p")] = None
    style: Annotated[str | None, knob(DrawParams, "style")] = None
    reference: Annotated[
        bool | None, knob(DrawParams, "reference", "--reference/--no-reference")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions(Settings):
    max_tokens: Annotated[int | None, knob(TextParams, "max_tokens")] = None
    temperature: Annotated[float | None, knob(TextParams, "temperature")] = None
    top_p: Annotated[float | None, knob(TextParams, "top_p")] = None
    top_k: Annotated[int | None, knob(TextParams, "top_k")] = None
    seed: Annotated[int | None, knob(TextParams, "seed")] = None
    stop: Annotated[list[str] | None, knob(TextParams, "stop")] = None


Offline = Annotated[
    bool, typer.Option("--offline", help="Download nothing; use only what is already here.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model, and where it runs."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help=f"A name, a hub id or a folder. [env: JANUS_MODEL; default: {BUNDLED}]",
            show_default=False,
        ),
    ] = None
    device: Annotated[
        str,
        typer.Option("--device", envvar="JANUS_DEVICE", help="auto, cpu, cuda, cuda:1 or mps."),
    ] = "auto"
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="auto, float32, bfloat16 or float16. [default: auto]",
            show_default=False,
        ),
    ] = None
    quantize: Annotated[
        str | None,
        typer.Option(
            "--quantize",
            help="int8 or int4: pack the weights into fewer bits, on a CPU; faster and smaller.",
            show_default=False,
        ),
    ] = None
    offline: Offline = False

    @property
    def name(self) -> str:
        return self.model or os.environ.get("JANUS_MODEL") or BUNDLED

    def load(self, messages: "Messages") -> "Janus":
        messages.note(f"Loading {self.name} ...")
        from janus.pipeline import Janus

        return Janus.from_pretrained(
            self.name,
            device=self.device,
            dtype=self.dtype or "auto",
            quantize=self.quantize,
            local_files_only=self.offline,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """What goes to stderr besides errors."""

    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no remarks, only errors.")
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens; errors with a traceback.")
    ] = False

    def apply(self) -> None:
        # A failure is reported once, in a line; the library's own log of it has a traceback.
        level = logging.INFO if self.verbose else logging.CRITICAL
        logging.basicConfig(level=level, format="%(name)s: %(message)s")
        if self.quiet:  # read when huggingface_hub is imported, which is later
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    def note(self, text: str) -> None:
        """A remark for whoever watches; nothing in a script's log."""
        if not self.quiet and sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)

    def report(self, text: str) -> None:
        """What was asked for besides the results, for a script's log, too."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Callable[[float], None]]:
        """A line that shows the fraction last passed to the function that it gives."""
        from tqdm import tqdm

        with tqdm(
            total=1.0,
            desc=label,
            leave=False,
            disable=self.quiet or not sys.stderr.isatty(),
            bar_format="{desc} {percentage:3.0f}% |{bar:30}| {elapsed}, {remaining} left",
        ) as bar:

            def show(fraction: float) -> None:
                bar.update(fraction - bar.n)

            yield show


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What goes to stdout."""

    json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False

    def print(self, text: str, *, end: str = "\n") -> None:
        with _stdout_errors():
            print(text, end=end, flush=True)

    def print_json(self, content: Mapping[str, Any]) -> None:
        """One line: a JSON object with its schema number first."""
        self.print(json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False))

    def write(self, content: bytes) -> None:
        with _stdout_errors():
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def _stdout_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SaveError(
            f"Cannot write to standard output: {error.strerror}.", "Free some space there."
        ) from error
