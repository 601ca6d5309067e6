"""Which server a request goes to, read from the very nginx.conf that nginx reads on a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.errors import StartError

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};"'#]+""")

PORTS = {"grpc", "rest", "status"}
UPSTREAMS = {f"{track}-{api}" for track in ("stable", "canary") for api in ("grpc", "rest")}

Block = list[tuple[tuple[str, ...], "Block"]]
"""Directives in their order: the words of each, and what stands in its braces."""


@dataclass(frozen=True)
class Routing:
    """What the file says: the share drawn for the canary, 0 to 1, the rules by path, the servers, the ports."""

    share: float
    rules: tuple[tuple[re.Pattern[str], str], ...]
    default: str
    upstreams: Mapping[str, str]
    ports: Mapping[str, int]

    def track(self, path: str, drawn: float) -> str:
        """`stable` or `canary` for a path; `drawn` is a random number from 0 to below 1, another for each request."""
        found = next((track for pattern, track in self.rules if pattern.search(path)), self.default)
        if found.startswith("$"):
            return "canary" if drawn < self.share else "stable"
        return found


def read(path: Path) -> Routing:
    """The file's routing; StartError with one sentence where it cannot be read or leaves out what is needed."""
    try:
        found = _routing(_only(_parsed(path.read_text(encoding="utf-8")), "http"))
    except OSError as error:
        raise StartError(f"{path}: cannot be read ({error.strerror}); it should be an nginx.conf.") from error
    except (StopIteration, LookupError, ValueError, re.error):
        found = None
    if found is None or not (found.ports.keys() >= PORTS and found.upstreams.keys() >= UPSTREAMS):
        raise StartError(f"{path}: says not how requests are shared out as a router's nginx.conf does.")
    return found


def _routing(http: Block) -> Routing:
    rules = _only(http, "map")
    return Routing(
        share=_share(_only(http, "split_clients")),
        rules=tuple((_pattern(words[0]), words[1]) for words, _ in rules if words[0] != "default"),
        default=next(words[1] for words, _ in rules if words[0] == "default"),
        upstreams={words[1]: _server(block) for words, block in http if words[0] == "upstream"},
        ports=dict(_port(block) for words, block in http if words == ("server",)),
    )


def _parsed(text: str) -> Block:
    tokens = (one for one in _TOKEN.findall(text) if not one.startswith("#"))
    return _block(tokens)


def _block(tokens: Iterator[str]) -> Block:
    found, words = Block(), list[str]()
    for word in tokens:
        if word == "}":
            break
        if word in "{;":
            found.append((tuple(words), _block(tokens) if word == "{" else Block()))
            words = []
        else:
            words.append(word.strip('"'))
    return found


def _only(block: Block, name: str) -> Block:
    (inner,) = (inner for words, inner in block if words[0] == name)
    return inner


def _share(block: Block) -> float:
    percents = {words[1]: float(words[0].rstrip("%")) for words, _ in block if words[0] != "*"}
    return percents["canary"] / 100


def _pattern(text: str) -> re.Pattern[str]:
    """What nginx writes as `~expression`, or `~*expression` where the case does not matter."""
    if not text.startswith("~"):
        raise ValueError(text)
    return re.compile(text[1:].removeprefix("*"), re.IGNORECASE if text.startswith("~*") else 0)


def _server(block: Block) -> str:
    return next(words[1] for words, _ in block if words[0] == "server")


def _port(block: Block) -> tuple[str, int]:
    """What a server block is for, and where it listens: grpc, rest, or status, where nothing is passed on."""
    named = {words[0]: words for words, _ in block}
    passed = {words[0] for directive, inner in block if directive[0] == "location" for words, _ in inner}
    kind = "grpc" if "grpc_pass" in passed else "rest" if "proxy_pass" in passed else "status"
    return kind, int(named["listen"][1].rpartition(":")[2])
