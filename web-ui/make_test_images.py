"""Packs the first 500 of MNIST's test images when the web UI's image is built, so that no page waits for them.

    python make_test_images.py test_images.zip                        # from the public mirrors
    MNIST_DIR=/my/mnist python make_test_images.py test_images.zip    # from files that are here

It stands alone, on Python's own library: the trainer, which packs the same for every version, is another container's.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import io
import json
import os
import struct
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remote:
    """A file on the mirrors: size and MD5 of the .gz as published; idx header, and SHA-256 of the values behind it."""

    name: str
    size: int
    md5: str
    header: bytes
    values: int
    sha256: str


# Sums, sizes and addresses are the trainer's, trainer/download.py; tests/test_contract.py holds them equal.
IMAGES = Remote(
    "t10k-images-idx3-ubyte.gz",
    1_648_877,
    "9fb629c4189551a2d022fa330f9573f3",
    struct.pack(">IIII", 2051, 10_000, 28, 28),
    10_000 * 28 * 28,
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
)
LABELS = Remote(
    "t10k-labels-idx1-ubyte.gz",
    4_542,
    "ec29112dd5afa0611ce80d1b7f02629c",
    struct.pack(">II", 2049, 10_000),
    10_000,
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
)
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

COUNT = 500
"""Images that are packed: as many as the trainer packs; 79 KB."""


class UnavailableError(Exception):
    """The test images cannot be had; the message is one sentence."""


@dataclass(frozen=True)
class Patience:
    """How often all mirrors are asked, and seconds: of silence, for one file, and between two rounds."""

    rounds: int = 3
    silent: float = 20
    file: float = 120
    pause: float = 3


def fetch(mirrors: Sequence[str], remote: Remote, patience: Patience) -> bytes:
    """Give the .gz from the first mirror that has it sound; all are asked again, `rounds` times in all.

    Raises UnavailableError naming what each did in the last round.
    """
    troubles = list[str]()
    for turn in range(patience.rounds):
        time.sleep(patience.pause * turn)
        troubles.clear()
        for mirror in mirrors:
            try:
                return _sound(_received(mirror + remote.name, remote.size, patience), remote)
            except ValueError as error:
                troubles.append(f"{mirror}{remote.name} {error}")
    raise UnavailableError(
        f"no mirror gave MNIST's test images in {patience.rounds} rounds: {'; '.join(troubles)}. "
        "The build needs one of the mirrors, or MNIST_DIR, a folder with the two t10k files."
    )


def _received(url: str, size: int, patience: Patience) -> bytes:
    """The body at an address, one byte more than `size` at most; ValueError says what went wrong."""
    content, began = b"", time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=patience.silent) as answer:  # noqa: S310  # http(s) only: _mirror
            while len(content) <= size and (chunk := answer.read1(size + 1 - len(content))):
                content += chunk
                if time.monotonic() - began > patience.file:
                    raise ValueError(f"took more than {patience.file:g} s")
    except urllib.error.HTTPError as error:
        error.close()
        raise ValueError(f"answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise ValueError(f"did not answer ({error.reason})") from None
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"broke off ({error or type(error).__name__})") from None
    return content


def _sound(content: bytes, remote: Remote) -> bytes:
    if len(content) != remote.size:
        count = f"more than {remote.size:,}" if len(content) > remote.size else f"only {len(content):,}"
        raise ValueError(f"sent {count} bytes, {remote.size:,} would be right")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != remote.md5:
        raise ValueError("sent a file with a wrong checksum")
    return content


def found(folder: Path, remote: Remote) -> bytes:
    """Give a file of a folder as it lies there, gzipped or plain; UnavailableError when it has neither."""
    for path in (folder / remote.name, folder / remote.name.removesuffix(".gz")):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnavailableError(f"{path}: {error.strerror}.") from error
    raise UnavailableError(f"{folder} has no {remote.name}; MNIST's test images and labels belong there.")


def values(content: bytes, remote: Remote) -> bytes:
    """Give the values of an idx file, gzipped or plain: uint8, as many as `remote` says; UnavailableError if others."""
    wanted = len(remote.header) + remote.values
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
                content = stream.read(wanted + 1)  # a bomb is not unpacked
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnavailableError(f"{remote.name} is no sound gzip file ({error}).") from error
    header, rest = content[: len(remote.header)], content[len(remote.header) :]
    if header != remote.header or hashlib.sha256(rest).hexdigest() != remote.sha256:
        raise UnavailableError(f"{remote.name} is not MNIST's file of that name; fetch it again.")
    return rest


def packed(images: bytes, labels: bytes, count: int = COUNT) -> bytes:
    """Give the zip of the first `count` images (784 bytes each) and labels, as docs/containers.md has it.

    The very bytes that the trainer writes, but for the date: none, so that the same images are the same layer.
    """
    count, made = min(count, len(labels)), io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        _add(archive, "images.idx", struct.pack(">IIII", 2051, count, 28, 28) + images[: count * 784])
        _add(archive, "labels.idx", struct.pack(">II", 2049, count) + labels[:count])
        _add(archive, "source.json", json.dumps({"dataset": "mnist", "stand_in": False}).encode())
    return made.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name)  # of 1980-01-01, the first day that zip knows
    member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    archive.writestr(member, content)


def _mirror(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no http:// or https:// address of a folder")
    return text.rstrip("/") + "/"


def main(argv: Sequence[str], mnist_dir: str = "", patience: Patience = Patience()) -> int:
    """Write the zip; 0 when that went well, 1 with one sentence on standard error when not."""
    parser = argparse.ArgumentParser(prog="make_test_images.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path, help="the zip to write")
    parser.add_argument("--mnist-dir", default=mnist_dir, help="a folder with the two t10k files (or: MNIST_DIR)")
    parser.add_argument("--mirror", type=_mirror, action="append", help="in place of the public ones; may be repeated")
    asked = parser.parse_args(argv)
    try:
        images, labels = (
            values(found(Path(asked.mnist_dir), each), each)
            if asked.mnist_dir
            else values(fetch(asked.mirror or MIRRORS, each, patience), each)
            for each in (IMAGES, LABELS)
        )
        asked.target.write_bytes(packed(images, labels))
    except UnavailableError as error:
        print(f"make_test_images: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make_test_images: {asked.target} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{asked.target}: {COUNT} images, {asked.target.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    named = [f"--mirror={one}" for one in os.environ.get("MNIST_MIRRORS", "").split()]  # the image's build argument
    sys.exit(main([*sys.argv[1:], *named], os.environ.get("MNIST_DIR", "")))
