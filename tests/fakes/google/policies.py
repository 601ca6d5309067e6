"""IAM policies as every API has them: read, changed under an etag, with members that must exist."""

from __future__ import annotations

import base64
import re

from fakes.google.base import PROJECT, Json, Refused, count, invalid
from fakes.state import State


def policy(state: State, resource: str) -> Json:
    """A resource's IAM policy, an empty one to begin with."""
    return state.of("policies").setdefault(resource, stamped({"version": 1, "bindings": []}, 1))


def stamped(value: Json, number: int) -> Json:
    return {**value, "etag": base64.b64encode(f"BwY{number:09d}".encode()).decode()}


def change_policy(state: State, resource: str, wanted: Json) -> Json:
    """Set a policy: 409 where its etag is not the present one's, 400 for members that do not exist."""
    if wanted.get("etag") and wanted["etag"] != policy(state, resource)["etag"]:
        raise Refused(409, "ABORTED", CONCURRENT)
    check_members(state, wanted)
    bindings = [one for one in wanted.get("bindings", []) if one.get("members")]
    state.of("policies")[resource] = stamped(
        {"version": wanted.get("version", 1), "bindings": bindings}, count(state, "policy", 2)
    )
    return state.of("policies")[resource]


CONCURRENT = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."


def check_members(state: State, wanted: Json) -> None:
    for member in {one for binding in wanted.get("bindings", []) for one in binding.get("members", [])}:
        kind, _, name = member.partition(":")
        ours = name.endswith(f"@{PROJECT}.iam.gserviceaccount.com")
        if kind == "serviceAccount" and ours and name not in state.of("iam.accounts"):
            raise invalid(f"Service account {name} does not exist.")
        pool = re.search(r"workloadIdentityPools/([^/]+)/", member)
        if pool and pool.group(1) not in state.of("identity pools"):
            raise invalid(
                f"Identity Pool does not exist ({pool.group(1)}). Please check that you specified a valid resource "
                "name as returned in the `name` attribute in the configuration API."
            )


def forget_member(state: State, email: str, uid: str) -> None:
    """Write a deleted account into every policy as Google does: the binding stays, under another name."""
    gone = f"deleted:serviceAccount:{email}?uid={uid}"
    for one in state.of("policies").values():
        for binding in one["bindings"]:
            members = binding["members"]
            binding["members"] = [gone if member == f"serviceAccount:{email}" else member for member in members]
