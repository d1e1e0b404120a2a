"""`janus info`: what is known about a picture, or about a model."""

import contextlib
import io
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from janus.cli.common import command, read_stdin
from janus.cli.options import Messages, Results
from janus.errors import PictureError
from janus.plaintext import gigabytes, table
from weights import catalog


@command
def info(
    subject: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A picture, or a model by its name or folder."),
    ],
    results: Results,
    messages: Messages,
) -> None:
    """Show how a picture was drawn, or what a model is.

    \b
    janus info hearts.png
    janus info janus-pro-7b
    """
    # Not by Path, which raises for names that no file can have.
    is_model = os.path.isdir(subject) or (catalog.find(subject) and not os.path.isfile(subject))
    facts = _describe_model(subject) if is_model else _describe_picture(subject)
    if results.json:
        results.print_json(facts)
    else:
        results.print(table([(name, str(value)) for name, value in _lines(facts)]))


def _lines(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a person reads: settings like everything else, sizes with their units."""
    lines = []
    for name, value in facts.items():
        if name == "settings":
            lines += value.items() if value else [("settings", "none")]
        elif name == "foreign_settings":
            lines += [("written by", "another tool"), *value.items()]
        elif value is not None:
            shown = gigabytes(value) if name.endswith("bytes") else value
            lines.append((name.replace("_", " "), shown))
    return lines


# ---------------------------------------------------------------- pictures


def _describe_picture(file: str) -> dict[str, Any]:
    from PIL import Image

    from janus.metadata import read_parameters, read_settings

    source = io.BytesIO(read_stdin()) if file == "-" else file
    try:
        with Image.open(source) as image:
            facts = {"file": file, "format": image.format, "size": f"{image.width}x{image.height}"}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise _unreadable(source) from None
    if isinstance(source, io.BytesIO):
        source.seek(0)
    settings = read_settings(source)
    foreign = None if settings else read_parameters(source)
    return {**facts, "settings": settings, **({"foreign_settings": foreign} if foreign else {})}


def _unreadable(source: str | io.BytesIO) -> PictureError:
    """Why it is no picture, in the words of the package that knows."""
    from vision.errors import PictureError as VisionPictureError
    from vision.pixels import load_picture

    with contextlib.suppress(OSError):
        try:
            load_picture(source)
        except VisionPictureError as error:
            return PictureError(error.message, error.hint)
    return PictureError(f"'{source}' cannot be read.", "Use a JPEG, PNG, WebP or GIF file.")


# ---------------------------------------------------------------- models


def _describe_model(name: str) -> dict[str, Any]:
    from weights.errors import WeightsError
    from weights.hub import locate

    entry = catalog.find(name)
    facts = _describe_entry(entry) if entry else {"name": name}
    try:
        folder = locate(name, local_files_only=True)
    except WeightsError:
        return {**facts, "folder": None, "present": "no: janus weights get " + name}
    return {**facts, **_describe_checkpoint(folder)}


def _describe_entry(entry: catalog.CatalogEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "hub_id": entry.hub_id,
        "licence": f"{entry.licence} ({entry.licence_url})",
        "description": entry.description,
        "knows": entry.knows,
        "parameters": entry.parameters,
        "bytes": entry.bytes,
        "memory_bytes": entry.memory_bytes,
        "layout": entry.layout,
    }


def _describe_checkpoint(folder: Path) -> dict[str, Any]:
    from janus.config import read_config
    from weights.files import Checkpoint

    checkpoint = Checkpoint.open(folder)
    config = read_config(checkpoint.config)
    transformer, vision = config.transformer, config.vision
    experts = transformer.experts
    return {
        "folder": str(folder),
        "layout": checkpoint.layout,
        "files": len(checkpoint.files),
        "bytes": checkpoint.num_bytes,
        "parameters": sum(shape.numel() for shape in checkpoint.shapes().values()),
        "attention": "latent" if transformer.latent_attention else "multi-head",
        "layers": transformer.num_hidden_layers,
        "width": transformer.hidden_size,
        "experts": f"{experts.n_routed_experts} routed, {experts.num_experts_per_tok} a token, "
        f"{experts.n_shared_experts} shared"
        if experts
        else "none: dense",
        "vocabulary": transformer.vocab_size,
        "context": transformer.max_position_embeddings,
        "picture_size": f"{vision.image_size}x{vision.image_size}",
        "picture_tokens": config.num_image_tokens,
        "codes": config.codebook.num_embeddings,
    }
