"""Files written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pipeline.errors import RunFailed


def write(path: Path, text: str, private: bool = False) -> bool:
    """Put the text there whole or not at all; whether the file was different before. `private`: mode 0600."""
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return False
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunFailed(f"could not write {path}: {error.strerror}; nothing was changed") from None
    return True
