"""MNIST's files from public mirrors into a cache: checked, resumed where they broke off, in bounded time."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer import files
from trainer.errors import TrainerError
from trainer.idx import GZIP_MAGIC
from trainer.log import say


@dataclass(frozen=True)
class Remote:
    """A file on the mirrors: size and MD5 of the .gz as published; shape and SHA-256 of the values in it."""

    name: str
    size: int
    md5: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Patience:
    """Seconds: how long one connection may be silent, all of them in sum, and how long all may take."""

    connection: float
    silent: float
    overall: float


class UnavailableError(TrainerError):
    """No mirror gave the files."""


SHORT = Patience(connection=4, silent=9, overall=120)
"""For `auto`, which has something else to train on."""
LONG = Patience(connection=20, silent=120, overall=1800)

MNIST = (
    Remote(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        (60_000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    Remote(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "d53e105ee54ea40749a09fcbcd1e9432",
        (60_000,),
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    ),
    Remote(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "9fb629c4189551a2d022fa330f9573f3",
        (10_000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    Remote(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "ec29112dd5afa0611ce80d1b7f02629c",
        (10_000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
)
"""MD5: as the mirrors publish them. SHA-256: of the values behind the idx header of those very files."""

ATTEMPTS = 5
"""How often a mirror that breaks off may go on from there."""


def fetch(mirrors: Sequence[str], cache: Path, patience: Patience, wanted: Sequence[Remote] = MNIST) -> str:
    """Put the files that the cache lacks into it; gives what to name as the source of the data.

    Raises UnavailableError naming what each mirror did, at the latest when nothing came for `patience.silent`
    seconds in all. The work is done in a thread because looking up a name has no time limit of its own.
    """
    with files.saying(f"read the cache {cache}"):
        missing = [remote for remote in wanted if not _is_sound(cache / remote.name, remote)]
    if not missing:
        return str(cache)
    for path in (cache / remote.name for remote in missing):
        if path.exists():
            say(f"{path} is damaged (its size or checksum is wrong); fetching it again.")
    job = _Job(mirrors, cache, patience, missing)
    job.start()
    _wait(job, patience)
    if job.failure or not job.done:
        raise job.failure or UnavailableError(
            f"MNIST could not be fetched; at last {job.troubles[-1]}. MNIST_DIR may name a folder with its four files."
        )
    return job.source


def _wait(job: _Job, patience: Patience) -> None:
    """Wait for the job, or abandon it when its time is up; what it has received stays in the cache."""
    silent, seen, began = 0.0, 0, time.monotonic()
    while job.is_alive():
        before = time.monotonic()
        job.join(0.05)
        now = time.monotonic()
        silent += now - before if job.received == seen else 0
        seen = job.received
        if silent > patience.silent or now - began > patience.overall:
            job.abandoned = True
            job.troubles.append(f"gave up after {now - began:.0f} s, {silent:.0f} of them without an answer")
            return


class _Job(threading.Thread):
    """Fetches files one by one from the first mirror that gives them; one that failed is not asked again."""

    def __init__(self, mirrors: Sequence[str], cache: Path, patience: Patience, missing: Sequence[Remote]) -> None:
        super().__init__(daemon=True)
        self.mirrors, self.cache, self.patience, self.missing = list(mirrors), cache, patience, missing
        self.received, self.abandoned, self.done = 0, False, False
        self.source, self.troubles = "", list[str]()
        self.failure: TrainerError | None = None

    def run(self) -> None:
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with (self.cache / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.done = all(self._fetch(remote) for remote in self.missing)
        except OSError as error:
            self.failure = TrainerError(f"Could not write to the cache {self.cache}: {error.strerror or error}.")

    def _fetch(self, remote: Remote) -> bool:
        if _is_sound(self.cache / remote.name, remote):
            return True
        while self.mirrors and not self.abandoned:
            trouble = self._fetch_from(self.mirrors[0], remote)
            if trouble is None:
                self.source = self.mirrors[0]
                return True
            if self.abandoned:  # whoever waited has been told, and is busy with something else
                break
            self.troubles.append(f"{self.mirrors[0]}{remote.name} {trouble}")
            say(f"Mirror {self.troubles[-1]}")
            del self.mirrors[0]
        return False

    def _fetch_from(self, mirror: str, remote: Remote) -> str | None:
        """Fetch one file; gives None, or what is wrong with the mirror. What came stays for the next."""
        part = self.cache / f"{remote.name}.part"
        trouble: str | None = None
        for _ in range(ATTEMPTS):
            before = _size(part)
            say(f"Fetching {mirror}{remote.name}" + (f" from byte {before} on" if before else ""))
            trouble = self._receive(mirror + remote.name, part, remote)
            if _size(part) == remote.size:
                trouble = self._accept(part, remote)
                if trouble is None or not before:  # else the wrong bytes may be an earlier day's: start over
                    return trouble
            elif _size(part) <= before or self.abandoned:
                break
        return trouble or "broke off too often"

    def _receive(self, url: str, part: Path, remote: Remote) -> str | None:
        """Append what a mirror sends to the partial file; gives what went wrong, if anything did."""
        offset = _size(part)
        if offset >= remote.size:
            part.unlink()
            offset = 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310  # http(s) only: options.py
            with urllib.request.urlopen(request, timeout=self.patience.connection) as answer:  # noqa: S310
                resumed = answer.status == 206 and _starts_at(answer.headers["Content-Range"], offset)
                return self._copy(answer, part, remote.size, offset if resumed else 0)
        except urllib.error.HTTPError as error:
            error.close()
            return f"answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            return f"did not answer ({error.reason})"
        except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
            return f"broke off ({error or type(error).__name__})"
        except ValueError as error:
            return f"is no usable address ({error})"

    def _copy(self, answer: http.client.HTTPResponse, part: Path, size: int, offset: int) -> str | None:
        chunk = answer.read1(65536)
        if offset == 0 and chunk[:2] != GZIP_MAGIC:
            return f"sent no gzip file but {answer.headers.get_content_type()}, perhaps a log-in page"
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            while chunk and not self.abandoned:
                self.received += len(chunk)
                if file.tell() + len(chunk) > size:
                    file.truncate(0)
                    return f"sent more than the {size} bytes the file has"
                file.write(chunk)
                chunk = answer.read1(65536)
        return None

    def _accept(self, part: Path, remote: Remote) -> str | None:
        if not _is_sound(part, remote):
            part.unlink()
            return "sent a file with a wrong checksum"
        part.replace(self.cache / remote.name)
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _starts_at(content_range: str | None, offset: int) -> bool:
    return (content_range or "").startswith(f"bytes {offset}-")


def _is_sound(path: Path, remote: Remote) -> bool:
    if not path.is_file() or path.stat().st_size != remote.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == remote.md5
