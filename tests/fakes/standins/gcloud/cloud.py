"""One gcloud call's session: who is logged in, requests to Google's APIs, operations that take time, policies."""

from __future__ import annotations

import os
import sys
import time

from fakes.standins import login
from fakes.standins.wire import Answer, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

NO_PROJECT = "The required property [project] is not currently set."


class Failed(Exception):
    """What gcloud says after its name, with exit code 1."""


class Refused(Failed):
    """An API's refusal, in the words in which gcloud gives it; `status` is HTTP's."""

    def __init__(self, answer: Answer, style: str) -> None:
        self.status = answer.status
        super().__init__(worded(answer, style))


def worded(answer: Answer, style: str) -> str:
    """A refusal as gcloud words it: three styles for three generations of its commands."""
    error = error_of(answer)
    message = error.get("message", "")
    if style == "response":
        return f"ResponseError: code={answer.status}, message={message}"
    if style == "fetch":
        return f"Could not fetch resource:\n - {message}\n"
    if style == "conflict" and answer.status == 409:
        return f"Resource in projects [{error.get('project', '')}] is the subject of a conflict: {message}"
    if style == "instance" and answer.status == 403:
        return (
            f"[{login.account()}] does not have permission to access services instance (or it may not exist): {message}"
        )
    if style == "several":
        said = f"ResponseError: code={answer.status}, message={message}"
        return f'Some requests did not succeed:\n - args: ["{said}"]\n   exit_code: 1\n'
    if style == "storage":
        return f"HTTPError {answer.status}: {message}"
    return "\n".join(
        [f"{error.get('status') or 'HttpError'}: {message}", *(detail(one) for one in error.get("details", []))]
    )


def error_of(answer: Answer) -> Json:
    try:
        return dict(answer.json.get("error", {}))
    except ValueError:
        return {"message": answer.body.decode(errors="replace")}


def detail(one: Json) -> str:
    lines = [f"{name}: {value}" for name, value in sorted(one.items())]
    return "- " + "\n  ".join(f"'{line}'" if line.startswith("@") else line for line in lines)


def say(text: str) -> None:
    """A line of progress, on stderr as gcloud's are."""
    print(text, file=sys.stderr)


class Cloud:
    """The project, and Google's APIs with the token of this login."""

    def __init__(self, project: str, google: str) -> None:
        self.named, self.google, self.known = project, google, ""
        self.wires: dict[str, Wire] = {}

    @property
    def project(self) -> str:
        if not self.named:
            raise Failed(NO_PROJECT)
        return self.named

    @property
    def token(self) -> str:
        """This call's access token; a new one each time, for calls are short."""
        if not self.known:
            try:
                self.known = login.token()
            except login.NotLoggedIn as error:
                raise Failed(str(error)) from None
        return self.known

    def send(self, api: str, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        """One request to an API: `/v1/…`, below the place that CLOUDSDK_API_ENDPOINT_OVERRIDES_… names."""
        override = os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}", f"{self.google}/{api}/")
        place = override.removesuffix("compute/v1/" if api == "compute" else "storage/v1/").rstrip("/")
        place += "/compute" if api == "compute" and not place.endswith("/compute") else ""
        if place not in self.wires:
            self.wires[place] = Wire(place, self.token, agent="google-cloud-sdk stand-in")
        return self.wires[place].ask(method, path, body, **how)

    def ask(self, api: str, method: str, path: str, body: Any = None, style: str = "", **how: Any) -> Json:
        """The answer as JSON; raises Refused."""
        answer = self.send(api, method, path, body, **how)
        if not answer.ok:
            raise Refused(answer, style)
        return dict(answer.json)

    def finish(self, api: str, operation: Json, path: str, style: str = "") -> Json:
        """Ask for an operation until it is done; raises Failed with its error."""
        pause = 0.01
        while not (operation.get("done") or operation.get("status") == "DONE"):
            time.sleep(pause)
            pause = min(pause * 2, 0.2)
            operation = self.ask(api, "GET", path, style=style)
        problem = operation.get("statusMessage") or operation.get("error", {}).get("message")
        if problem:
            raise Failed(f"Operation [{operation['name']}] finished with error: {problem}")
        return operation

    def bind(self, api: str, path: str, get: str, options: Any, take: bool = False) -> Json:
        """Add a member to a role, or take it away, by reading the policy at `path` and writing it back."""
        body = {"options": {"requestedPolicyVersion": 3}} if get == "POST" and api != "iam" else None
        policy = self.ask(api, get, f"{path}:getIamPolicy", body)
        policy["bindings"] = changed(policy.get("bindings", []), options.one("role"), options.one("member"), take)
        asked = {"policy": {**policy, "version": 3} if get == "POST" else policy}
        return self.ask(api, "POST", f"{path}:setIamPolicy", asked)


def changed(bindings: list[Json], role: str, member: str, take: bool) -> list[Json]:
    """The bindings with the member added to the role, or without it."""
    there = next((one for one in bindings if one["role"] == role and not one.get("condition")), None)
    if take:
        if there is None or member not in there["members"]:
            raise Failed("Policy binding with the specified principal, role, and condition not found!")
        there["members"].remove(member)
        return [one for one in bindings if one["members"]]
    if there is None:
        return [*bindings, {"role": role, "members": [member]}]
    there["members"] += [member] if member not in there["members"] else []
    return bindings


def pairs(text: str) -> dict[str, str]:
    """`a=b,c=d` as a dictionary."""
    return dict(part.split("=", 1) for part in text.split(",") if part)


def without_nothing(policy: Json) -> Json:
    """A policy as gcloud shows it: no empty list of bindings."""
    return {name: value for name, value in policy.items() if value or name != "bindings"}
