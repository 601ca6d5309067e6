"""Service accounts, and what the nodes' one may do."""

from __future__ import annotations

from pipeline.cloud.asking import ask, change, read, told, undo
from pipeline.resources import Resource
from pipeline.settings import Settings


def email(settings: Settings, kind: str) -> str:
    """A service account of the environment: `nodes`, or `user` as the tutorial called the workloads' one."""
    return f"{settings.name}-{kind}@{settings.gcp.project}.iam.gserviceaccount.com"


def account(settings: Settings, kind: str) -> Resource:
    address, what = email(settings, kind), f"the service account {email(settings, kind)}"
    return Resource(
        what,
        ask(settings, "iam", "service-accounts", "describe", address, doing=f"look for {what}"),
        (
            change(
                settings, "iam", "service-accounts", "create", f"{settings.name}-{kind}",
                f"--display-name={settings.name} {kind}", f"--description={told(settings)}", doing=f"create {what}",
                makes=f"account {kind}",
            ),
        ),
        (undo(settings, "iam", "service-accounts", "delete", address, doing=f"delete {what}"),),
        lambda found: read(found.get("description")),
    )  # fmt: skip


NODE_ROLE = "roles/container.defaultNodeServiceAccount"
"""What a node needs: to write logs and metrics. Pulling images is allowed on our registry alone."""


def binding(settings: Settings, words: tuple[str, ...], where: str, role: str, *more: str, needs: str = "") -> Resource:
    """A role of the nodes' account on a thing that `words` name.

    It is a part of the account: once that is gone nobody knows any more whose role it was.
    """
    member = f"serviceAccount:{email(settings, 'nodes')}"
    *group, name = words
    what = f"{role} of {email(settings, 'nodes')} on {where}"
    place = [f"--location={settings.gcp.region}"] if "repositories" in group else []
    said = (name, *place, f"--member={member}", f"--role={role}", *more)
    return Resource(
        what,
        ask(
            settings, *group, "get-iam-policy", name, *place, "--flatten=bindings[].members",
            f"--filter=bindings.members={member} AND bindings.role={role}", doing=f"look for {what}", unasked=None,
            needs=(needs,) if needs else (),
        ),
        (change(settings, *group, "add-iam-policy-binding", *said, "--format=none", doing=f"give {what}"),),
        (undo(settings, *group, "remove-iam-policy-binding", *said, "--format=none", doing=f"take {what}"),),
        within=account(settings, "nodes"),
    )  # fmt: skip


def node_bindings(settings: Settings) -> tuple[Resource, ...]:
    project, repository = ("projects", settings.gcp.project), ("artifacts", "repositories", settings.name)
    return (
        binding(settings, project, f"project {settings.gcp.project}", NODE_ROLE, "--condition=None"),
        binding(settings, repository, settings.registry, "roles/artifactregistry.reader", needs="registry"),
    )
