"""What becomes of errors, whichever command they are raised in."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from janus.cli.common import Failures, command
from janus.cli.options import Messages, Results
from janus.errors import OutOfMemoryError, PictureError, UsageError
from janus.plaintext import table
from weights.errors import CheckpointError


def outcome(error: BaseException, *arguments: str):
    """The result of a command that raises this."""

    @command
    def fail(messages: Messages) -> None:
        raise error

    app = typer.Typer()
    app.command()(fail)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UsageError("That is wrong.", "Do this."), 2, "janus: That is wrong.\n  Do this.\n"),
        (CheckpointError("It is gone."), 3, "janus: It is gone.\n"),
        (KeyboardInterrupt(), 130, "janus: Stopped.\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "janus: internal error: ZeroDivisionError: by zero\n"
            "  Run with --verbose for the traceback.\n",
        ),
        (BrokenPipeError(), 1, ""),
        (typer.Exit(9), 9, ""),
    ],
)
def test_errors_become_a_message_and_an_exit_code(error, code, told):
    result = outcome(error)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", told)


def test_memory_has_an_exit_code_of_its_own():
    assert outcome(MemoryError()).exit_code == OutOfMemoryError.exit_code == 4


def test_verbose_shows_the_traceback():
    result = outcome(ZeroDivisionError("by zero"), "--verbose")
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("  Run with --verbose for the traceback.\n")


def test_groups_of_options_are_spread_and_gathered():
    @dataclass(frozen=True, kw_only=True)
    class Size:
        width: Annotated[int, typer.Option("--width", "-w")] = 1
        height: int = 2

    @command
    def show(name: str, size: Size, results: Results, messages: Messages) -> None:
        results.print(f"{name} {size.width}x{size.height} {results.json} {messages.quiet}")

    app = typer.Typer()
    app.command()(show)
    result = CliRunner().invoke(app, ["it", "-w", "5", "--quiet"])
    assert result.stdout == "it 5x2 False True\n"


def test_the_first_failure_decides_the_exit_code(capsys):
    failures = Failures()
    failures.exit()
    for error in (PictureError("one"), UsageError("two")):
        with failures.noted(PictureError, UsageError):
            raise error
    with pytest.raises(typer.Exit) as exit:
        failures.exit()
    assert exit.value.exit_code == PictureError.exit_code
    assert capsys.readouterr().err == "janus: one\njanus: two\n"
    with pytest.raises(UsageError), failures.noted(PictureError):
        raise UsageError("three")


def test_columns_are_aligned():
    assert table([("a", "bc", "d"), ("abc", "", "e")]) == "a    bc  d\nabc      e"
