"""One kubectl call: the kubeconfig's cluster, the kinds it knows, requests, and refusals in kubectl's words."""

from __future__ import annotations

import re
import sys

from fakes.standins.kubeconfig import Kubeconfig, NoContext, authority, token
from fakes.standins.wire import Answer, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
NO_SERVER = "The connection to the server {} was refused - did you specify the right host or port?"


class Failed(Exception):
    """What kubectl says on stderr."""


class Refused(Failed):
    """A Status object of the API server."""

    def __init__(self, answer: Answer) -> None:
        self.code = answer.status
        self.status = status_of(answer)
        reason, message = self.status.get("reason", ""), self.status.get("message", "")
        if answer.status == 401:
            super().__init__("error: You must be logged in to the server (Unauthorized)")
        else:
            super().__init__(f"Error from server ({reason}): {message}" if reason else f"Error from server: {message}")


def status_of(answer: Answer) -> Json:
    try:
        return dict(answer.json)
    except ValueError:
        return {"message": answer.body.decode(errors="replace")}


class Kind:
    """One resource that the server knows."""

    def __init__(self, group: str, version: str, found: Json) -> None:
        self.group, self.version, self.plural = group, version, found["resource"]
        self.name, self.namespaced = found["responseKind"]["kind"], found["scope"] == "Namespaced"
        self.singular = found.get("singularResource") or self.name.lower()
        self.words = {self.plural, self.singular, *found.get("shortNames", [])}
        self.categories = found.get("categories", [])
        self.custom = "." in group and not group.endswith(".k8s.io")

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def shown(self, name: str) -> str:
        """As kubectl names an object: `deployment.apps/web`."""
        return f"{self.singular}.{self.group}/{name}" if self.group else f"{self.singular}/{name}"

    def answers_to(self, word: str) -> bool:
        head, _, group = word.lower().partition(".")
        return head in self.words and group in ("", self.group, f"{self.version}.{self.group}")


class Session:
    """The cluster that the flags and the kubeconfig name; it is looked for when it is first needed."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.known: list[Kind] = []
        self.wire: Wire | None = None
        self.default = "default"

    @property
    def config(self) -> Kubeconfig:
        path = self.options.one("kubeconfig")
        return Kubeconfig(path) if path else Kubeconfig.default()

    @property
    def namespace(self) -> str:
        self.connected()
        return self.options.one("namespace") or self.default

    def connected(self) -> Wire:
        """The connection to the context's server."""
        if self.wire is None:
            config = self.config
            if self.options.one("kubeconfig") and not config.there:
                raise Failed(f"error: stat {config.path}: no such file or directory")
            try:
                _, context, cluster, user = config.context(self.options.one("context"))
                self.default = context.get("namespace") or "default"
                self.wire = Wire(
                    cluster["server"], token(user), authority(cluster), limit(self.options), "kubectl stand-in"
                )
            except NoContext as error:
                raise Failed(f"error: {error}" if str(error) else NO_SERVER.format("localhost:8080")) from None
        return self.wire

    def ask(self, method: str, path: str, body: Any = None, **how: Any) -> Json:
        """The answer as JSON; raises Refused."""
        answer = self.send(method, path, body, **how)
        return dict(answer.json)

    def send(self, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        answer = self.connected().ask(method, path, body, **how)
        if not answer.ok:
            raise Refused(answer)
        return answer

    def lost(self, error: OSError) -> str:
        """What kubectl says when the connection fails."""
        place = f"{self.wire.host}:{self.wire.port}" if self.wire else "localhost:8080"
        if isinstance(error, ConnectionRefusedError):
            return NO_SERVER.format(place)
        if isinstance(error, TimeoutError):
            return ("Unable to connect to the server: net/http: request canceled "
                    "(Client.Timeout exceeded while awaiting headers)")  # fmt: skip
        return f"Unable to connect to the server: {'EOF' if isinstance(error, ConnectionResetError) else error}"

    # -- kinds -------------------------------------------------------------------------------------------------------

    @property
    def kinds(self) -> list[Kind]:
        """Everything that the server knows; asked for once."""
        if not self.known:
            for path in ("/api", "/apis"):
                for group in self.ask("GET", path, Accept=DISCOVERY).get("items", []):
                    for version in group["versions"]:
                        name = group["metadata"].get("name", "")
                        self.known += [Kind(name, version["version"], one) for one in version["resources"]]
        return self.known

    def kind(self, word: str) -> Kind:
        """The kind that a word on the command line means."""
        found = next((kind for kind in self.kinds if kind.answers_to(word)), None)
        if found is None:
            raise Failed(f'error: the server doesn\'t have a resource type "{word}"')
        return found

    def kinds_of(self, words: str) -> list[Kind]:
        """`pods,services` and categories such as `all`."""
        found: list[Kind] = []
        for word in words.split(","):
            members = [kind for kind in self.kinds if word in kind.categories]
            found += members or [self.kind(word)]
        return found

    def kind_of(self, document: Json) -> Kind | None:
        """The kind of a manifest; None if the server does not know it."""
        wanted = (document["apiVersion"], document["kind"])
        return next((kind for kind in self.kinds if (kind.api_version, kind.name) == wanted), None)

    def path(self, kind: Kind, namespace: str, name: str = "") -> str:
        base = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        place = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
        return f"{base}{place}/{kind.plural}" + (f"/{name}" if name else "")

    def named(self, words: list[str]) -> Iterator[tuple[Kind, str]]:
        """`K NAME…` and `K/NAME…` as kinds and names."""
        if words and "/" in words[0]:
            for word in words:
                kind, _, name = word.partition("/")
                yield self.kind(kind), name
        elif words:
            for kind in self.kinds_of(words[0]):
                yield from ((kind, name) for name in words[1:])


def limit(options: Options) -> float | None:
    """--request-timeout in seconds; None for 0, which is no limit."""
    return seconds(options.one("request-timeout", "0")) or None


def seconds(text: str) -> float:
    """`90`, `5m`, `1h30m` in seconds."""
    parts = re.findall(r"([\d.]+)(ms|h|m|s|$)", text)
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1, "": 1, "ms": 0.001}[unit] for number, unit in parts)


def complain(text: object) -> None:
    print(text, file=sys.stderr)
