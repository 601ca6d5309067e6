"""What the fakes of Google's APIs share: a table of routes, refusals in Google's words, policies and operations."""

from __future__ import annotations

import hashlib
import re
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fakes.state import Reply, Request, State, Unknown

Json = dict[str, Any]

PROJECT = "demo-project-1"
NUMBER = "123456789012"
"""The number of PROJECT, which APIs use where the id would do as well."""


@dataclass
class Refused(Exception):
    """A request that Google would refuse, in Google's words."""

    code: int
    status: str
    message: str
    details: tuple[Json, ...] = ()
    reason: str = ""
    """Of the older APIs (compute, storage), which answer with a list of errors."""

    def reply(self) -> Reply:
        error: Json = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        if self.reason:
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        return Reply.of({"error": error}, self.code)


def missing(message: str) -> Refused:
    return Refused(404, "NOT_FOUND", message)


def exists(message: str) -> Refused:
    return Refused(409, "ALREADY_EXISTS", message)


def denied(message: str) -> Refused:
    return Refused(403, "PERMISSION_DENIED", message)


def invalid(message: str) -> Refused:
    return Refused(400, "INVALID_ARGUMENT", message)


Answer = Reply | Json
Function = Callable[..., Answer]


class Api:
    """One of Google's APIs: a table of `METHOD /path/{name}` and the functions that answer.

    A function gets the state, the request and what stood in the path's braces: `{name}` is one segment of the path,
    `{name=**}` several. `service` and `title` name the API that a project must have enabled.
    """

    def __init__(self, name: str, service: str = "", title: str = "", no_login: str = "") -> None:
        self.name, self.service, self.title, self.no_login = name, service, title, no_login or NO_LOGIN
        self.routes: list[tuple[str, re.Pattern[str], Function]] = []

    def on(self, line: str) -> Callable[[Function], Function]:
        method, template = line.split(" ", 1)
        pattern = re.sub(r"\\\{(\w+)=\\\*\\\*\\\}", r"(?P<\1>.+)", re.escape(template))
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/:]+)", pattern)

        def add(function: Function) -> Function:
            self.routes.append((method, re.compile(pattern), function))
            return function

        return add

    def handle(self, state: State, request: Request) -> Reply:
        """Answer one request; raises Unknown for what no function answers."""
        for method, pattern, function in self.routes:
            match = pattern.fullmatch(request.path) if method == request.method else None
            if match:
                names = {name: urllib.parse.unquote(value) for name, value in match.groupdict().items()}
                return self.answer(state, request, function, names)
        raise Unknown(str(request))

    def answer(self, state: State, request: Request, function: Function, names: dict[str, str]) -> Reply:
        try:
            self.admit(state, request, names.get("project", ""))
            answer = function(state, request, **names)
        except Refused as refusal:
            return refusal.reply()
        return answer if isinstance(answer, Reply) else Reply.of(answer)

    def admit(self, state: State, request: Request, project: str) -> None:
        """Refuse who is not logged in, another's project, a project without billing, and an API that is off."""
        if request.path.startswith("/fake/"):
            return
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in state.of("expired tokens"):
            raise Refused(401, "UNAUTHENTICATED", self.no_login, reason="authError")
        if project and project not in (PROJECT, NUMBER, "-"):
            raise denied(f"Permission denied on resource project {project}.")
        if self.service and self.service not in state.of("services"):
            raise Refused(403, "PERMISSION_DENIED", API_OFF.format(self=self, number=NUMBER), (self.disabled(),))

    def disabled(self) -> Json:
        return {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com",
            "metadata": {"service": self.service, "consumer": f"projects/{NUMBER}"},
        }


NO_LOGIN = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
API_OFF = (
    "{self.title} has not been used in project {number} before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/{self.service}/overview?project={number} then retry. If you "
    "enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
)


def found(state: State, collection: str, name: str, message: str) -> Any:
    """An object, or a 404 that says `message`."""
    try:
        return state.of(collection)[name]
    except KeyError:
        raise missing(message) from None


def count(state: State, name: str, start: int = 1) -> int:
    """The next number of a series."""
    numbers = state.of("numbers")
    numbers[name] = numbers.get(name, start - 1) + 1
    return int(numbers[name])


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())


def digits(text: str, length: int = 19) -> str:
    """A number as long as Google's ids, always the same for the same text."""
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:length]
