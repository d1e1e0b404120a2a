"""A staged folder becomes a Space: one commit, after which the Space holds this folder only."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from janus.errors import JanusError, UsageError


def check_name(name: str) -> None:
    """Raises `UsageError` for what is no USER/NAME of the hub."""
    hint = "Give it as USER/NAME, such as ada/janus."
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(f"{name!r} cannot be the name of a Space: {error}", hint) from error
    if "/" not in name:
        raise UsageError(f"{name!r} does not say whose Space it is.", hint)


def upload(folder: Path, name: str, *, private: bool = False) -> str:
    """Creates the Space if need be, replaces what it holds, and returns its address.

    Raises `JanusError` with the reason where the hub does not take it.
    """
    hub = HfApi()
    try:
        space = hub.create_repo(
            name, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True
        )
        hub.upload_folder(
            repo_id=space.repo_id,
            repo_type="space",
            folder_path=folder,
            commit_message="The studio",
            delete_patterns=["*"],
        )
    # Which network exceptions there are depends on huggingface_hub's version.
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise JanusError(
            f"{name} could not be uploaded: {reason}.",
            "Go online, and log in with `hf auth login` or set HF_TOKEN to a token that may write.",
        ) from error
    return str(space)
