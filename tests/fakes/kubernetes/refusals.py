"""The API server's refusals, worded as it words them."""

from __future__ import annotations

from typing import Any

from fakes.kubernetes.kinds import Kind


class Refused(Exception):
    """A request that the API server answers with a Status object."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "details": details or {}, "code": code,
        }  # fmt: skip


def about(kind: Kind, name: str) -> dict[str, Any]:
    return {"name": name, "group": kind.group, "kind": kind.plural}


def not_found(kind: Kind, name: str) -> Refused:
    return Refused(404, "NotFound", f'{kind.resource} "{name}" not found', about(kind, name))


def no_such_path() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource")


def exists(kind: Kind, name: str) -> Refused:
    return Refused(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', about(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> Refused:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Refused(409, "Conflict", message, about(kind, name))


def terminating(kind: Kind, name: str, namespace: str) -> Refused:
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return Refused(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', about(kind, name))


def invalid(kind: Kind, name: str, field: str, why: str) -> Refused:
    reason = "FieldValueRequired" if why == "Required value" else "FieldValueInvalid"
    causes = [{"reason": reason, "message": why, "field": field}]
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}
    return Refused(422, "Invalid", f'{kind.qualified} "{name}" is invalid: {field}: {why}', details)


def strict(kind: Kind, unknown: list[str]) -> Refused:
    fields = ", ".join(f'unknown field "{field}"' for field in unknown)
    handled = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
    return Refused(400, "BadRequest", f"{handled}: strict decoding error: {fields}")


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")
