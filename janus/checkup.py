"""What this machine and this installation are, and what is wrong with them.

Out: checks, each with what was looked at, what was found, and what to do where that is a problem.
Knows no model. Changes nothing and downloads nothing.
"""

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import janus
from janus.plaintext import gigabytes, table

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


def packages() -> Iterator[Check]:
    """Python, and what is installed."""
    yield Check(name="python", found=f"{platform.python_version()}, {sys.executable}")
    yield Check(name="platform", found=platform.platform())
    yield Check(name="janus", found=janus.__version__ if hasattr(janus, "__version__") else "?")
    clash = find_name_clash(Path(__file__).parent)
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


def machine() -> Iterator[Check]:
    """Processor, accelerators and memory."""
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
    yield Check(name="kernels", found=_kernels())
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


def environment() -> Iterator[Check]:
    """The variables that change what is done."""
    for name in VARIABLES:
        yield Check(name=name, found=os.environ.get(name) or "not set")


def as_text(checks: Iterable[Check]) -> str:
    """A line for each, then what to do."""
    checks = list(checks)
    marks = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}
    lines = table([(marks[check.status], check.name, check.found) for check in checks])
    hints = [f"{check.name}: {check.hint}" for check in checks if check.hint]
    return "\n".join([lines, *(["", *hints] if hints else [])])


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


def _package(name: str, if_missing: Status, hint: str) -> Check:
    from importlib import metadata

    try:
        return Check(name=name, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name=name, found="not installed", status=if_missing, hint=hint)


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


def _kernels() -> str:
    from janus.model.native.build import library

    return "torch's and our own" if library() else "torch's"


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
        return f"{gigabytes(total)}, {gigabytes(page * os.sysconf('SC_AVPHYS_PAGES'))} free"
    except (AttributeError, OSError, ValueError):  # not on every system
        return "unknown"
