"""What the UI is told by its environment variables, checked once at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from webui.allowed import Allowed, Namespace, cluster_domain, is_loopback, read_entry, read_namespace
from webui.servers import Server, read_host, read_port, read_server

T = TypeVar("T")

_DEFAULT = Allowed((Server("mnist-service", 9000),))


class SettingsError(Exception):
    """A variable holds something unusable: which one, what is wrong, what would be right."""


@dataclass(frozen=True)
class Settings:
    """The form's pre-filled values, where models and test images lie, and whom the form may name.

    `version_servers`: the servers of single versions while a canary is on, by `stable` and `canary`; they are the
    operator's words, and may be asked whether or not the form may name them.
    """

    model_name: str = "mnist"
    address: str = "mnist-service"
    port: int = 9000
    model_base_path: str = ""
    test_images: str = ""
    allowed: Allowed = _DEFAULT
    version_servers: Mapping[str, Server] = field(default_factory=dict)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read MODEL_NAME, MODEL_SERVER_ADDRESS and the others of docs/containers.md; raise SettingsError."""
        configured = Server(
            _read("MODEL_SERVER_ADDRESS", environ, cls.address, read_host, "a host name or an IP address"),
            _read("MODEL_SERVER_PORT", environ, str(cls.port), read_port, "a whole number from 1 to 65535"),
        )
        return cls(
            model_name=environ.get("MODEL_NAME") or cls.model_name,
            address=configured.host,
            port=configured.port,
            model_base_path=environ.get("MODEL_BASE_PATH", ""),
            test_images=environ.get("TEST_IMAGES", ""),
            allowed=_allowed(environ, configured),
            version_servers=_version_servers(environ.get("MODEL_VERSION_SERVERS", "")),
        )


def _read(name: str, environ: Mapping[str, str], default: str, reader: Callable[[str], T], right: str) -> T:
    text = environ.get(name) or default
    try:
        return reader(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}; it must be {right}.") from error


def _allowed(environ: Mapping[str, str], configured: Server) -> Allowed:
    """The list as given; else the configured server and the Services of its namespace, where that is known."""
    named = environ.get("MODEL_SERVER_NAMESPACE")
    home = _read("MODEL_SERVER_NAMESPACE", environ, "", read_namespace, "a namespace") if named else ""
    try:
        given = [read_entry(part) for part in environ.get("ALLOWED_MODEL_SERVERS", "").split(",") if part.strip()]
    except ValueError as error:
        raise SettingsError(
            f"ALLOWED_MODEL_SERVERS: {error}; write host:port or *.namespace:port, with commas between them."
        ) from error
    beside = [Namespace(home, configured.port)] if home and not is_loopback(configured.host) else []
    allowed = Allowed(tuple(dict.fromkeys(given or [configured, *beside])), home, cluster_domain())
    if not allowed.permits(configured):
        raise SettingsError(
            f"ALLOWED_MODEL_SERVERS leaves out {configured}, the server the form is pre-filled with; add it."
        )
    return allowed


def _version_servers(text: str) -> dict[str, Server]:
    """Read `stable=HOST:PORT,canary=HOST:PORT`; raise SettingsError."""
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        servers = {name.strip(): read_server(server) for name, _, server in parts}
    except ValueError as error:
        raise SettingsError(f"MODEL_VERSION_SERVERS: {error}; write stable=host:port,canary=host:port.") from error
    if "" in servers or len(servers) < len(parts):
        raise SettingsError(f"MODEL_VERSION_SERVERS is {text!r}; each server needs a name of its own before the =.")
    return servers
