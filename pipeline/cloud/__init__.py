"""What an environment has in Google Cloud, thing by thing: how to look for it, make it, mend it and undo it."""

from __future__ import annotations

from pipeline.cloud.accounts import account, email, node_bindings
from pipeline.cloud.asking import ABSENT, ask, change, told, undo
from pipeline.cloud.entrances import (
    DOOR,
    addresses,
    endpoint_file,
    guests,
    iap_address,
    page_address,
    public_name,
    reserved,
)
from pipeline.cloud.machines import (
    CREATION,
    UNPOLICED,
    cluster,
    gpu_pools,
    look_for_cluster,
    obeys_policies,
    police,
    where,
)
from pipeline.cloud.services import apis, enabled, project, started, turned_on
from pipeline.cloud.stores import access, bucket, registry

__all__ = [
    "ABSENT",
    "CREATION",
    "DOOR",
    "UNPOLICED",
    "access",
    "account",
    "addresses",
    "apis",
    "ask",
    "bucket",
    "change",
    "cluster",
    "email",
    "enabled",
    "endpoint_file",
    "gpu_pools",
    "guests",
    "iap_address",
    "look_for_cluster",
    "node_bindings",
    "obeys_policies",
    "page_address",
    "police",
    "project",
    "public_name",
    "registry",
    "reserved",
    "started",
    "told",
    "turned_on",
    "undo",
    "where",
]
