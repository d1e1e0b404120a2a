"""From C to functions that can be called: built once, and kept for the next start."""

import logging
import os
import shutil
import subprocess
import sys
from ctypes import CDLL
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from platformdirs import user_cache_path

FOLDER = Path(__file__).parent
INSTRUCTIONS = (
    *(f"avx512{name}" for name in ("f", "bw", "dq", "vl", "vnni", "bf16")),
    *(f"amx-{name}" for name in ("tile", "bf16", "int8")),
)
FLAGS = ("-O3", "-fopenmp", "-fPIC", "-fvisibility=hidden", *(f"-m{name}" for name in INSTRUCTIONS))

logger = logging.getLogger(__name__)


@cache
def library() -> CDLL | None:
    """The kernels, built on the first call; None where they cannot be had.

    That is without AVX-512's VNNI and BF16, without a C compiler, or where `JANUS_NATIVE` is 0.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not _is_suitable() or compiler is None or os.environ.get("JANUS_NATIVE") == "0":
        return None
    try:
        return CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        logger.info("torch's kernels are used, since ours could not be built: %s", error)
        return None


@cache
def has_tiles() -> bool:
    """Whether the processor multiplies tiles of numbers (AMX), and the system lets this process."""
    return torch.cpu._is_amx_tile_supported() and torch.cpu._init_amx()


def _is_suitable() -> bool:
    has_instructions = torch.cpu._is_avx512_bf16_supported() and torch.cpu._is_vnni_supported()
    return sys.platform == "linux" and has_instructions and torch.backends.openmp.is_available()


def _built(compiler: str) -> Path:
    sources = sorted(FOLDER.glob("*.c"))
    texts = [path.read_bytes() for path in (*sources, *sorted(FOLDER.glob("*.h")))]
    name = sha256(repr((texts, FLAGS, compiler)).encode()).hexdigest()[:16]
    built = user_cache_path("janus", ensure_exists=True) / f"kernels-{name}.so"
    if not built.exists():
        with TemporaryDirectory(dir=built.parent) as folder:
            _run(compiler, *FLAGS, "-c", *map(str, sources), folder=folder)
            compiled, linked = sorted(Path(folder).glob("*.o")), Path(folder, "kernels.so")
            # Without a library for OpenMP: its functions are torch's own, and so are its threads.
            _run(compiler, "-shared", *map(str, compiled), "-o", str(linked), folder=folder)
            linked.replace(built)
    return built


def _run(*command: str, folder: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=folder)
