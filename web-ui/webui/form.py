"""What a visitor asks about: the three fields of the form, as typed, and the model and server that they name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from webui.allowed import Allowed
from webui.problems import BadValue
from webui.servers import Server, read_host, read_port
from webui.settings import Settings

# Wider than the names we give (config's rules), so that a server somebody else set up can be named too.
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LONGEST_ECHO = 256  # characters of a wrong value that the form shows again


@dataclass(frozen=True)
class Form:
    """The three fields, as typed."""

    name: str
    addr: str
    port: str

    @classmethod
    def read(cls, values: MultiDict[str, str], settings: Settings) -> Form:
        """The form's values from a query or a posted form; what is not there is pre-filled."""
        return cls(
            values.get("name", settings.model_name)[:_LONGEST_ECHO],
            values.get("addr", settings.address)[:_LONGEST_ECHO],
            values.get("port", str(settings.port))[:_LONGEST_ECHO],
        )

    def model(self) -> str:
        """The model's name; BadValue when it cannot be one."""
        if not _MODEL_NAME.match(self.name):
            raise BadValue("The model name takes letters, digits, dots, dashes and underscores.", "name")
        return self.name

    def server(self, allowed: Allowed) -> Server:
        """The server, which must be on the list: BadValue when it is none, Refused when it is another.

        No name is resolved and nothing is connected before this has said yes.
        """
        try:
            host = read_host(self.addr)
        except ValueError as error:
            raise BadValue("The server address is a host name or an IP address.", "addr") from error
        try:
            server = Server(host, read_port(self.port))
        except ValueError as error:
            raise BadValue("The port is a whole number from 1 to 65535.", "port") from error
        allowed.check(server)
        return server
