"""What the UI is told by its environment variables, checked once at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from webui.servers import Server, read_host, read_port, read_server

T = TypeVar("T")


class SettingsError(Exception):
    """A variable holds something unusable: which one, what is wrong, what would be right."""


@dataclass(frozen=True)
class Settings:
    """The form's pre-filled values, where models and test images lie, and whom the form may name."""

    model_name: str = "mnist"
    address: str = "mnist-service"
    port: int = 9000
    model_base_path: str = ""
    test_images: str = ""
    allowed: tuple[Server, ...] = (Server("mnist-service", 9000),)
    version_servers: tuple[tuple[str, Server], ...] = ()

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
        )


def _read(name: str, environ: Mapping[str, str], default: str, reader: Callable[[str], T], right: str) -> T:
    text = environ.get(name) or default
    try:
        return reader(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}; it must be {right}.") from error


def _allowed(environ: Mapping[str, str], configured: Server) -> tuple[Server, ...]:
    listed = [part for part in environ.get("ALLOWED_MODEL_SERVERS", "").split(",") if part.strip()]
    try:
        servers = tuple(dict.fromkeys(read_server(part) for part in listed))
    except ValueError as error:
        raise SettingsError(f"ALLOWED_MODEL_SERVERS: {error}; write host:port, with commas between them.") from error
    if servers and configured not in servers:
        raise SettingsError(
            f"ALLOWED_MODEL_SERVERS leaves out {configured}, the server the form is pre-filled with; add it."
        )
    return servers or (configured,)
