"""A model's name, hub id or folder -> a local folder that holds it.

Enters: what the user typed. Leaves: an existing folder, the bundled one, or one in the Hugging
Face cache after a download of the files that are needed, with huggingface_hub's own progress
bars. Opens no checkpoint; nothing is contacted before `locate` is called.
"""

import errno
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from weights import catalog
from weights.errors import CheckpointError, DownloadError, UnknownModelError
from weights.layout import CONFIG_FILE

SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt", "LICENSE*")
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # the first kind present is fetched
ANSWER_SECONDS = 10.0  # for the hub to say what a model consists of


def locate(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    progress: type | None = None,
) -> Path:
    """The folder of a model, downloaded first if need be.

    `progress` is a tqdm class to use in place of huggingface_hub's. HF_HUB_OFFLINE, HF_HOME,
    HF_TOKEN and HF_HUB_DISABLE_PROGRESS_BARS are honoured by huggingface_hub. Raises
    CheckpointError for a path that leads nowhere, UnknownModelError for a name that means nothing,
    DownloadError when the hub does not deliver.
    """
    name = str(name_or_folder)
    if (folder := _existing_folder(name)) is not None:
        return folder
    entry = catalog.find(name)
    if entry is None:
        _require_hub_id(name)
        hub_id = name
    elif not entry.supported:
        raise UnknownModelError(
            f"{entry.name} is not supported yet.", "Use a Janus or Janus-Pro model."
        )
    elif entry.hub_id is None:
        return catalog.bundled_folder()
    else:
        hub_id = entry.hub_id
        revision = revision or entry.revision
    options = {
        "repo_id": hub_id,
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "tqdm_class": progress,
    }
    return _from_cache(options) if local_files_only else _download(options)


def _existing_folder(name: str) -> Path | None:
    folder = Path(name).expanduser()
    if folder.is_file():
        raise CheckpointError(
            f"{name} is a file.", f"Give the folder that holds {CONFIG_FILE} and the weights."
        )
    return folder if folder.is_dir() else None


def _require_hub_id(name: str) -> None:
    """Neither a folder nor in the catalogue: only "owner/model" is left."""
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return
    if name.startswith((".", "~")) or "/" in name or "\\" in name:
        raise CheckpointError(f"There is no folder {name}.", "Check the path.")
    close = catalog.suggest(name)
    known = [entry.name for entry in catalog.CATALOG if entry.supported]
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Known are {', '.join(known)}."
    raise UnknownModelError(
        f"No model and no folder is called {name!r}.",
        f"{hint} A hub id (owner/model) or a folder works too.",
        tuple(close),
    )


def _download(options: dict[str, Any]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        files = _list_files(options)
    except DownloadError as error:
        return _from_cache(options, error)
    wanted = _choose(files, options["repo_id"])
    try:
        return Path(snapshot_download(**options, allow_patterns=wanted))
    except Exception as error:
        raise _failed(options, error) from error


def _list_files(options: dict[str, Any]) -> list[str]:
    from huggingface_hub import HfApi

    hub = HfApi(token=options["token"])
    # Here and below: which network exceptions there are depends on huggingface_hub's version.
    # model_info, because list_repo_files insists for half a minute when there is no network.
    try:
        info = hub.model_info(
            options["repo_id"], revision=options["revision"], timeout=ANSWER_SECONDS
        )
    except Exception as error:
        raise _failed(options, error) from error
    return [file.rfilename for file in info.siblings or []]


def _from_cache(options: dict[str, Any], failure: DownloadError | None = None) -> Path:
    """What an earlier download left, or else the error that kept us from the hub."""
    from huggingface_hub import snapshot_download

    # Which weights were chosen is unknown here, so only the configuration is insisted on;
    # opening the checkpoint finds out whether its weights are complete.
    try:
        folder = snapshot_download(**options, local_files_only=True, allow_patterns=[CONFIG_FILE])
    except Exception as error:
        raise (failure or _failed(options, error)) from error
    return Path(folder)


def _choose(files: list[str], hub_id: str) -> list[str]:
    """Settings, and weights of one kind: repositories often hold the same weights twice."""
    top = [name for name in files if "/" not in name]
    for pattern in WEIGHTS:
        if weights := [name for name in top if fnmatch(name, pattern)]:
            return weights + [name for name in top if any(fnmatch(name, s) for s in SETTINGS)]
    raise DownloadError(
        f"{hub_id} on the hub has no weights that can be read here ({' or '.join(WEIGHTS)}).",
        "Check the name; models in GGUF, ONNX or MLX form need other programs.",
    )


def _failed(options: dict[str, Any], error: Exception) -> DownloadError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
    hub_id = options["repo_id"]
    return DownloadError(f"{hub_id} could not be downloaded: {reason}.", _advice(options, error))


def _advice(options: dict[str, Any], error: Exception) -> str:
    from huggingface_hub import errors

    hub_id = options["repo_id"]
    match error:
        case errors.GatedRepoError():
            return (
                f"Accept its terms on https://huggingface.co/{hub_id}, then log in with "
                "`hf auth login` or set HF_TOKEN."
            )
        case errors.RevisionNotFoundError():
            return f"Choose a revision that https://huggingface.co/{hub_id} lists."
        case errors.RepositoryNotFoundError():
            close = [name for name in catalog.suggest(hub_id) if name != hub_id]
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            return f"No folder has that name either; a private model needs HF_TOKEN.{meant}"
        case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError():
            return "Offline, only what was downloaded before can be used: go online once."
        case OSError(errno=errno.ENOSPC):
            return _make_room(options)
    return "Check the connection and try again, or give a folder that already holds the model."


def _make_room(options: dict[str, Any]) -> str:
    from huggingface_hub import constants

    cache = Path(options["cache_dir"] or constants.HF_HUB_CACHE)
    needed = (entry := catalog.find(options["repo_id"])) and entry.bytes
    size = f" of the {needed / 1e9:.1f} GB needed" if needed else ""
    free = shutil.disk_usage(cache).free / 1e9
    return f"The disk of {cache} is full ({free:.1f} GB{size} free); point HF_HOME to another one."
