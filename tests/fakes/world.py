"""The whole fake world in one object: Google's APIs, their clusters, a login, and the executables that reach them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from fakes import standins
from fakes.google import compute, container, objects, storage
from fakes.google.base import PROJECT, Json
from fakes.google.server import GoogleServer
from fakes.google.serviceusage import AT_FIRST
from fakes.state import Request, State

OPERATOR = Path(__file__).resolve().parent / "operator"
ACCOUNT = "tester@example.org"
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
        """Every cluster that ever ran, by name; closed ones too, to look into."""
        self.server = GoogleServer(self.state)
        self.api_address = self.server.url
        self.bin = folder / "bin"
        standins.install(self.bin, self.api_address, ("docker",) if real else ("docker", *REAL))
        self.log_in()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; nothing of the world runs on."""
        for cluster in container.live(self.state).values():
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
        return {**kept, "PATH": path, "HOME": str(home), "CLOUDSDK_CONFIG": str(self.login)}

    def run(self, *argv: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in this world and return what it said."""
        how = {"env": self.env(), "timeout": 60, "check": False, **how}
        return subprocess.run(argv, capture_output=True, text=True, **how)

    # -- the login -----------------------------------------------------------------------------------------------------

    @property
    def login(self) -> Path:
        """The user's gcloud configuration: an account whose tokens come from the fake's `/token`."""
        return self.folder / "login"

    def log_in(self) -> None:
        """Give the user a login that works."""
        self.state.of("login").pop("ended", None)
        configuration = self.login / "configurations" / "config_default"
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text(f"[core]\naccount = {ACCOUNT}\n[auth]\ntoken_host = {self.api_address}/token\n")
        (self.login / "active_config").write_text("default")
        with sqlite3.connect(self.login / "credentials.db") as database:
            database.execute("CREATE TABLE IF NOT EXISTS credentials (account_id TEXT PRIMARY KEY, value BLOB)")
            database.execute("REPLACE INTO credentials VALUES (?, ?)", (ACCOUNT, CREDENTIAL))
        database.close()

    def log_out(self) -> None:
        """Take the login away, as on a machine where nobody said `gcloud auth login`."""
        for name in ("credentials.db", "access_tokens.db", "configurations/config_default"):
            (self.login / name).unlink(missing_ok=True)

    def expire_tokens(self) -> None:
        """Let every token that was given out be refused from now on; gcloud fetches another."""
        given = int(self.state.of("numbers").get("token", 0))
        self.state.of("expired tokens").update({f"fake-token-{number}": True for number in range(1, given + 1)})

    def end_login(self) -> None:
        """Let the login itself end: tokens are refused, and there are no new ones."""
        self.expire_tokens()
        self.state.of("login")["ended"] = True

    # -- clusters ------------------------------------------------------------------------------------------------------

    def new_cluster(self, made: Json) -> Any:
        """The Kubernetes API of a cluster that the container API has just made."""
        from fakes.kubernetes import Cluster  # starts slower than the rest, and not every test makes a cluster

        folder = self.folder / "clusters" / made["location"] / made["name"]
        folder.mkdir(parents=True, exist_ok=True)
        self.clusters[made["name"]] = cluster = Cluster(self.state, made["name"], folder)
        return cluster

    def cluster(self, name: str = "mnist") -> Any:
        """The Kubernetes API of a cluster that runs, or ran."""
        return self.clusters[name]

    def add_cluster(self, name: str, location: str = "us-central1-c", **fields: Any) -> Any:
        """A cluster that somebody else made; `fields` are the container API's, such as resourceLabels."""
        made = container.defaults({"name": name, **fields}, location)
        self.state.of("container.clusters")[container.key(location, name)] = made
        container.run(self.state, made)
        return self.clusters[name]

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
        lines = [f"{kind} {name}" for kind in KINDS for name in self.state.of(kind)]
        lines += [f"object {bucket}/{name}" for bucket in self.state.of("storage.buckets")
                  for name in self.objects(bucket)]  # fmt: skip
        lines += [f"image {one['uri']} {' '.join(one['tags'])}" for images in
                  self.state.of("artifactregistry.images").values() for one in images.values()]  # fmt: skip
        lines += [f"key of {account} {name}" for account, keys in self.state.of("iam.keys").items() for name in keys]
        lines += [f"binding on {where}: {binding['role']} {member}" for where, kept in self.state.of("policies").items()
                  for binding in kept["bindings"] for member in binding["members"]]  # fmt: skip
        lines += [f"node pool {name} {pool['name']} {pool.get('autoscaling')}" for name, cluster in
                  self.state.of("container.clusters").items() for pool in cluster["nodePools"]]  # fmt: skip
        return sorted(lines)


CREDENTIAL = (
    '{"type": "authorized_user", "client_id": "fake", "client_secret": "fake", "refresh_token": "fake",'
    ' "token_uri": "https://oauth2.googleapis.com/token"}'
)
EVERY = ("artifactregistry", "cloudbuild", "cloudresourcemanager", "compute", "container", "iam", "iap", "storage")
KINDS = ("container.clusters", "artifactregistry.repositories", "iam.accounts", "storage.buckets",
         "servicemanagement.services", *(f"compute.{kind}" for kind in compute.SINGULAR))  # fmt: skip
"""Collections of State whose names are the names of what exists."""
