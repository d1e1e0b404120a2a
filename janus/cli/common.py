"""What every command has in common: options in groups, errors in a line or two, exit codes.

`command` makes a plain function into what typer takes: its parameters may be dataclasses of options
(see `options`), and whatever it raises becomes a message on stderr and the exit code that belongs
to it. Knows no command.
"""

import contextlib
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import typer

from janus.cli.options import Messages
from janus.errors import JanusError, as_janus_error

EXIT_CODES: Mapping[int, str] = {
    0: "success",
    1: "any other error",
    2: "a wrong option or setting",
    3: "the model is missing or unreadable",
    4: "out of memory",
    5: "a picture cannot be read",
    6: "the address or port cannot be used",
    7: "a result cannot be saved",
    8: "an optional package is missing",
    130: "interrupted",
}


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A function for `typer.Typer.command`: groups of options spread out, errors reported."""
    parameters = inspect.signature(function, eval_str=True).parameters
    groups = {name: p.annotation for name, p in parameters.items() if is_dataclass(p.annotation)}

    @functools.wraps(function)
    def run(**values: Any) -> None:
        built = {name: _build(group, values) for name, group in groups.items()}
        messages = next((g for g in built.values() if isinstance(g, Messages)), Messages())
        messages.apply()
        with _reported(messages):
            function(**values, **built)

    spread = [_spread(p) if name in groups else [p] for name, p in parameters.items()]
    options = [p.replace(kind=p.KEYWORD_ONLY) for group in spread for p in group]
    run.__signature__ = inspect.Signature(options)  # pyright: ignore[reportAttributeAccessIssue]
    return run


class Failures:
    """Errors that do not stop a command: told at once, the first of them decides the exit code."""

    def __init__(self) -> None:
        self._exit_code = 0

    @contextlib.contextmanager
    def noted(self, *kinds: type[JanusError]) -> Iterator[None]:
        """Goes on after an error of these kinds."""
        try:
            yield
        except kinds as error:
            tell(error)
            self._exit_code = self._exit_code or error.exit_code

    def exit(self) -> None:
        """Ends the command, if anything has failed."""
        if self._exit_code:
            raise typer.Exit(self._exit_code)


def tell(error: JanusError) -> None:
    """What happened, and on a line of its own what to do."""
    hint = f"\n  {error.hint}" if error.hint else ""
    print(f"janus: {error.message}{hint}", file=sys.stderr, flush=True)


def read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def _spread(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The options of a group as parameters of their own."""
    hints = get_type_hints(parameter.annotation, include_extras=True)
    return [
        inspect.Parameter(
            field.name, parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(parameter.annotation)
    ]


def _build(group: Any, values: dict[str, Any]) -> Any:
    return group(**{field.name: values.pop(field.name) for field in fields(group)})


@contextlib.contextmanager
def _reported(messages: Messages) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as error:  # whoever read our output has seen enough
        _drop_stdout()
        raise typer.Exit(1) from error
    except (KeyboardInterrupt, Exception) as error:
        if messages.verbose:
            traceback.print_exc()
        known = as_janus_error(error) or _internal(error)
        tell(known)
        _drop_unwritable_stdout()
        raise typer.Exit(known.exit_code) from error


def _internal(error: BaseException) -> JanusError:
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return JanusError(f"internal error: {reason}", "Run with --verbose for the traceback.")


def _drop_unwritable_stdout() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()


def _drop_stdout() -> None:
    """What is still in its buffer goes nowhere, or Python would complain about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
