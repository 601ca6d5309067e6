"""SPDY 3.1 frames, as far as kubectl's port-forward speaks them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1

WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status|200 OK|version|HTTP/1.1|url public set-cookie
keep-alive origin"""
TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def listed() -> list[bytes]:
    """The dictionary's words; those between bars hold a space or stand beside one that does."""
    words: list[str] = []
    for number, part in enumerate(WORDS.split("|")):
        words += [part] if number % 2 else part.split()
    return [word.encode() for word in words]


DICTIONARY = b"".join(struct.pack(">I", len(word)) + word for word in listed()) + TEXT.encode()
"""What both sides' header compression begins with; from the SPDY 3 specification."""


@dataclass(frozen=True)
class Frame:
    """A frame: a control frame of some kind, or (kind 0) a stream's data."""

    kind: int
    flags: int
    stream: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Frames:
    """Bytes to frames and back; the header compression remembers what went before."""

    def __init__(self) -> None:
        self.buffer = b""
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)
        self.deflate = zlib.compressobj(zdict=DICTIONARY)

    def read(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete now."""
        self.buffer += received
        while len(self.buffer) >= 8:
            first, second = struct.unpack(">II", self.buffer[:8])
            size = second & 0xFFFFFF
            if len(self.buffer) < 8 + size:
                return
            content, self.buffer = self.buffer[8 : 8 + size], self.buffer[8 + size :]
            yield self.frame(first, second >> 24, content)

    def frame(self, first: int, flags: int, content: bytes) -> Frame:
        if not first >> 31:
            return Frame(0, flags, first & 0x7FFFFFFF, content)
        kind = first & 0xFFFF
        stream = struct.unpack(">I", content[:4])[0] & 0x7FFFFFFF if len(content) >= 4 else 0
        headers = self.headers(content[10:]) if kind == SYN_STREAM else {}
        return Frame(kind, flags, stream, content, headers)

    def headers(self, block: bytes) -> dict[str, str]:
        plain = self.inflate.decompress(block)
        texts, place = [], 4
        for _ in range(2 * struct.unpack(">I", plain[:4])[0]):
            size = struct.unpack(">I", plain[place : place + 4])[0]
            texts.append(plain[place + 4 : place + 4 + size].decode())
            place += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def data(self, stream: int, content: bytes, last: bool = False) -> bytes:
        return struct.pack(">II", stream, (FIN if last else 0) << 24 | len(content)) + content

    def reply(self, stream: int) -> bytes:
        """The answer that lets a stream begin."""
        block = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(SYN_REPLY, struct.pack(">I", stream) + block)


def control(kind: int, content: bytes) -> bytes:
    return struct.pack(">II", 0x80030000 | kind, len(content)) + content
