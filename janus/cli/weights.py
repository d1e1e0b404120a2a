"""`janus weights`: which models there are, which are here, whether they are whole; and new ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from janus.cli.common import command
from janus.cli.options import Messages, Offline, Results, Settings
from janus.errors import WeightsMissingError
from janus.plaintext import gigabytes, table
from weights import catalog
from weights.errors import WeightsError
from weights.hub import locate

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name, a hub id or a folder.")]


@command
def list_models(results: Results, messages: Messages) -> None:
    """List the models that have a name here.

    \b
    janus weights list
    """
    entries = [_describe(entry) for entry in catalog.CATALOG]
    if results.json:
        results.print_json({"models": entries})
        return
    rows: list[tuple[str, ...]] = [("NAME", "DOWNLOAD", "MEMORY", "LICENCE", "HERE", "KNOWS")]
    for entry in entries:
        sizes = [gigabytes(n) if n else "-" for n in (entry["bytes"], entry["memory_bytes"])]
        here = "yes" if entry["folder"] else "no"
        rows.append((entry["name"], *sizes, entry["licence"], here, entry["knows"]))
    results.print(table(rows))


@command
def get(name: Name, offline: Offline = False, *, results: Results, messages: Messages) -> None:
    """Download a model, and print the folder where it lies.

    \b
    janus weights get janus-pro-1b
    """
    if entry := catalog.find(name):
        messages.note(f"{entry.licence}: {entry.licence_url}")
    folder = locate(name, local_files_only=offline)
    if results.json:
        results.print_json({"name": name, "folder": str(folder)})
    else:
        results.print(str(folder))


@command
def verify(name: Name, *, results: Results, messages: Messages) -> None:
    """Read a whole model and check that nothing is missing or damaged.

    \b
    janus weights verify janus-pro-1b
    janus weights verify ./my-model
    """
    facts = _verify(name, messages)
    if results.json:
        results.print_json(facts)
    else:
        results.print(
            f"{name}: whole; {facts['tensors']} tensors, {facts['parameters'] / 1e6:.0f} M "
            f"parameters, {facts['vocabulary']} tokens"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions(Settings):
    """Where none is given, the recipe chooses."""

    slices: Annotated[
        int | None,
        typer.Option(
            min=1, help="Equal parts to cut each layer into. [default: of about 1408 neurons]"
        ),
    ] = None
    experts: Annotated[
        int | None, typer.Option(min=2, help="exact: routed experts of a layer. [default: 8]")
    ] = None
    experts_per_token: Annotated[
        int | None,
        typer.Option(
            min=2, help="Routed experts that a token uses. [default: 2; isoflop: those of one copy]"
        ),
    ] = None
    shared: Annotated[
        int | None,
        typer.Option(min=1, help="isoflop: slices that every token uses. [default: half]"),
    ] = None
    copies: Annotated[
        int | None, typer.Option(min=2, help="isoflop: copies of the other slices. [default: 8]")
    ] = None
    first_dense: Annotated[
        int | None, typer.Option(min=0, help="Layers at the start that stay dense. [default: 1]")
    ] = None
    seed: Annotated[
        int | None, typer.Option(min=0, help="For the routers, which are random. [default: 0]")
    ] = None


@command
def upcycle(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, a hub id or a folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is new or empty.")],
    recipe: Annotated[str, typer.Option(help="exact or isoflop.")] = "exact",
    *,
    options: RecipeOptions,
    offline: Offline = False,
    results: Results,
    messages: Messages,
) -> None:
    """Turn a dense model into a mixture of experts that computes the same, to train from.

    \b
    janus weights upcycle janus-pro-1b ./experts
    janus weights upcycle janus-pro-1b ./experts --recipe isoflop --copies 8

    exact keeps each feed-forward layer whole and puts experts beside it that add nothing yet: the
    same bit by bit. isoflop cuts it up and copies some of the parts: a token costs what it did.
    The result is compared with the model, and kept only if it is the same.
    """
    from janus.training.upcycling import upcycle
    from weights.recipes import make_recipe

    made = upcycle(
        model,
        out,
        make_recipe(recipe, options.given()),
        local_files_only=offline,
        progress=messages.progress,
    )
    if results.json:
        results.print_json(
            {
                "folder": str(made.folder),
                "recipe": recipe,
                "parameters_before": made.parameters_before,
                "parameters": made.parameters,
                "active_parameters": made.active_parameters,
                "layer_error": made.difference.layers,
                "logits_error": made.difference.logits,
            }
        )
        return
    millions = (made.parameters_before, made.parameters, made.active_parameters)
    before, after, active = (f"{number / 1e6:.0f} M" for number in millions)
    results.print(
        f"{made.folder}: {after} parameters instead of {before}, {active} for each token; "
        f"largest difference of a layer {made.difference.layers:.1e}"
    )


@command
def quantize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, a hub id or a folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is new or empty.")],
    kind: Annotated[str, typer.Option("--to", metavar="KIND", help="int8 or int4.")] = "int8",
    *,
    offline: Offline = False,
    results: Results,
    messages: Messages,
) -> None:
    """Write a model as --quantize packs it: a fraction of the size, and a quicker start.

    \b
    janus weights quantize janus-pro-1b ./janus-pro-1b-int4 --to int4
    janus draw "a red apple" --model ./janus-pro-1b-int4

    Draws and answers as the model does with --quantize, on a CPU, and only with Janus.
    """
    from janus.quantizing import quantize

    made = quantize(model, out, kind, local_files_only=offline, progress=messages.progress)
    if results.json:
        results.print_json(
            {
                "folder": str(made.folder),
                "kind": kind,
                "bytes_before": made.bytes_before,
                "bytes": made.bytes,
            }
        )
    else:
        results.print(
            f"{made.folder}: {gigabytes(made.bytes)} instead of {gigabytes(made.bytes_before)}"
        )


def find_here(name: str) -> str | None:
    """The folder of a model that need not be downloaded, or None."""
    from weights.layout import find_weights

    try:
        folder = locate(name, local_files_only=True)
        find_weights(folder)
    except WeightsError:
        return None
    return str(folder)


def _describe(entry: catalog.CatalogEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "hub_id": entry.hub_id,
        "parameters": entry.parameters,
        "bytes": entry.bytes,
        "memory_bytes": entry.memory_bytes,
        "licence": entry.licence,
        "licence_url": entry.licence_url,
        "folder": find_here(entry.name),
        "supported": entry.supported,
        "knows": entry.knows,
    }


def _verify(name: str, messages: Messages) -> dict[str, Any]:
    from janus.model.loading import load_model, num_parameters
    from janus.prompts.tokenizer import JanusTokenizer
    from weights.files import Checkpoint

    folder = locate(name, local_files_only=True)
    # On the meta device names and shapes are compared, and no memory is taken.
    model = load_model(folder, device="meta")
    tokenizer = JanusTokenizer.open(folder)
    checkpoint = Checkpoint.open(folder)
    sizes = {name: shape.numel() for name, shape in checkpoint.shapes().items()}
    _require_finite(checkpoint, sum(sizes.values()), messages)
    return {
        "folder": str(folder),
        "layout": checkpoint.layout,
        "tensors": len(sizes),
        "parameters": num_parameters(model),
        "bytes": checkpoint.num_bytes,
        "vocabulary": len(tokenizer),
    }


def _require_finite(checkpoint: Any, total: int, messages: Messages) -> None:
    """Reads every tensor."""
    bad, done = [], 0
    with messages.progress("Reading") as show:
        for name, tensor in checkpoint.tensors():
            if not tensor.isfinite().all():
                bad.append(name)
            done += tensor.numel()
            show(done / total)
    if bad:
        raise WeightsMissingError(
            f"{len(bad)} tensors in {checkpoint.folder} hold numbers that are not finite, such as "
            f"{', '.join(bad[:3])}.",
            "Download the model again, or train it with a lower learning rate.",
        )
