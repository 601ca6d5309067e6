"""What kinds of object the fake cluster knows, and how a CustomResourceDefinition adds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

IN_ALL = ("pods", "services", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs",
          "horizontalpodautoscalers", "replicationcontrollers")  # fmt: skip
"""The kinds that `kubectl get all` means; TFJobs are not among them."""


@dataclass(frozen=True)
class Kind:
    """One resource of the API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    custom: bool = False
    schema: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def categories(self) -> list[str]:
        """`all` for what `kubectl get all` lists."""
        return ["all"] if self.plural in IN_ALL else []

    @property
    def resource(self) -> str:
        """As kubectl and the error messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As "is invalid" messages name it: `Pod`, `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


TABLE = """
                           v1       namespaces                Namespace                 no  ns      status,finalize
                           v1       nodes                     Node                      no  no      status
                           v1       persistentvolumes         PersistentVolume          no  pv      status
                           v1       pods                      Pod                       yes po      log,portforward
                           v1       services                  Service                   yes svc     status,proxy
                           v1       configmaps                ConfigMap                 yes cm      -
                           v1       secrets                   Secret                    yes -       -
                           v1       serviceaccounts           ServiceAccount            yes sa      -
                           v1       events                    Event                     yes ev      -
                           v1       persistentvolumeclaims    PersistentVolumeClaim     yes pvc     status
                           v1       endpoints                 Endpoints                 yes ep      -
apps                       v1       deployments               Deployment                yes deploy  status,scale
apps                       v1       replicasets               ReplicaSet                yes rs      status,scale
apps                       v1       statefulsets              StatefulSet               yes sts     status,scale
apps                       v1       daemonsets                DaemonSet                 yes ds      status
batch                      v1       jobs                      Job                       yes -       status
networking.k8s.io          v1       ingresses                 Ingress                   yes ing     status
networking.k8s.io          v1       networkpolicies           NetworkPolicy             yes netpol  -
policy                     v1       poddisruptionbudgets      PodDisruptionBudget       yes pdb     status
autoscaling                v2       horizontalpodautoscalers  HorizontalPodAutoscaler   yes hpa     status
rbac.authorization.k8s.io  v1       roles                     Role                      yes -       -
rbac.authorization.k8s.io  v1       rolebindings              RoleBinding               yes -       -
rbac.authorization.k8s.io  v1       clusterroles              ClusterRole               no  -       -
rbac.authorization.k8s.io  v1       clusterrolebindings       ClusterRoleBinding        no  -       -
storage.k8s.io             v1       storageclasses            StorageClass              no  sc      -
coordination.k8s.io        v1       leases                    Lease                     yes -       -
apiextensions.k8s.io       v1       customresourcedefinitions CustomResourceDefinition  no  crd     status
admissionregistration.k8s.io v1     validatingwebhookconfigurations ValidatingWebhookConfiguration no - -
admissionregistration.k8s.io v1     mutatingwebhookconfigurations   MutatingWebhookConfiguration   no - -
networking.gke.io          v1       managedcertificates       ManagedCertificate        yes mcrt    status
networking.gke.io          v1beta1  frontendconfigs           FrontendConfig            yes -       status
cloud.google.com           v1       backendconfigs            BackendConfig             yes -       status
monitoring.googleapis.com  v1       podmonitorings            PodMonitoring             yes -       status
gateway.networking.k8s.io  v1       httproutes                HTTPRoute                 yes -       status
gateway.networking.k8s.io  v1       grpcroutes                GRPCRoute                 yes -       status
"""
"""Group, version, plural, kind, namespaced, short name, subresources; the last six are what GKE adds."""

GKE = ("networking.gke.io", "cloud.google.com", "monitoring.googleapis.com", "gateway.networking.k8s.io")


def names(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))


def built_in() -> list[Kind]:
    kinds = []
    for line in filter(str.strip, TABLE.splitlines()):
        words = ([""] if line.startswith(" ") else []) + line.split()
        group, version, plural, kind, namespaced, short, subresources = words
        custom = group in GKE
        kinds.append(
            Kind(group, version, plural, kind, namespaced == "yes", names(short), names(subresources), custom=custom)
        )
    return kinds


def defined_by(definition: Mapping[str, Any]) -> list[Kind]:
    """The kinds of a CustomResourceDefinition: one for each version that it serves."""
    spec = definition["spec"]
    called = spec["names"]
    return [
        Kind(
            spec["group"], version["name"], called["plural"], called["kind"], spec["scope"] == "Namespaced",
            tuple(called.get("shortNames", ())), tuple(version.get("subresources", {})), True,
            version.get("schema", {}).get("openAPIV3Schema"),
        )
        for version in spec["versions"] if version.get("served", True)
    ]  # fmt: skip


def discovery(kinds: Iterable[Kind], core: bool) -> dict[str, Any]:
    """`/api` or `/apis` with everything in it, as clients since 1.26 ask for it."""
    groups: dict[str, dict[str, list[Any]]] = {}
    for kind in kinds:
        if bool(kind.group) != core:
            groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(discovered(kind))
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [{"version": v, "freshness": "Current", "resources": found} for v, found in versions.items()],
        }
        for group, versions in groups.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def discovered(kind: Kind) -> dict[str, Any]:
    named = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return {
        "resource": kind.plural, "responseKind": named, "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.kind.lower(), "verbs": VERBS, "shortNames": list(kind.short),
        "categories": kind.categories,
        "subresources": [{"subresource": one, "responseKind": named, "verbs": ["get", "patch", "update"]}
                         for one in kind.subresources],
    }  # fmt: skip


def group_list(kinds: Iterable[Kind]) -> dict[str, Any]:
    """`/apis` for a client that does not know the newer form."""
    versions: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.group and kind.version not in versions.setdefault(kind.group, []):
            versions[kind.group].append(kind.version)
    groups = []
    for group, found in versions.items():
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in found]
        groups.append({"name": group, "versions": listed, "preferredVersion": listed[0]})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resource_list(kinds: Iterable[Kind], api_version: str) -> dict[str, Any]:
    """`/apis/GROUP/VERSION` in the older form."""
    resources = []
    for kind in (kind for kind in kinds if kind.api_version == api_version):
        one = {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced,
               "kind": kind.kind, "verbs": VERBS, "shortNames": list(kind.short),
               "categories": kind.categories}  # fmt: skip
        resources += [one, *({**one, "name": f"{kind.plural}/{sub}"} for sub in kind.subresources)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def openapi_index(kinds: Iterable[Kind]) -> dict[str, Any]:
    """`/openapi/v3`: where each group's description lies; the hash keeps caches honest when a CRD adds a kind."""
    places: dict[str, list[str]] = {}
    for kind in kinds:
        places.setdefault(f"{'apis' if kind.group else 'api'}/{kind.api_version}", []).append(kind.plural)
    return {
        "paths": {
            place: {"serverRelativeURL": f"/openapi/v3/{place}?hash={len(plurals)}"}
            for place, plurals in places.items()
        }
    }


def openapi(kinds: Iterable[Kind], api_version: str) -> dict[str, Any]:
    """One group's description, of which kubectl reads only that the server validates fields and runs dry."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")]
    paths = {}
    for kind in (kind for kind in kinds if kind.api_version == api_version):
        named = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        paths[f"/{'apis' if kind.group else 'api'}/{api_version}/{kind.plural}/{{name}}"] = {
            "patch": {"x-kubernetes-group-version-kind": named, "parameters": parameters, "responses": {}}
        }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "fake"}, "paths": paths}
