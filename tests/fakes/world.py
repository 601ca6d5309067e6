"""The whole fake world in one object: Google's APIs, their clusters, a login, and the executables that reach them."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from fakes import foreign, standins, summary
from fakes.google import artifactregistry, clusters, objects, storage
from fakes.google.base import PROJECT, Json
from fakes.google.server import GoogleServer
from fakes.google.serviceusage import AT_FIRST
from fakes.login import Login
from fakes.standins.control import Docker
from fakes.state import Request, State

OPERATOR = Path(__file__).resolve().parent / "operator"
KATIB = OPERATOR.parent / "katib"
REAL = ("gcloud", "kubectl")


class World:
    """A cloud of one project, empty at first, that everything started with `env()` and `sets()` talks to.

    `real` leaves gcloud and kubectl to those installed on this machine; else stand-ins take their places, as one always
    does for docker. Use it as a context manager, or call `close()`.
    """

    project = PROJECT

    def __init__(self, folder: Path, real: bool = False) -> None:
        self.folder, self.real = folder, real
        self.state = State()
        self.state.of("services").update(dict.fromkeys(AT_FIRST, True))
        self.state.of("hooks")["cluster"] = self.new_cluster
        self.clusters: dict[str, Any] = {}
        """Every cluster that ever ran, by `location/name`; closed ones too, to look into."""
        self.server = GoogleServer(self.state)
        self.api_address = self.server.url
        self.bin = folder / "bin"
        standins.install(self.bin, self.api_address, ("docker",) if real else ("docker", *REAL))
        self.docker = Docker(self.bin)
        self.login = Login(folder / "login", self.state, self.api_address)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; nothing of the world runs on."""
        for cluster in clusters.live(self.state).values():
            cluster.close()
        self.server.close()

    # -- how a program gets here -------------------------------------------------------------------------------------

    def sets(self) -> list[str]:
        """The settings, as `--set` takes them, that lead an environment here."""
        return [f"gcp.project={PROJECT}", f"gcp.api_address={self.api_address}", f"cluster.operator={OPERATOR}"]

    def env(self) -> dict[str, str]:
        """The environment of a program: our executables first, our login, a home without anything in it."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDSDK_", "GOOGLE_"))}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "HOME": str(home), "CLOUDSDK_CONFIG": str(self.login.folder)}

    def run(self, *argv: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in this world and return what it said."""
        how = {"env": self.env(), "timeout": 60, "check": False, **how}
        return subprocess.run(argv, capture_output=True, text=True, **how)

    # -- what goes wrong, or slowly ------------------------------------------------------------------------------------

    def slow(self, polls: int) -> None:
        """Let long operations be done only when they were asked for so many times; gcloud asks every few seconds."""
        self.state.of("delays")["polls"] = polls

    def fail_next(self, kind: str, message: str) -> None:
        """Let the next operation of a kind on a cluster, such as CREATE_CLUSTER, begin well and end badly."""
        self.state.of("failing")[kind] = message

    def fail_builds(self, why: str) -> None:
        """Let Cloud Build's builds fail from now on; with an empty `why`, succeed again."""
        self.state.of("failing")["build"] = why

    def quota(self, name: str, limit: float) -> None:
        """Set a region's quota, such as CPUS."""
        self.state.of("quotas")[name] = limit

    def billing(self, on: bool) -> None:
        """Let somebody pay for the project, or nobody."""
        self.state.of("billing")["off"] = not on

    # -- clusters ------------------------------------------------------------------------------------------------------

    def new_cluster(self, made: Json) -> Any:
        """The Kubernetes API of a cluster that the container API has just made.

        `state.of("hooks")["ready"]`, where a test sets it, is called with it: the chance to let things happen in there.
        """
        from fakes.kubernetes import Cluster  # starts slower than the rest, and not every test makes a cluster

        place = clusters.key(made["location"], made["name"])
        same_name = any(other.endswith(f"/{made['name']}") for other in clusters.live(self.state))
        name = f"{made['name']}-{made['location']}" if same_name else made["name"]
        self.state.objects.pop(f"kubernetes/{name}", None)  # of a cluster of that name that was deleted
        folder = self.folder / "clusters" / made["location"]
        folder.mkdir(parents=True, exist_ok=True)
        self.clusters[place] = cluster = Cluster(self.state, name, folder)
        cluster.reserved_address = self.reserved
        cluster.pulls = partial(artifactregistry.pullable, self.state)
        location = made["location"]
        region = location.rpartition("-")[0] if location.count("-") == 2 else location
        cluster.reserved_in_region = partial(self.reserved, region=region)
        self.state.of("hooks").get("ready", lambda cluster: None)(cluster)
        return cluster

    def reserved(self, name: str, region: str = "") -> str | None:
        """A reserved address by name: a global one for Ingresses, a region's for Services."""
        place = f"regions/{region}" if region else "global"
        one = self.state.of("compute.addresses").get(f"{place}/addresses/{name}")
        return str(one["address"]) if one else None

    def cluster(self, name: str = "mnist", location: str = "us-central1-c") -> Any:
        """The Kubernetes API of a cluster that runs or ran; Autopilot's locations are regions."""
        return self.clusters[clusters.key(location, name)]

    def add_cluster(self, name: str, location: str = "us-central1-c", **fields: Any) -> Any:
        """A cluster that somebody else made; `fields` are the container API's, such as resourceLabels."""
        with self.state.lock:
            made = clusters.defaults({"name": name, **fields}, location)
            self.state.of("container.clusters")[clusters.key(location, name)] = made
            clusters.run(self.state, made)
        return self.cluster(name, location)

    # -- what is in the cloud ------------------------------------------------------------------------------------------

    def enable(self, *services: str) -> None:
        """Enable APIs: those that are named, or all that the fakes know."""
        every = (f"{name}.googleapis.com" for name in EVERY)
        self.state.of("services").update(dict.fromkeys(services or every, True))

    def add_bucket(self, name: str, ours: bool = True, **fields: Any) -> None:
        """A bucket in the project, or somebody else's of that name."""
        if ours:
            self.state.of("storage.buckets")[name] = storage.new_bucket(name, {"name": name, **fields})
        else:
            self.state.of("others' buckets")[name] = True

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """An object in a bucket."""
        with self.state.lock:
            objects.put(self.state, Request("PUT", "storage", ""), bucket, {"name": name}, data)

    def upload_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """Every file of a folder as an object below a prefix."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix.rstrip('/')}/{path.relative_to(folder).as_posix()}".lstrip("/"),
                         path.read_bytes())  # fmt: skip

    def objects(self, bucket: str) -> dict[str, bytes]:
        """A bucket's objects by name."""
        return {name: one["data"] for name, one in sorted(self.state.of(f"storage.objects/{bucket}").items())}

    def summary(self) -> list[str]:
        """Everything that exists in the project and its clusters, a line each: what two runs are compared by."""
        return summary.of(self.state)

    def plant(self) -> list[str]:
        """Put more than fifty things there that are not ours but look like it; answers their lines in `summary`."""
        before = set(self.summary())
        foreign.plant(self)
        return sorted(set(self.summary()) - before)


EVERY = ("artifactregistry", "cloudbuild", "cloudresourcemanager", "compute", "container", "iam", "iap", "storage")
