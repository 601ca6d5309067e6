"""A checkout whose environments lead into a fake cloud: real runs of invoke, a trained version, a server behind it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from conftest import NO_GATE, Checkout
from fakes.world import World
from lent import NOTHING, ModelServer


class Cloud:
    """One fake cloud and one checkout in it; `invoke` runs there as a person would run it."""

    def __init__(self, checkout: Checkout, folder: Path, version: Path, real: bool = False) -> None:
        self.checkout, self.version, self.export = checkout, version, folder / "export"
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(folder / "world", real=real)
        self.world.state.of("hooks")["ready"] = self.prepare
        self.server = ModelServer.taken()
        self.rest = self.server.rest
        self.served, self.delivered = set[str](), NOTHING
        self.kubelet = ThreadPoolExecutor(1)

    @property
    def state(self) -> Any:
        return self.world.state

    @property
    def sets(self) -> list[str]:
        """The settings that lead into this cloud."""
        return [*self.world.sets(), *NO_GATE]

    def argv(self, *words: str, env: str = "staging") -> list[str]:
        sets = [word for change in self.sets for word in ("--set", change)]
        return [sys.executable, "-m", "invoke", f"--env={env}", *sets, *words]

    def environ(self, **extra: str) -> dict[str, str]:
        return {**self.checkout.env(), **self.world.env(), **extra}

    def invoke(self, *words: str, env: str = "staging", code: int = 0, timeout: float = 300, **extra: str) -> str:
        """Run invoke, check its exit code, and return all that it printed."""
        done = subprocess.run(
            self.argv(*words, env=env), cwd=self.checkout.root, env=self.environ(**extra), capture_output=True,
            text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{words} ended with {done.returncode}, not {code}:\n{said}"
        assert "Traceback" not in said, said
        return said

    def prepare(self, cluster: Any) -> None:
        """What happens in a cluster that has just been made: jobs leave a version, the model server is a real one."""
        cluster.on_tfjob(self.trained)
        cluster.measure = self.measured
        for port, local in ((9000, self.server.grpc), (8500, self.server.rest)):
            cluster.backends["kubeflow", "mnist-service", port] = local
        cluster.store.listeners.append(partial(self.noticed, cluster))

    def noticed(self, cluster: Any, change: Any) -> None:
        """A pod of the model server has come, or somebody wrote to it: its kubelet brings it its ConfigMap's file.

        A pod whose ConfigMap is not there starts once it is. To one that changes nobody pays attention: a kubelet takes
        up to two minutes for that.
        """
        name, resource = change.found["metadata"]["name"], change.kind.resource
        pod = resource == "pods" and name.startswith(("mnist-serving-", "mnist-predictor-"))
        if pod or (resource, name, change.what) == ("configmaps", "mnist-serving", "ADDED"):
            self.deliver(cluster)

    def deliver(self, cluster: Any) -> None:
        """Have the model server follow the ConfigMap as it is now, if it does not yet; without one it forgets all."""
        found = cluster.store.get(cluster.kind("configmaps"), "kubeflow", "mnist-serving")
        text = re.sub(r"gs://[^/]+/export", str(self.export), found["data"]["models.config"]) if found else NOTHING
        if text != self.delivered:
            self.delivered = text
            self.kubelet.submit(self.server.follow, text)

    def start_anew(self, cluster: Any) -> None:
        """Have the model server begin again, as in a new pod: no label that it knew holds it to a version."""
        self.kubelet.submit(self.server.follow, NOTHING)
        self.delivered = NOTHING
        self.deliver(cluster)

    def trained(self, job: dict[str, Any]) -> None:
        """A TFJob has succeeded: the version that it was to export is in its bucket, and where the server finds it."""
        (container,) = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"]
        flags = dict(word.removeprefix("--").split("=", 1) for word in container["args"])
        if "tf-validation-share" in flags:
            return  # a trial exports nothing
        bucket, tag = flags["tf-export-dir"].removeprefix("gs://").partition("/")[0], flags["tf-version-tag"]
        if tag not in self.served:
            self.world.upload_folder(bucket, f"export/{tag}", self.version)
            shutil.copytree(self.version, self.export / tag)
            if not self.served:
                self.server.start(self.export)
            self.served.add(tag)

    def measured(self, job: dict[str, Any]) -> dict[str, str]:
        """A trial has ended: its record is in its folder of the bucket; a learning rate of 0.002 would be the best."""
        (container,) = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"]
        flags = dict(word.removeprefix("--tf-").split("=", 1) for word in container["args"])
        rate, steps = float(flags["learning-rate"]), int(flags["train-steps"])
        figures = {"validation_accuracy": 0.99 - abs(rate - 0.002), "validation_loss": 0.03 + abs(rate - 0.002)}
        settings = {"learning_rate": rate, "batch_size": int(flags["batch-size"])}
        record = {**figures, "steps": steps, "settings": settings, "durations": {"total_s": 12.0}}
        bucket, _, folder = flags["model-dir"].removeprefix("gs://").partition("/")
        self.world.put(bucket, f"{folder}/validation-{steps:08d}.json", json.dumps(record).encode())
        return {name: f"{value:.6f}" for name, value in figures.items()}

    def close(self) -> None:
        self.kubelet.shutdown()
        self.server.give_back()
        self.checkout.end()
        self.world.close()
