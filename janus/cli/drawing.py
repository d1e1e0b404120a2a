"""`janus draw`: words in, files out, each with the settings that made it."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus.cli.common import Failures, command, read_stdin
from janus.cli.options import DrawOptions, Messages, ModelOptions, Results
from janus.cli.redraw import Redrawing
from janus.cli.targets import STDOUT, FileOptions, Target
from janus.errors import UsageError
from janus.generation.params import LARGEST_SEED, DrawParams, settings_from
from janus.plaintext import table
from janus.prompts.styles import styles_of, template_of

if TYPE_CHECKING:
    from janus.generation.results import DrawStep, Picture
    from janus.pipeline import Janus


@command
def draw(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT...", help="What to draw; - reads it from standard input."),
    ] = None,
    *,
    drawing: DrawOptions,
    files: FileOptions,
    like: Annotated[
        str | None,
        typer.Option(
            "--like", metavar="FILE", help="Draw this picture again; other options change it."
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="A file with one prompt a line, or -."),
    ] = None,
    list_styles: Annotated[
        bool, typer.Option("--list-styles", help="Print the styles that the model understands.")
    ] = False,
    model: ModelOptions,
    results: Results,
    messages: Messages,
) -> None:
    """Draw pictures of what the prompt says.

    \b
    janus draw "two red hearts"
    janus draw "two red hearts" -n 4 --seed 7 -o hearts/
    janus draw "two red hearts" --style pink
    janus draw --like hearts/picture.png --guidance 3
    janus draw --from prompts.txt --format webp --json
    """
    if results.json and files.output == STDOUT:
        raise UsageError("Standard output takes either the picture or JSON.", "Drop one of them.")
    if list_styles:
        _print_styles(styles_of(model.name), results)
        return
    redrawing = Redrawing.read(like, model.model) if like else None
    texts = _prompts(" ".join(prompt or []), prompts, redrawing)
    plan = _Plan.of(texts, drawing.given(), redrawing)
    target = Target.of(files, several=plan.num_pictures > 1)
    if redrawing:
        model = redrawing.model_options(model)
    if style := plan.settings.get("style"):
        template_of(style, model.name)  # refused now, before the model is loaded
    _carry_out(plan, model.load(messages), target, results, messages)


def draw_portions(
    janus: "Janus", prompt: str, settings: dict[str, Any], messages: Messages
) -> Iterator[Iterator[tuple[int, "Picture"]]]:
    """As many pictures as the model draws at once, then the next.

    Each comes with its place among all as soon as it is finished, so that it can be kept.
    """
    import secrets

    from janus.engine.shared import MAX_SLOTS
    from janus.requests import LARGEST_RANDOM_SEED

    params = settings_from(DrawParams, settings)
    seed = secrets.randbelow(LARGEST_RANDOM_SEED) if params.seed is None else params.seed
    portion = params.count if params.reference else MAX_SLOTS // 2
    for done in range(0, params.count, portion):
        count = min(portion, params.count - done)
        now = {"count": count, "seed": (seed + done) % (LARGEST_SEED + 1)}
        steps = janus.draw_stream(prompt, **settings | now)
        yield _as_finished(steps, messages, done, params.count)


def _as_finished(
    steps: Iterator["DrawStep"], messages: Messages, done: int, total: int
) -> Iterator[tuple[int, "Picture"]]:
    held_back = False
    with messages.progress("Drawing") as show:
        for step in steps:
            show((done + step.fraction * len(step.ids)) / total)
            held_back = step.held_back
            for place, picture in step.new_pictures.items():
                yield done + place, picture
    if held_back:
        messages.note("Memory was too small for all at once: drawn one after another.")


def _print_styles(styles: Mapping[str, str], results: Results) -> None:
    if results.json:
        results.print_json({"styles": dict(styles)})
    else:
        results.print(table(list(styles.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to draw. `only` is the place of the one picture that is wanted of each prompt's."""

    prompts: list[str]
    settings: dict[str, Any]
    only: int | None

    @classmethod
    def of(cls, prompts: list[str], given: dict[str, Any], redrawing: Redrawing | None) -> "_Plan":
        """Wrong settings are refused here, before the model is loaded."""
        settings = redrawing.settings | given if redrawing else given
        settings_from(DrawParams, settings)
        changed = not given.keys().isdisjoint({"seed", "count", "reference"})
        only = redrawing.index if redrawing and not changed else None
        return cls(prompts=prompts, settings=settings, only=only)

    @property
    def num_pictures(self) -> int:
        count = settings_from(DrawParams, self.settings).count if self.only is None else 1
        return len(self.prompts) * count


def _prompts(prompt: str, file: str | None, redrawing: Redrawing | None) -> list[str]:
    if prompt and file:
        raise UsageError("There is a prompt, and a file with prompts.", "Give one of them.")
    if file:
        lines = [line.strip() for line in _read_text(file).splitlines() if line.strip()]
        if not lines:
            raise UsageError(f"'{file}' holds no prompts.", "Write one a line.")
        return lines
    if prompt:
        return [_read_text(prompt) if prompt == "-" else prompt]
    if redrawing is None:
        raise UsageError("There is nothing to draw.", 'Such as: janus draw "two red hearts"')
    return [redrawing.prompt]


def _read_text(file: str) -> str:
    try:
        content = read_stdin() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig").strip()
    except OSError as error:
        raise UsageError(f"Cannot read '{file}': {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"'{file}' is not UTF-8 text.", "Save it as UTF-8.") from error


def _carry_out(
    plan: _Plan, janus: "Janus", target: Target, results: Results, messages: Messages
) -> None:
    """Saves pictures as they are finished; what was saved is told even if the rest fails."""
    failures, told = Failures(), []
    try:
        for prompt in plan.prompts:
            with failures.noted(UsageError):
                before = len(told)
                for portion in draw_portions(janus, prompt, plan.settings, messages):
                    saved: dict[int, dict[str, Any]] = {}
                    try:
                        for place, picture, seconds in _wanted(portion, plan.only):
                            path = target.save(picture, before + place + 1, results)
                            saved[place] = _describe(picture, path, seconds)
                    finally:
                        told += _tell(saved, results)
    finally:
        if results.json and told:
            results.print_json({"pictures": told})
    failures.exit()


def _wanted(
    portion: Iterator[tuple[int, "Picture"]], only: int | None
) -> Iterator[tuple[int, "Picture", float]]:
    """With its place among those that are wanted, and the seconds until it was finished."""
    started = time.perf_counter()
    for place, picture in portion:
        if only in (None, place):
            yield place if only is None else 0, picture, time.perf_counter() - started


def _tell(saved: dict[int, dict[str, Any]], results: Results) -> list[dict[str, Any]]:
    """In the order of their places, which is not that in which they were finished."""
    ordered = [saved[place] for place in sorted(saved)]
    for each in ordered:
        if each["path"] != STDOUT and not results.json:
            results.print(each["path"])
    return ordered


def _describe(picture: "Picture", path: str, seconds: float) -> dict[str, Any]:
    return {
        "path": path,
        "seed": picture.seed,
        "width": picture.image.width,
        "height": picture.image.height,
        "seconds": round(seconds, 3),
        "settings": dict(picture.settings),
    }
