"""`janus draw`: words in, files out, each with the settings that made it."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus.cli.best import Drawn, check_best, ranked, scores
from janus.cli.common import Failures, command, read_stdin
from janus.cli.options import DrawOptions, Messages, ModelOptions, Results
from janus.cli.redraw import Redrawing
from janus.cli.targets import STDOUT, FileOptions, Target
from janus.errors import UsageError
from janus.generation.params import LARGEST_SEED, DrawParams, settings_from
from janus.plaintext import table
from janus.prompts.styles import styles_of, template_of

if TYPE_CHECKING:
    from janus.generation.results import Picture
    from janus.pipeline import Janus


@command
def draw(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT...", help="What to draw; - reads it from standard input."),
    ] = None,
    *,
    drawing: DrawOptions,
    best: Annotated[
        int | None,
        typer.Option(
            "--best",
            metavar="N",
            help="Keep only these many of each prompt's pictures: those that show it best, "
            "by the model's own seeing.",
            show_default=False,
        ),
    ] = None,
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
    janus draw "two red hearts" -n 8 --best 2
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
    plan = _Plan.of(texts, drawing.given(), redrawing, best)
    target = Target.of(files, several=plan.num_pictures > 1)
    if redrawing:
        model = redrawing.model_options(model)
    if style := plan.settings.get("style"):
        template_of(style, model.name)  # refused now, before the model is loaded
    _carry_out(plan, model.load(messages), target, results, messages)


def draw_portions(
    janus: "Janus", prompt: str, settings: dict[str, Any], messages: Messages
) -> Iterator[list["Picture"]]:
    """As many pictures as the model draws at once, then the next, so that each can be kept."""
    import secrets

    from janus.engine.shared import MAX_SLOTS
    from janus.pipeline import LARGEST_RANDOM_SEED

    params = settings_from(DrawParams, settings)
    seed = secrets.randbelow(LARGEST_RANDOM_SEED) if params.seed is None else params.seed
    portion = params.count if params.reference else MAX_SLOTS // 2
    for done in range(0, params.count, portion):
        count = min(portion, params.count - done)
        now = {"count": count, "seed": (seed + done) % (LARGEST_SEED + 1)}
        pictures: tuple[Picture, ...] = ()
        held_back = False
        with messages.progress("Drawing") as show:
            for step in janus.draw_stream(prompt, **settings | now):
                show((done + step.fraction * count) / params.count)
                pictures, held_back = step.pictures or (), step.held_back
        if held_back:
            messages.note("Memory was too small for all at once: drawn one after another.")
        yield list(pictures)


def _print_styles(styles: Mapping[str, str], results: Results) -> None:
    if results.json:
        results.print_json({"styles": dict(styles)})
    else:
        results.print(table(list(styles.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to draw, and what to keep of each prompt's pictures: the `best` so many, or all.

    `only` is the place of the one that is wanted.
    """

    prompts: list[str]
    settings: dict[str, Any]
    only: int | None
    best: int | None

    @classmethod
    def of(
        cls,
        prompts: list[str],
        given: dict[str, Any],
        redrawing: Redrawing | None,
        best: int | None,
    ) -> "_Plan":
        """Wrong settings are refused here, before the model is loaded."""
        settings = redrawing.settings | given if redrawing else given
        count = settings_from(DrawParams, settings).count
        changed = not given.keys().isdisjoint({"seed", "count", "reference"})
        only = redrawing.index if redrawing and not changed else None
        check_best(best, count if only is None else 1)
        return cls(prompts=prompts, settings=settings, only=only, best=best)

    @property
    def num_pictures(self) -> int:
        """That are kept."""
        count = settings_from(DrawParams, self.settings).count if self.only is None else 1
        return len(self.prompts) * (self.best or count)


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
    failures, saved, left_out = Failures(), [], []
    try:
        for prompt in plan.prompts:
            with failures.noted(UsageError):
                drawings = _finished(draw_portions(janus, prompt, plan.settings, messages), plan)
                kept, others = _chosen(drawings, plan, janus, messages)
                left_out += map(_describe, others)
                for drawn in kept:
                    path = target.save(drawn.picture, len(saved) + 1, results)
                    saved.append({"path": path, **_describe(drawn)})
                    if path != STDOUT and not results.json:
                        results.print(path)
    finally:
        if results.json and saved:
            compared = {"left_out": left_out} if plan.best else {}
            results.print_json({"pictures": saved, **compared})
    failures.exit()


def _chosen(
    drawings: Iterable[Drawn], plan: _Plan, janus: "Janus", messages: Messages
) -> tuple[Iterable[Drawn], list[Drawn]]:
    """Those to keep, and those that were compared with them and are not."""
    if plan.best is None:
        return drawings, []
    ranking = ranked(janus, list(drawings), messages)
    messages.report(scores(ranking, plan.best))
    return ranking[: plan.best], ranking[plan.best :]


def _finished(portions: Iterator[list["Picture"]], plan: _Plan) -> Iterator[Drawn]:
    """Each wanted picture, with the seconds that its portion took."""
    started = time.perf_counter()
    for pictures in portions:
        seconds = time.perf_counter() - started
        for picture in pictures if plan.only is None else [pictures[plan.only]]:
            yield Drawn(picture=picture, seconds=seconds)
        started = time.perf_counter()


def _describe(drawn: Drawn) -> dict[str, Any]:
    picture = drawn.picture
    told = {
        "seed": picture.seed,
        "width": picture.image.width,
        "height": picture.image.height,
        "seconds": round(drawn.seconds, 3),
        "settings": dict(picture.settings),
    }
    return told if drawn.match is None else {**told, "match": drawn.match}
