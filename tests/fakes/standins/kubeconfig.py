"""The kubeconfig: written as gcloud writes it, in JSON (which is YAML too), and read from both."""

from __future__ import annotations

import base64
import json
import os

from fakes.standins import login
from fakes.standins.documents import load_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

EMPTY = {"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "", "clusters": [],
         "contexts": [], "users": []}  # fmt: skip
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "gke-gcloud-auth-plugin",
          "provideClusterInfo": True, "installHint": "Install gke-gcloud-auth-plugin for use with kubectl"}  # fmt: skip
NO_TOKEN = "getting credentials: exec: executable gke-gcloud-auth-plugin failed with exit code 1"


class NoContext(Exception):
    """There is no such context, or none at all."""


class Kubeconfig:
    """A kubeconfig file: clusters, users and contexts by name."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path) as file:  # noqa: PTH123 - pathlib costs a tenth of the start
                text = file.read()
        except FileNotFoundError:
            text = ""
        self.there = bool(text)
        self.value: Json = {**EMPTY, **((load_all(text) or [{}])[0])}

    @classmethod
    def default(cls) -> Kubeconfig:
        return cls(os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config"))  # noqa: PTH111

    def named(self, kind: str, name: str) -> Json | None:
        return next((one for one in self.value.get(kind) or [] if one["name"] == name), None)

    def put(self, name: str, server: str, authority: str) -> None:
        """One cluster, user and context of the same name, and make it the current one."""
        entries = {
            "clusters": {"cluster": {"server": server, "certificate-authority-data": authority}},
            "users": {"user": {"exec": PLUGIN}},
            "contexts": {"context": {"cluster": name, "user": name}},
        }
        for kind, entry in entries.items():
            kept = [one for one in self.value[kind] if one["name"] != name]
            self.value[kind] = [*kept, {"name": name, **entry}]
        self.value["current-context"] = name
        self.write()

    def remove(self, name: str) -> None:
        if not self.named("contexts", name):
            return
        for kind in ("clusters", "users", "contexts"):
            self.value[kind] = [one for one in self.value[kind] if one["name"] != name]
        if self.value["current-context"] == name:
            self.value["current-context"] = ""
        self.write()

    def write(self) -> None:
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)  # noqa: PTH103, PTH120
        with os.fdopen(os.open(f"{self.path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.value, file, indent=1)
        os.replace(f"{self.path}.new", self.path)  # noqa: PTH105

    def context(self, name: str) -> tuple[str, Json, Json, Json]:
        """The context of this name (empty: the current one): name, context, cluster, user; raises NoContext."""
        name = name or self.value["current-context"]
        context = (self.named("contexts", name) or {}).get("context")
        if not context:
            raise NoContext(f'context "{name}" does not exist' if name else "")
        cluster = (self.named("clusters", context["cluster"]) or {}).get("cluster")
        if cluster is None:
            raise NoContext(f'cluster "{context["cluster"]}" does not exist')
        return name, context, cluster, (self.named("users", context.get("user", "")) or {}).get("user") or {}

    def minified(self, name: str) -> Json:
        """Only what one context needs, with everything inside the file."""
        name, context, cluster, user = self.context(name)
        return {**self.value, "current-context": name, "contexts": [{"name": name, "context": context}],
                "clusters": [{"name": context["cluster"], "cluster": cluster}],
                "users": [{"name": context.get("user", ""), "user": user}]}  # fmt: skip


def authority(cluster: Json) -> str:
    """The cluster's certificate authority, in PEM; empty if it names none."""
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"]).decode()
    if "certificate-authority" in cluster:
        with open(cluster["certificate-authority"]) as file:  # noqa: PTH123
            return file.read()
    return ""


def token(user: Json) -> str:
    """The user's token; where a plugin is to get one, that of gcloud's login."""
    if "token" in user:
        return str(user["token"])
    if "exec" in user:
        try:
            return login.token()
        except login.NotLoggedIn:
            raise NoContext(NO_TOKEN) from None
    return ""
