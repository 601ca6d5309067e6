"""The tutorial's way to the bucket: a service account's key in the Secret user-gcp-sa."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path

from pipeline import cloud, manifests
from pipeline.clusters import kube, kubeflow
from pipeline.commands import Probe, Remove, Steps, Unchanged, Write
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tools import gcloud

SECRET = "user-gcp-sa"  # noqa: S105  # the Secret's name, which the tutorial gave it
KEY = "user-gcp-sa.json"


def key_secret(settings: Settings) -> Steps:
    """Make a key and hand it over to the cluster at once; the file is gone whether that succeeds or not.

    A key without a Secret is what a run that was killed left: it is deleted, and a new one made.
    """
    if settings.identity != "key-secret":
        return
    found = yield kube.exists(settings, "secret", SECRET)
    if found:
        yield Unchanged(f"Secret {SECRET} is there")
        return
    folder = settings.build / "secret"
    yield Remove(folder / KEY)
    yield from withdraw(settings)
    yield Write(folder / "kustomization.yaml", kustomization(settings))
    try:
        yield cloud.change(
            settings, "iam", "service-accounts", "keys", "create", str(folder / KEY),
            f"--iam-account={cloud.email(settings, 'user')}", doing=f"make a key of {cloud.email(settings, 'user')}",
            retry=False,
        )  # fmt: skip
        yield Probe("who may read the key", partial(private, settings, folder / KEY))
        yield kubeflow.kustomize(settings, str(folder), f"hand the key over as Secret {SECRET}")
    except PipelineError:
        yield Remove(folder / KEY)
        raise
    yield Remove(folder / KEY)


def withdraw(settings: Settings) -> Steps:
    """Delete the account's keys that people made; Google's own stay."""
    account = f"--iam-account={cloud.email(settings, 'user')}"
    keys = ("iam", "service-accounts", "keys")
    listed = yield gcloud(
        settings, *keys, "list", account, "--managed-by=user", "--format=value(name.basename())", absent=cloud.ABSENT,
        doing="look for keys without a Secret", kind="ask", parse="text", unasked="", needs=("account user",),
        timeout=120,
    )  # fmt: skip
    for key in (listed or "").split():
        yield cloud.undo(settings, *keys, "delete", key, account, doing=f"delete the key {key}, which nobody has")


def kustomization(settings: Settings) -> str:
    """Makes kubectl read the key from its file: no rendered manifest and no argument ever holds it."""
    secret = {"name": SECRET, "namespace": settings.cluster.namespace, "files": [KEY]}
    marked = manifests.label({"kind": "Secret", "metadata": {}}, settings, "identity")["metadata"]["labels"]
    return json.dumps(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "secretGenerator": [secret],
            "generatorOptions": {"disableNameSuffixHash": True, "labels": marked},
        },
        indent=1,
    )


def private(settings: Settings, key: Path) -> None:
    """Raise PipelineError for a key that others on this machine can read."""
    if settings.host is None and key.exists() and key.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        mode = stat.S_IMODE(key.stat().st_mode)
        raise PipelineError(f"{key} can be read by others (mode {mode:o}); it was deleted and not used: umask 077")
