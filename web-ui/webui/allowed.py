"""Whom the page may connect to: single servers and whole namespaces, and under which name a Service is looked up."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from webui.problems import Refused
from webui.servers import Server, read_port, read_server

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The spellings of this machine itself; where one of them is allowed, the others are at the same port."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")  # RFC 1123: namespaces, and Services since 1.34
_NAMED_AT_MOST = 3  # entries of the list that a refusal tells


class Namespace(NamedTuple):
    """Every Service of one namespace, at one port: `*.kubeflow:9000`."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"any Service of {self.name} at port {self.port}"


class Service(NamedTuple):
    """What `mnist-service`, `mnist-service.kubeflow` and the longer spellings all mean."""

    name: str
    namespace: str


@dataclass(frozen=True)
class Allowed:
    """The list, the namespace that a name without one belongs to ("": the first listed), and the cluster's domain."""

    entries: tuple[Server | Namespace, ...]
    home: str = ""
    domain: str = "cluster.local"

    def check(self, server: Server) -> None:
        """Raise Refused, in one sentence, unless `server` is on the list. Nothing is looked up for that."""
        if not self.permits(server):
            field = "port" if any(self.permits(Server(server.host, one.port)) for one in self.entries) else "addr"
            raise Refused(f"This page may not connect to {server}, only to {self}.", field)

    def permits(self, server: Server) -> bool:
        """Whether `server` is an entry in any spelling, or a Service of a namespace that is one."""
        return any(one.port == server.port and self._covers(one, server.host) for one in self.entries)

    def lookup(self, host: str) -> str:
        """The name to resolve for `host`: a Service's whole name, ending in a dot; anything else as it stands.

        Never a Service's short name: the resolver would try it with every suffix of the pod's search path, which on
        GKE ends in the project's machines and `google.internal`, where `metadata` is the metadata server. The dot
        keeps the search path out; so the cluster's domain must be known, and `cluster_domain` finds it.
        """
        service = self._service(host)
        return f"{service.name}.{service.namespace}.svc.{self.domain}." if service else host

    def __str__(self) -> str:
        """The list in words, shortened where it is long."""
        words = [str(one) for one in self.entries]
        if len(words) > _NAMED_AT_MOST:
            words[_NAMED_AT_MOST - 1 :] = [f"{len(words) - _NAMED_AT_MOST + 1} others"]
        return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    def _covers(self, entry: Server | Namespace, host: str) -> bool:
        service = self._service(host)
        if isinstance(entry, Namespace):
            return service is not None and service.namespace == entry.name
        if entry.host in LOOPBACK:
            return host in LOOPBACK
        return host == entry.host or (service is not None and service == self._service(entry.host))

    def _service(self, host: str) -> Service | None:
        """The Service that `host` names, if it is one: `a.b` is only where b is a namespace we know."""
        name, *rest = host.split(".")
        known = [self.home] if self.home else []
        known += [one.name for one in self.entries if isinstance(one, Namespace)]
        namespace = (rest or known or [""])[0]
        form = rest[1:] in (["svc"], ["svc", *self.domain.split(".")]) or (not rest[1:] and namespace in known)
        labels = _LABEL.match(name) and _LABEL.match(namespace)
        return Service(name, namespace) if form and labels and host not in LOOPBACK else None


def is_loopback(host: str) -> bool:
    """Whether a host, as written, means this machine itself."""
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_entry(text: str) -> Server | Namespace:
    """Read `host:port`, `[IPv6]:port` or `*.namespace:port`, or raise ValueError."""
    host, _, port = text.strip().rpartition(":")
    return Namespace(read_namespace(host[2:]), read_port(port)) if host.startswith("*.") else read_server(text)


def read_namespace(text: str) -> str:
    """Return the namespace's name, or raise ValueError."""
    if not _LABEL.match(text):
        raise ValueError(f"{text!r} is no namespace")
    return text


def cluster_domain(resolv_conf: Path = Path("/etc/resolv.conf")) -> str:
    """The domain below which Services are named: a pod's search path holds `svc.<domain>`; else `cluster.local`."""
    try:
        lines = resolv_conf.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    found = [word for line in lines if line.startswith("search") for word in line.lower().split()[1:]]
    domains = [word.removeprefix("svc.").rstrip(".") for word in found if word.startswith("svc.")]
    whole = [domain for domain in domains if all(_LABEL.match(label) for label in domain.split("."))]
    return whole[0] if whole else "cluster.local"
