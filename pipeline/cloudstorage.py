"""A bucket in Cloud Storage, reached with google-cloud-storage and the token of the same gcloud login."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline import causes, hands
from pipeline.answering import carry_out
from pipeline.commands import Command
from pipeline.errors import PipelineError, RunFailed
from pipeline.settings import Settings
from pipeline.tools import gcloud, labels

if TYPE_CHECKING:
    from google.cloud import storage

TIMEOUT = 60.0
"""Seconds for one request; the client tries again by itself what is safe to repeat, for two minutes at most."""

ROLES = {
    "trainer": ("roles/storage.objectUser", "roles/storage.legacyBucketReader"),
    "reader": ("roles/storage.objectViewer", "roles/storage.legacyBucketReader"),
}
"""What each kind of workload may do with the bucket. TensorFlow's client asks for the bucket itself before anything
else (storage.buckets.get), which the roles for objects do not allow."""


class CloudBucket:
    """A bucket of Cloud Storage; its labels say whose it is."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.name = settings, settings.bucket.removeprefix("gs://")
        self._client: storage.Client | None = None

    @property
    def client(self) -> storage.Client:
        """The client, made at the first use: importing it takes a quarter of a second, the token two."""
        if self._client is None:
            from google.api_core.client_options import ClientOptions
            from google.cloud import storage

            address = self.settings.gcp.api_address
            options = ClientOptions(api_endpoint=f"{address}/storage") if address else None
            credentials = credentials_of(self.settings)
            self._client = storage.Client(self.settings.gcp.project, credentials, client_options=options)
        return self._client

    def found(self) -> dict[str, str] | None:
        """The bucket's labels; None where there is no such bucket, RunFailed where it is another project's."""
        with saying(f"look at gs://{self.name}"):
            bucket = self.client.lookup_bucket(self.name, timeout=TIMEOUT)
        return None if bucket is None else dict(bucket.labels)

    def ours(self) -> bool:
        """Whether we made it, or it is not there at all."""
        there = self.found()
        return there is None or labels(self.settings).items() <= there.items()

    def create(self) -> None:
        """Make the bucket with our labels in one request, so that no crash leaves one that nobody owns.

        A bucket that turns out to be there is fine if it is ours; PipelineError if it is somebody else's.
        """
        from google.api_core import exceptions

        bucket = self.client.bucket(self.name)
        bucket.labels = labels(self.settings)
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.iam_configuration.public_access_prevention = "enforced"
        bucket.soft_delete_policy.retention_duration_seconds = 0
        with saying(f"create gs://{self.name}"):
            try:
                self.client.create_bucket(bucket, location=self.settings.gcp.region, timeout=TIMEOUT)
            except exceptions.Conflict:
                if self.found() is None or not self.ours():
                    raise PipelineError(taken(self.settings)) from None

    def read(self, name: str) -> str | None:
        """An object's text, None if it is not there."""
        content = self.read_bytes(name)
        return None if content is None else content.decode()

    def read_bytes(self, name: str, limit: int | None = None) -> bytes | None:
        from google.api_core import exceptions

        last = None if limit is None else limit - 1
        with saying(f"read gs://{self.name}/{name}"):
            try:
                return bytes(self.client.bucket(self.name).blob(name).download_as_bytes(end=last, timeout=TIMEOUT))
            except exceptions.NotFound:
                return None
            except exceptions.RequestRangeNotSatisfiable:  # an empty object has no byte 0
                return b""

    def write(self, name: str, text: str, generation: int | None = None) -> None:
        """Write an object whole; with `generation` only over that very one (0: only where there is none).

        Raises RunFailed where somebody else was quicker; a write of ours whose answer was lost is none.
        """
        from google.api_core import exceptions

        blob = self.client.bucket(self.name).blob(name)
        with saying(f"write gs://{self.name}/{name}"):
            try:
                blob.upload_from_string(text, if_generation_match=generation, timeout=TIMEOUT)
            except exceptions.PreconditionFailed:
                if self.read(name) != text:
                    raise RunFailed(overtaken(f"gs://{self.name}/{name}")) from None

    def generation(self, name: str) -> int:
        """The generation of an object, 0 where there is none: what `write` compares with."""
        with saying(f"look at gs://{self.name}/{name}"):
            blob = self.client.bucket(self.name).get_blob(name, timeout=TIMEOUT)
        return int(blob.generation) if blob else 0

    def folders(self, name: str = "") -> list[str]:
        """The names of the folders in a folder, sorted; none if it, or the bucket, is not there."""
        from google.api_core import exceptions

        prefix = f"{name}/" if name else ""
        with saying(f"list gs://{self.name}/{prefix}"):
            try:
                listing = self.client.list_blobs(self.name, prefix=prefix, delimiter="/", timeout=TIMEOUT)
                list(listing)  # the prefixes are known when the pages have been read
            except exceptions.NotFound:
                return []
        return sorted(found.removeprefix(prefix).rstrip("/") for found in listing.prefixes)

    def sizes(self, name: str) -> dict[str, int]:
        """Bytes of each object below a folder, by its name there."""
        with saying(f"list gs://{self.name}/{name}/"):
            blobs = self.client.list_blobs(self.name, prefix=f"{name}/", timeout=TIMEOUT)
            return {blob.name.removeprefix(f"{name}/"): int(blob.size) for blob in blobs}

    def damaged(self, name: str, files: Mapping[str, Any]) -> str:
        """The first of a folder's files that is not there with its size; Cloud Storage checked its bytes itself."""
        there = self.sizes(name)
        return next((file for file, entry in files.items() if there.get(file) != entry["size"]), "")

    def granted(self) -> dict[str, set[str]]:
        """Who may do what with the bucket: role → members."""
        with saying(f"read who may use gs://{self.name}"):
            policy = self.client.bucket(self.name).get_iam_policy(requested_policy_version=3, timeout=TIMEOUT)
        return {binding["role"]: set(binding["members"]) for binding in policy.bindings if not binding.get("condition")}

    def grant(self, wanted: Mapping[str, set[str]], take: bool = False) -> None:
        """Add members to roles, or take them away, in one write; tried again where somebody else wrote meanwhile."""
        from google.api_core import exceptions, retry

        def once() -> None:
            bucket = self.client.bucket(self.name)
            policy = bucket.get_iam_policy(requested_policy_version=3, timeout=TIMEOUT)
            for role, members in wanted.items():
                plain = next((one for one in policy.bindings if one["role"] == role and not one.get("condition")), None)
                if plain is None:
                    plain = {"role": role, "members": set()}
                    policy.bindings.append(plain)
                plain["members"] = set(plain["members"]) - members if take else {*plain["members"], *members}
            policy.bindings = [one for one in policy.bindings if one["members"]]
            bucket.set_iam_policy(policy, timeout=TIMEOUT)

        passing = retry.if_exception_type(
            exceptions.PreconditionFailed, exceptions.Conflict, exceptions.TooManyRequests, exceptions.ServerError
        )
        with saying(f"{'take' if take else 'give'} access to gs://{self.name}"):
            retry.Retry(predicate=passing, initial=0.5, maximum=8, timeout=120)(once)()

    def delete(self) -> Iterator[str]:
        """Delete the bucket with all that it holds if we made it; says in lines what was done or left alone."""
        there = self.found()
        if there is None:
            yield f"gs://{self.name} is not there"
        elif not self.ours():
            yield f"gs://{self.name} left alone: it does not bear this environment's labels"
        else:
            versions = len([name for name in self.folders("export") if name.isdigit()])
            with saying(f"delete gs://{self.name}"):
                bucket = self.client.bucket(self.name)
                blobs = list(self.client.list_blobs(self.name, versions=True, timeout=TIMEOUT))
                bucket.delete_blobs(blobs, on_error=lambda blob: None, timeout=TIMEOUT)
                bucket.delete(timeout=TIMEOUT)
            yield f"gs://{self.name} deleted, with {versions} versions"


def taken(settings: Settings) -> str:
    """The sentence for a bucket that is not this environment's."""
    return (
        f"{settings.bucket} is there and belongs to somebody else: it does not bear this environment's labels; "
        f"choose another name: --set storage.bucket=…"
    )


def overtaken(name: str) -> str:
    """The sentence for the second of two people who change a file at once."""
    return f"{name} was changed by somebody else meanwhile: nothing was written; look at it, and try again"


def credentials_of(settings: Settings) -> Any:
    """Credentials for Google's Python clients that ask gcloud for a token, and again when it has expired."""
    from google.auth import credentials

    command: Command = gcloud(
        settings, "auth", "print-access-token", doing="ask gcloud for a token", kind="ask", parse="text",
        secret="an access token", timeout=60,  # noqa: S106  # what it holds, not the token
    )  # fmt: skip

    class OfGcloud(credentials.Credentials):
        """The token of the login that gcloud has; refreshed when a request is answered with 401."""

        def refresh(self, request: Any) -> None:
            self.token = carry_out(command, lambda line: None, hands.of(settings))

    return OfGcloud()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def saying(doing: str) -> Iterator[None]:
    """Turn the client's errors into one of ours: what it was doing, Google's words, a likely cause."""
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
        words = str(getattr(error, "message", "") or error).strip()
        cause = causes.of(words) or causes.of(f"{getattr(error, 'code', '')} {type(error).__name__}")
        raise RunFailed("\n  ".join([f"{doing}: {words}", *([cause.told(words)] if cause else [])])) from None
