"""`janus doctor`: whether this machine can run a model, and what it would run on.

Every check is a line: what was looked at, what was found, and what to do where that is a problem.
Changes nothing and downloads nothing.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer

import janus
from janus.cli.common import command, gigabytes, table
from janus.cli.options import Messages, ModelOptions, Results
from janus.cli.weights import find_here
from weights import catalog

Status = Literal["ok", "warning", "problem"]

REQUIRED = ("torch", "numpy", "pillow", "safetensors", "tokenizers", "huggingface-hub")
OPTIONAL = ("transformers", "gradio", "diffusers")
VARIABLES = ("JANUS_MODEL", "JANUS_DEVICE", "HF_HOME", "HF_HUB_OFFLINE")
OLDEST_TORCH = (2, 11)
QUEUE_LIBRARY = "janus"  # its name on the package index


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    found: str
    status: Status = "ok"
    hint: str = ""


@command
def doctor(model: ModelOptions, results: Results, messages: Messages) -> None:
    """Check this installation. The exit code is 0 where a model can run.

    \b
    janus doctor
    janus doctor --json
    """
    checks = [*_packages(), *_machine(), *_models(model), *_environment()]
    ok = all(check.status != "problem" for check in checks)
    if results.json:
        results.print_json({"ok": ok, "checks": [asdict(check) for check in checks]})
    else:
        results.print(_as_text(checks))
    if not ok:
        raise typer.Exit(1)


def find_name_clash(folder: Path) -> str | None:
    """What stands in the way of `import janus` from `folder`, or None.

    The index has an unrelated queue library called janus; installed beside this package, one
    overwrites files of the other.
    """
    from importlib import metadata

    try:
        installed = metadata.distribution(QUEUE_LIBRARY)
    except metadata.PackageNotFoundError:
        installed = None
    imported = Path(janus.__file__ or "").parent
    if installed is not None:
        return f"the queue library janus {installed.version} is installed too"
    if imported != folder or "Janus" not in getattr(janus, "__all__", ()):
        return f"`import janus` finds another package, in {imported}"
    return None


def _as_text(checks: list[Check]) -> str:
    marks = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}
    lines = table([(marks[check.status], check.name, check.found) for check in checks])
    hints = [f"{check.name}: {check.hint}" for check in checks if check.hint]
    return "\n".join([lines, *(["", *hints] if hints else [])])


def _packages() -> Iterator[Check]:
    yield Check(name="python", found=f"{platform.python_version()}, {sys.executable}")
    yield Check(name="platform", found=platform.platform())
    yield Check(name="janus", found=janus.__version__ if hasattr(janus, "__version__") else "?")
    clash = find_name_clash(Path(__file__).parents[1])
    yield Check(
        name="name clash",
        found=clash or "none",
        status="problem" if clash else "ok",
        hint="Run `pip uninstall janus`, then install janus-multimodal again." if clash else "",
    )
    for name in REQUIRED:
        yield _package(name, "problem", f"Install it: pip install {name}")
    for name in OPTIONAL:
        yield _package(name, "ok", "")


def _package(name: str, if_missing: Status, hint: str) -> Check:
    from importlib import metadata

    try:
        return Check(name=name, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name=name, found="not installed", status=if_missing, hint=hint)


def _machine() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:
        yield Check(
            name="torch works",
            found=f"no: {error}",
            status="problem",
            hint="Install it again: pip install --force-reinstall torch",
        )
        return
    yield _torch_version(torch.__version__)
    yield Check(name="processor", found=_processor())
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        yield Check(
            name=f"cuda:{index}",
            found=f"{device.name}, {gigabytes(device.total_memory)}, "
            f"bfloat16 {'yes' if bfloat16 else 'no'}",
        )
    if not torch.cuda.is_available():
        yield Check(name="cuda", found="none")
    yield Check(name="mps", found="yes" if torch.backends.mps.is_available() else "none")
    yield Check(name="memory", found=_memory())


def _torch_version(version: str) -> Check:
    parts = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    oldest = ".".join(map(str, OLDEST_TORCH))
    if parts >= OLDEST_TORCH:
        return Check(name="torch works", found="yes")
    return Check(
        name="torch works",
        found=f"{version} is older than {oldest}",
        status="problem",
        hint=f"Update it: pip install 'torch>={oldest}'",
    )


def _processor() -> str:
    import torch

    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} processors"
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.11
        return f"{platform.machine()}, {threads}"
    found = torch.cpu.get_capabilities()
    is_fast = any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return f"{platform.machine()}, {threads}, bfloat16 {'fast' if is_fast else 'slow'}"


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
        return f"{gigabytes(total)}, {gigabytes(page * os.sysconf('SC_AVPHYS_PAGES'))} free"
    except (AttributeError, OSError, ValueError):  # not on every system
        return "unknown"


def _models(options: ModelOptions) -> Iterator[Check]:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    yield Check(name="model cache", found=f"{cache}, {gigabytes(free)} free")
    here = find_here(catalog.BUNDLED)
    yield Check(name="bundled model", found=here or "missing", status="ok" if here else "warning")
    yield _chosen_model(options)


def _chosen_model(options: ModelOptions) -> Check:
    here = find_here(options.name)
    if here:
        return Check(name="model", found=f"{options.name}, in {here}")
    entry = catalog.find(options.name)
    if entry and entry.hub_id and not options.offline:
        size = f", {gigabytes(entry.bytes)}" if entry.bytes else ""
        return Check(
            name="model",
            found=f"{options.name}, not here yet",
            status="warning",
            hint=f"The first use downloads it{size}: janus weights get {options.name}",
        )
    return Check(
        name="model",
        found=f"{options.name}, not here",
        status="problem",
        hint="Choose another with --model; `janus weights list` shows them.",
    )


def _environment() -> Iterator[Check]:
    for name in VARIABLES:
        yield Check(name=name, found=os.environ.get(name) or "not set")
