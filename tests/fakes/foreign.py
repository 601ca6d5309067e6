"""What other people have in the same project: named and labelled much like ours, and not ours to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.google import artifactregistry, compute
from fakes.google.base import PROJECT
from fakes.google.compute import link
from fakes.google.policies import change_policy, policy

if TYPE_CHECKING:
    from fakes.world import World

OURS = "kubeflow-mnist-pipeline"
LABELS: dict[str, dict[str, str]] = {
    "other-env": {"managed-by": OURS, "part-of": "mnist", "environment": "somebody-elses"},
    "other-part": {"managed-by": OURS, "part-of": "mnist-2", "environment": "staging"},
    "other-tool": {"managed-by": "terraform", "part-of": "mnist", "environment": "staging"},
    "half": {"part-of": "mnist", "environment": "staging"},
    "none": {},
}
"""Labels that are nearly an environment's, by a word that goes into names."""

IMAGE = f"us-central1-docker.pkg.dev/{PROJECT}"


def plant(world: World) -> None:
    """Put in, for every set of labels: a cluster, a registry with an image, a bucket, an account, addresses, disks …"""
    with world.state.lock:
        for word, labels in LABELS.items():
            storage_and_images(world, word, labels)
            accounts(world, word, labels)
            compute_engine(world, word, labels)
        clusters(world)
        dns_name(world)


def text(labels: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())


def storage_and_images(world: World, word: str, labels: dict[str, str]) -> None:
    bucket = f"{PROJECT}-mnist-{word}-bucket"
    world.add_bucket(bucket, location="us-central1", labels=labels)
    world.put(bucket, "export/1/saved_model.pb", b"somebody's model")
    name = artifactregistry.full("us-central1", f"mnist-{word}")
    world.state.of("artifactregistry.repositories")[name] = {"name": name, "format": "DOCKER", "labels": labels}
    artifactregistry.push(world.state, f"{IMAGE}/mnist-{word}/train", "latest")


def accounts(world: World, word: str, labels: dict[str, str]) -> None:
    email = f"mnist-{word}@{PROJECT}.iam.gserviceaccount.com"
    world.state.of("iam.accounts")[email] = {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}", "email": email, "projectId": PROJECT,
        "uniqueId": compute.digits(email), "description": text(labels),
    }  # fmt: skip
    present = policy(world.state, "project")
    more = {"role": "roles/artifactregistry.reader", "members": [f"serviceAccount:{email}"]}
    change_policy(world.state, "project", {**present, "bindings": [*present["bindings"], more]})


def compute_engine(world: World, word: str, labels: dict[str, str]) -> None:
    cluster = {"goog-k8s-cluster-name": "mnist-theirs", "goog-gke-volume": ""}
    service = '{"kubernetes.io/service-name":"kubeflow/web-ui"}'
    add(world, "addresses", f"global/addresses/mnist-{word}", address="198.51.100.200", description=text(labels))
    add(world, "addresses", f"regions/us-central1/addresses/mnist-{word}-web", address="198.51.100.201",
        description=text(labels))  # fmt: skip
    add(world, "disks", f"zones/us-central1-c/disks/pvc-{word}", sizeGb="10", labels={**labels, **cluster})
    add(world, "forwardingRules", f"regions/us-central1/forwardingRules/a{compute.digits(word)}", description=service)
    add(world, "firewalls", f"global/firewalls/mnist-{word}", description=text(labels))


def add(world: World, kind: str, path: str, **fields: Any) -> None:
    scope, place = path.split("/")[:2]
    within = {scope.removesuffix("s"): link(f"{scope}/{place}")} if scope != "global" else {}
    whole = {"kind": f"compute#{compute.SINGULAR[kind]}", "id": compute.digits(path), "name": path.rpartition("/")[2],
             "selfLink": link(path), **within, **fields}  # fmt: skip
    world.state.of(f"compute.{kind}")[path] = whole


def clusters(world: World) -> None:
    """Two: of the same name in another zone, and of another environment, with objects labelled like ours."""
    world.add_cluster("mnist", "us-central1-f", resourceLabels=LABELS["other-tool"])
    theirs = world.add_cluster("mnist-theirs", resourceLabels=LABELS["other-env"])
    theirs.add("namespaces", {"metadata": {"name": "kubeflow"}})
    inside(theirs, "kubeflow", "web-ui")


def inside(cluster: Any, namespace: str, name: str, labels: dict[str, str] | None = None) -> None:
    """A few objects of somebody else's in a cluster's namespace."""
    about = {"namespace": namespace, "name": name, "labels": labels or {}}
    ports = [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    cluster.add("configmaps", {"metadata": about, "data": {"whose": "somebody else's"}})
    cluster.add("services", {"metadata": about, "spec": {"type": "ClusterIP", "ports": ports}})
    cluster.add("secrets", {"metadata": about, "type": "Opaque", "data": {}})
    cluster.add("serviceaccounts", {"metadata": about})


def dns_name(world: World) -> None:
    name = f"mnist-2.endpoints.{PROJECT}.cloud.goog"
    world.state.of("servicemanagement.services")[name] = {
        "service": {"serviceName": name, "producerProjectId": PROJECT}, "configs": {}, "rollouts": [],
    }  # fmt: skip
