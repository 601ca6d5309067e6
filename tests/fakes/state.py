"""What the fakes share: requests and replies as values, the log of every write, and faults on demand."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

READS = ("GET", "HEAD", "OPTIONS")
ASKS = re.compile(r"accessreviews$|/portforward$|/proxy/")
"""Paths of the Kubernetes API where a POST changes nothing."""
ASKING = (":getIamPolicy", ":testIamPermissions", "/wait")
"""Ends of paths at which Google's APIs take a POST, and change nothing."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; `api` is "kubernetes" or the Google API's name: "container", "storage", "iam", …"""

    method: str
    api: str
    path: str
    """Without the API's prefix and without the query: `/v1/projects/p/locations/z/clusters`."""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.api}{self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def one(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @property
    def writes(self) -> bool:
        """Whether it would change something; a dry run on the server does not."""
        return self.method not in READS and "dryRun" not in self.query and not self.asks

    @property
    def asks(self) -> bool:
        """Whether it is a question, though it looks like a change."""
        return self.path.endswith(ASKING) or bool(ASKS.search(self.path))


@dataclass
class Reply:
    """One HTTP reply; a body that is an iterator is sent in chunks as it comes (a watch, a followed log)."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Reply:
        return cls(status, json.dumps(value).encode())


@dataclass
class Fault:
    """What goes wrong with requests that match `METHOD api/path`, `times` times after letting `skip` through."""

    pattern: str
    status: int = 0
    """HTTP status to answer with; 0: none, see `drop` and `delay`."""
    message: str = "injected"
    times: int = 1
    skip: int = 0
    delay: float = 0.0
    """Seconds to wait before anything else."""
    drop: bool = False
    """Close the connection without an answer."""
    done_first: bool = False
    """Carry the request out, then fail: the answer was lost, not the request."""
    writes: bool = False
    """Only requests that change something; a dry run on the server has the same `METHOD api/path`."""
    where: Callable[[Request], bool] = lambda request: True
    """Only requests for which this holds."""
    then: Callable[[Request], None] = lambda request: None
    """Called with the request that meets the fault, before it is carried out: the moment to kill who sent it."""


class Unknown(AssertionError):
    """A request the fakes do not know: the test fails loudly instead of going on with a guess."""


class State:
    """Everything that exists in the fake world, by API and name, with the log of who changed what."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[str, dict[str, Any]] = {}
        """API or collection → name → the object as the API would give it."""
        self.requests: list[str] = []
        self.writes: list[str] = []
        self.unknown: list[str] = []
        """Requests that nobody knew: a test ends by showing that there were none."""
        self.faults: list[Fault] = []
        self.began = time.monotonic()

    def of(self, collection: str) -> dict[str, Any]:
        return self.objects.setdefault(collection, {})

    def fault(self, pattern: str, **how: Any) -> Fault:
        """Let requests go wrong from now on; see Fault."""
        made = Fault(pattern, **how)
        self.faults.append(made)
        return made

    def due(self, request: Request) -> Fault | None:
        """The fault that this request meets, counted down."""
        with self.lock:
            for fault in self.faults:
                if not fault.times or (fault.writes and not request.writes):
                    continue
                if re.search(fault.pattern, str(request)) and fault.where(request):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def note(self, request: Request) -> None:
        """Write the request into the logs."""
        with self.lock:
            self.requests.append(str(request))
            if request.writes:
                self.writes.append(str(request))
