"""Kustomizations on this machine: resources, a namespace and secrets made of files; anything else is refused."""

from __future__ import annotations

import base64
import os

from fakes.standins.kubectl.session import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]
    Load = Callable[[str], list[Json]]

KNOWN = {"apiVersion", "kind", "metadata", "resources", "namespace", "secretGenerator", "generatorOptions"}
CLUSTER_WIDE = ("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding")
ORDER = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "Role", "ClusterRole", "RoleBinding",
         "ClusterRoleBinding", "ConfigMap", "Secret", "Service")  # fmt: skip
"""What kustomize puts first, for others need it."""


def kustomized(folder: str, load: Load) -> list[Json]:
    """The documents of a kustomization; `load` reads a file."""
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib costs a tenth of the start
        raise Failed(f"error: must build at directory: not a valid directory: evalsymlink failure on '{folder}' : "
                     f"lstat {os.path.abspath(folder)}: no such file or directory")  # noqa: PTH100  # fmt: skip
    file = os.path.join(folder, "kustomization.yaml")  # noqa: PTH118
    [rules] = load(file)
    if set(rules) - KNOWN:
        raise Failed(f"error: the stand-in does not know {sorted(set(rules) - KNOWN)} in {file}")
    found = [one for name in rules.get("resources", []) for one in resource(folder, name, load)]
    found += [secret(folder, entry, rules.get("generatorOptions", {})) for entry in rules.get("secretGenerator", [])]
    for one in found if "namespace" in rules else []:
        if one["kind"] not in CLUSTER_WIDE:
            one["metadata"]["namespace"] = rules["namespace"]
    return sorted(found, key=order)


def resource(folder: str, name: str, load: Load) -> list[Json]:
    path = os.path.join(folder, name)  # noqa: PTH118
    return kustomized(path, load) if os.path.isdir(path) else load(path)  # noqa: PTH112


def secret(folder: str, entry: Json, options: Json) -> Json:
    """A Secret of files: `name` or `key=path`."""
    if not options.get("disableNameSuffixHash") or set(entry) - {"name", "namespace", "files", "type"}:
        raise Failed("error: the stand-in makes secrets of files only, and only with disableNameSuffixHash")
    data = {}
    for text in entry["files"]:
        key, equals, path = text.partition("=")
        place = os.path.join(folder, path if equals else text)  # noqa: PTH118
        try:
            with open(place, "rb") as file:  # noqa: PTH123
                name = key if equals else text.rpartition("/")[2]
                data[name] = base64.b64encode(file.read()).decode()
        except FileNotFoundError:
            raise Failed(f"error: loading KV pairs: file sources: [{text}]: open {place}: no such file") from None
    metadata = {"name": entry["name"], **({"namespace": entry["namespace"]} if "namespace" in entry else {})}
    metadata |= {name: options[name] for name in ("labels", "annotations") if name in options}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": entry.get("type", "Opaque"),
        "data": data,
    }


def order(document: Json) -> int:
    return ORDER.index(document["kind"]) if document["kind"] in ORDER else len(ORDER)
