"""API keys: who may come in. Only their hashes are kept.

A file holds a line `NAME HASH` for each key. It is read again when it changes, so that a key can
be withdrawn while the server runs. Keys are long and random, so that one SHA-256 is enough.
"""

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from janus.errors import ServerError

PREFIX = "sk-janus-"
NAME = re.compile(r"[\w.@-]{1,64}")
HASH = re.compile(r"[0-9a-f]{64}")


class Keys:
    """The keys of a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stamp: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}
        self._read()

    def owner(self, key: str) -> str | None:
        """The name that a key belongs to; None for one that is not, or no longer, known."""
        self._read()
        given, found = hashed(key), None
        for name, known in self._hashes.items():  # all of them: as long whoever asks
            if hmac.compare_digest(given, known):
                found = name
        return found

    def _read(self) -> None:
        try:
            state = self.file.stat()
            if (state.st_mtime_ns, state.st_size) == self._stamp:
                return
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            if self._stamp is None:
                raise ServerError(
                    f"The keys in '{self.file}' cannot be read: {error.strerror}.",
                    "Make one with: janus serve --new-key NAME --keys FILE",
                ) from error
            self._hashes, self._stamp = {}, None  # gone: nobody comes in
            return
        self._hashes = dict(_entry(line, self.file) for line in lines if line.strip())
        self._stamp = (state.st_mtime_ns, state.st_size)


def new_key(name: str, file: Path) -> str:
    """Adds a key to the file, which is made if need be, and returns it: it is nowhere else.

    Raises `ServerError` for a name that cannot be, or is there, and a file that cannot be written.
    """
    if not NAME.fullmatch(name):
        raise ServerError(f"A key cannot be called {name!r}.", "Use letters, digits and . _ @ -")
    if file.exists() and name in Keys(file)._hashes:
        raise ServerError(f"There is a key for {name!r}.", f"Delete its line in {file} first.")
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
            stream.write(f"{name} {hashed(key)}\n")
    except OSError as error:
        raise ServerError(
            f"Cannot write '{file}': {error.strerror}.", "Use another one."
        ) from error
    return key


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _entry(line: str, file: Path) -> tuple[str, str]:
    name, _, known = line.strip().partition(" ")
    if not NAME.fullmatch(name) or not HASH.fullmatch(known):
        raise ServerError(f"'{file}' has a line that is no key.", "Each line is: NAME HASH")
    return name, known
