"""Reads small files that lie beside the exported model versions, in a folder or in Cloud Storage."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client


class StorageError(Exception):
    """The base path cannot be read; the message says where and why."""


class Versions(Protocol):
    """What `<bucket>/export` can be asked."""

    def newest(self, path: str) -> str | None:
        """The highest version that has the file `path`, or None; StorageError when it cannot be told."""

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes at most of a version's file; None when it is not there."""

    def beside(self, name: str, limit: int) -> bytes | None:
        """The same of a file that lies beside `export`, for all versions."""


def versions(base_path: str) -> Versions | None:
    """Where the exported versions lie: a folder, `gs://bucket/prefix`, or None when nothing is configured."""
    if not base_path:
        return None
    from webui.patience import Patient  # here, because it is made of what this module says

    return Patient(CloudStorage(base_path)) if base_path.startswith("gs://") else Folder(Path(base_path))


class Folder:
    """Versions in a folder of this machine, or of a mounted volume."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def newest(self, path: str) -> str | None:
        try:
            found = [entry.name for entry in self._base.iterdir() if (entry / path).is_file()]
        except FileNotFoundError:
            return None  # nothing was trained yet
        except OSError as error:
            raise StorageError(f"{self._base}: {error.strerror}") from error
        return _highest(found)

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        return _start(self._base / version / path, limit)

    def beside(self, name: str, limit: int) -> bytes | None:
        return _start(self._base.parent / name, limit)


def _start(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


class CloudStorage:
    """Versions in a Cloud Storage bucket; the bucket is listed at most once in `every_s` seconds."""

    _TIMEOUT_S = 5.0

    def __init__(self, base_path: str, every_s: float = 30.0) -> None:
        self._name, _, prefix = base_path.removeprefix("gs://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._every_s = every_s
        self._client: Client | None = None
        self._listed: dict[str, tuple[float, str | None]] = {}

    def newest(self, path: str) -> str | None:
        when, version = self._listed.get(path, (float("-inf"), None))
        if time.monotonic() - when < self._every_s:
            return version
        version = self._list(path)
        self._listed[path] = (time.monotonic(), version)
        return version

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        return self._start(f"{self._prefix}{version}/{path}", limit)

    def beside(self, name: str, limit: int) -> bytes | None:
        above = self._prefix.rstrip("/").rpartition("/")[0]
        return self._start(f"{above}/{name}" if above else name, limit)

    def _start(self, name: str, limit: int) -> bytes | None:
        from google.api_core.exceptions import NotFound

        blob = self._bucket().blob(name)
        try:
            return bytes(blob.download_as_bytes(end=limit - 1, timeout=self._TIMEOUT_S, retry=None))
        except NotFound:
            return None
        except _cloud_errors() as error:
            raise StorageError(f"gs://{self._name}/{blob.name}: {_one_line(error)}") from error

    def _list(self, path: str) -> str | None:
        try:
            blobs = self._bucket().list_blobs(
                prefix=self._prefix, match_glob=f"{self._prefix}*/{path}", timeout=self._TIMEOUT_S, retry=None
            )
            names = [blob.name for blob in blobs]
        except _cloud_errors() as error:
            raise StorageError(f"gs://{self._name}/{self._prefix}: {_one_line(error)}") from error
        return _highest([name.removeprefix(self._prefix).partition("/")[0] for name in names])

    def _bucket(self) -> Bucket:
        """The bucket's handle; no request yet. The library is imported here: most UIs read a folder."""
        if self._client is None:
            # Else the library asks for the bucket itself, for traces nobody wants; a viewer may not.
            os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
            from google.auth.exceptions import GoogleAuthError
            from google.cloud.storage import Client

            try:
                self._client = Client(project="-")  # reading needs no project; "-" saves a look-up
            except GoogleAuthError as error:
                raise StorageError(f"gs://{self._name}: {_one_line(error)}") from error
        return self._client.bucket(self._name)


def _cloud_errors() -> tuple[type[Exception], ...]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    return GoogleAPIError, GoogleAuthError, RequestException


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _highest(names: list[str]) -> str | None:
    """The greatest whole number among folder names; `<tag>.partial-<pid>` and the like are no versions."""
    return max((name for name in names if name.isascii() and name.isdigit()), key=int, default=None)
