"""`janus draw`: words in, files out, each with the settings that made it."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
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
    failures, told, left_out = Failures(), [], []
    try:
        for prompt in plan.prompts:
            with failures.noted(UsageError):
                before = len(told)
                drawn = draw_portions(janus, prompt, plan.settings, messages)
                portions = (_wanted(portion, plan.only) for portion in drawn)
                if plan.best is not None:
                    kept, others = _best(portions, plan.best, janus, messages)
                    portions, left_out = [enumerate(kept)], left_out + others
                for portion in portions:
                    _save(portion, target, before, results, told)
    finally:
        if results.json and told:
            compared = {"left_out": list(map(_describe, left_out))} if plan.best else {}
            results.print_json({"pictures": told, **compared})
    failures.exit()


def _wanted(
    portion: Iterator[tuple[int, "Picture"]], only: int | None
) -> Iterator[tuple[int, Drawn]]:
    """With its place among those that are wanted, and the seconds until it was finished."""
    started = time.perf_counter()
    for place, picture in portion:
        if only in (None, place):
            seconds = time.perf_counter() - started
            yield place if only is None else 0, Drawn(picture=picture, seconds=seconds)


def _best(
    portions: Iterable[Iterable[tuple[int, Drawn]]], best: int, janus: "Janus", messages: Messages
) -> tuple[list[Drawn], list[Drawn]]:
    """Those to keep, and those that were compared with them and are not."""
    by_place = dict(chain.from_iterable(portions))
    ranking = ranked(janus, [by_place[place] for place in sorted(by_place)], messages)
    messages.report(scores(ranking, best))
    return ranking[:best], ranking[best:]


def _save(
    portion: Iterable[tuple[int, Drawn]],
    target: Target,
    before: int,
    results: Results,
    told: list[dict[str, Any]],
) -> None:
    """Each as it comes; they are told in the order of their places, even if the rest fails."""
    saved: dict[int, dict[str, Any]] = {}
    try:
        for place, drawn in portion:
            path = target.save(drawn.picture, before + place + 1, results)
            saved[place] = {"path": path, **_describe(drawn)}
    finally:
        for place in sorted(saved):
            told.append(saved[place])
            path = saved[place]["path"]
            if path != STDOUT and not results.json:
                results.print(path)


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
