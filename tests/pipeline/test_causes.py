"""Every row of the error table knows the tool's own words, says what they mean, and hides no other row."""

# ruff: noqa: E501  # the tools' own words are as long as they are

from __future__ import annotations

import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import causes
from pipeline.causes import CAUSES, ROLES, Cause

NODE_POOLS = "ERROR: (gcloud.container.clusters.create) ResponseError: code=403, message="
LOGIN_AGAIN = "\nPlease run:\n\n  $ gcloud auth login\n\nto obtain new credentials."
APPLY = 'error when retrieving current configuration of:\nfrom server for: "build/staging/train.yaml": '

EXAMPLES = {
    "network": (
        "ERROR: (gcloud.projects.describe) There was a problem refreshing your current auth tokens: HTTPSConnectionPool("
        "host='oauth2.googleapis.com', port=443): Max retries exceeded with url: /token (Caused by NameResolutionError(…))"
        + LOGIN_AGAIN,
        "network",
    ),
    "gcloud crashed": ("ERROR: gcloud crashed (ConnectionError): ('Connection broken', OSError())", "(ConnectionError)"),
    "Docker Hub's limit": (
        "ERROR: toomanyrequests: You have reached your unauthenticated pull rate limit. "
        "https://www.docker.com/increase-rate-limit",
        "`docker login`",
    ),
    "rate": (
        "ERROR: (gcloud.compute.regions.describe) ResponseError: code=429, message=Quota exceeded for quota metric "
        "'Read requests' and limit 'Read requests per minute' of service 'compute.googleapis.com' for consumer "
        "'project_number:1'.",
        "too many requests",
    ),
    "their fault": (
        "google.api_core.exceptions.ServiceUnavailable: 503 GET https://storage.googleapis.com/storage/v1/b/x: "
        "Service Unavailable",
        "failed for a moment",
    ),
    "concurrent change": (
        "ERROR: (gcloud.storage.buckets.add-iam-policy-binding) HTTPError 412: At least one of the pre-conditions you "
        "specified did not hold.",
        "at the same time",
    ),
    "cluster busy": (
        "ERROR: (gcloud.container.node-pools.create) ResponseError: code=400, message=Operation operation-17-ab is "
        "currently upgrading cluster mnist. Please wait and try again once it is done.",
        "being made or changed",
    ),
    "identity pool": (
        "ERROR: (gcloud.storage.buckets.add-iam-policy-binding) HTTPError 400: Identity Pool does not exist "
        "(demo.svc.id.goog). Please check that you specified a valid resource name",
        "demo.svc.id.goog comes into being",
    ),
    "new account": (
        "ERROR: (gcloud.projects.add-iam-policy-binding) INVALID_ARGUMENT: Service account "
        "mnist-nodes@demo.iam.gserviceaccount.com does not exist.",
        "mnist-nodes@demo.iam.gserviceaccount.com is so new",
    ),
    "namespace ending": (
        'Error from server (Forbidden): deployments.apps "web-ui" is forbidden: unable to create new content in '
        "namespace kubeflow because it is being terminated",
        "still being deleted",
    ),
    "webhook": (
        'Error from server (InternalError): error when creating "train.yaml": Internal error occurred: failed calling '
        'webhook "validator.tfjob.training-operator.kubeflow.org": failed to call webhook: Post "https://…": dial tcp '
        "10.0.0.7:443: connect: connection refused",
        "validator.tfjob.training-operator.kubeflow.org, which checks",
    ),
    "no login": (
        "ERROR: (gcloud.projects.describe) You do not currently have an active account selected." + LOGIN_AGAIN,
        "`gcloud auth login`",
    ),
    "login expired": (
        "ERROR: (gcloud.container.clusters.list) There was a problem refreshing your current auth tokens: "
        "('invalid_grant: Token has been expired or revoked.')" + LOGIN_AGAIN,
        "`gcloud auth login`",
    ),
    "token refused": (
        "ERROR: (gcloud.projects.describe) UNAUTHENTICATED: Request had invalid authentication credentials. Expected "
        "OAuth 2 access token, login cookie or other valid authentication credential.",
        "`gcloud auth login`",
    ),
    "plugin absent": (
        "Unable to connect to the server: getting credentials: exec: executable gke-gcloud-auth-plugin not found\n"
        "It looks like you are trying to use a client-go credential plugin that is not installed.",
        "`gcloud components install gke-gcloud-auth-plugin`",
    ),
    "plugin failed": (
        "Unable to connect to the server: getting credentials: exec: executable gke-gcloud-auth-plugin failed with "
        "exit code 1",
        "`gcloud auth login`",
    ),
    "API off": (
        NODE_POOLS + "Kubernetes Engine API has not been used in project 123456 before or it is disabled. Enable it by "
        "visiting https://console.developers.google.com/apis/api/container.googleapis.com/overview?project=123456 then "
        "retry. If you enabled this API recently, wait a few minutes",
        "`gcloud services enable container.googleapis.com --project=123456`",
    ),
    "API off, by its reason": (
        "- '@type': type.googleapis.com/google.rpc.ErrorInfo\n  domain: googleapis.com\n  reason: SERVICE_DISABLED",
        "`invoke deploy`",
    ),
    "terms": (
        "ERROR: (gcloud.services.enable) FAILED_PRECONDITION: Callers must accept Terms of Service\n"
        "    - subject: '110002'\n      type: googleapis.com\n  code: UREQ_TOS_NOT_ACCEPTED",
        "https://console.cloud.google.com",
    ),
    "billing": (
        "ERROR: (gcloud.services.enable) FAILED_PRECONDITION: Billing account for project '123456' is not found. Billing "
        "must be enabled for activation of service(s) 'container.googleapis.com' to proceed.",
        "`gcloud billing projects link",
    ),
    "quota": (
        NODE_POOLS + 'Insufficient regional quota to satisfy request: resource "CPUS": request requires \'16.0\' and is '
        "short '4.0'. project has a quota of '12.0' with '12.0' available. View and manage quotas at https://…",
        "quota of CPUS: 16.0 wanted, 4.0 short",
    ),
    "quota of Compute": (
        "ERROR: (gcloud.compute.addresses.create) Could not fetch resource:\n - Quota 'GPUS_ALL_REGIONS' exceeded.  "
        "Limit: 0.0 globally.",
        "quota of GPUS_ALL_REGIONS is 0.0 globally",
    ),
    "quota of the namespace": (
        'Error from server (Forbidden): pods "web-ui" is forbidden: exceeded quota: team, requested: cpu=2, used: cpu=3',
        "own quota team",
    ),
    "quota, unnamed": ("[QUOTA_EXCEEDED] Instance 'gke-mnist-1' creation failed", "a quota"),
    "exhausted": (
        "ERROR: (gcloud.iam.service-accounts.create) RESOURCE_EXHAUSTED: A quota has been reached for project number 7",
        "a limit is reached; wait a minute",
    ),
    "capacity": (
        "code: ZONE_RESOURCE_POOL_EXHAUSTED\nmessage: The zone 'projects/demo/zones/us-central1-c' does not have enough "
        "resources available to fulfill the request.  Try a different zone, or try again later.",
        "`--set gcp.zone=…`",
    ),
    "keys forbidden": (
        "ERROR: (gcloud.iam.service-accounts.keys.create) FAILED_PRECONDITION: Key creation is not allowed on this service "
        "account.\n- type: constraints/iam.disableServiceAccountKeyCreation",
        "`--set identity=workload-identity`",
    ),
    "constraint": (
        "ERROR: (gcloud.compute.addresses.create) Constraint constraints/compute.vmExternalIpAccess violated for project",
        "constraints/compute.vmExternalIpAccess",
    ),
    "no network": (
        "ERROR: (gcloud.container.clusters.create) ResponseError: code=400, message=Network \"default\" does not exist.",
        "`gcloud compute networks create default`",
    ),
    "bucket taken": (
        "google.api_core.exceptions.Conflict: 409 POST https://storage.googleapis.com/storage/v1/b: The requested bucket "
        "name is not available. The bucket namespace is shared by all users of the system. Please select a different name",
        "`--set storage.bucket=…`",
    ),
    "endpoint deleted": (
        "ERROR: (gcloud.endpoints.services.deploy) FAILED_PRECONDITION: Service 'mnist.endpoints.demo.cloud.goog' has been "
        "deleted and will be purged after 30 days. To reuse this service, please undelete the service following",
        "`gcloud endpoints services undelete mnist.endpoints.demo.cloud.goog`",
    ),
    "docker daemon down": (
        "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "`--set build_images.tool=cloud-build`",
    ),
    "docker daemon closed": (
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "`sudo usermod -aG docker $USER`",
    ),
    "credential helper absent": (
        'error getting credentials - err: exec: "docker-credential-gcloud": executable file not found in $PATH, out: ``',
        "docker-credential-gcloud is not on PATH",
    ),
    "push denied": (
        'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/demo/locations/'
        'us-central1/repositories/mnist" (or it may not exist)',
        "roles/artifactregistry.writer",
    ),
    "port taken": (
        "Unable to listen on port 8080: Listeners failed to create with the following errors: [unable to create "
        "listener: Error listen tcp4 127.0.0.1:8080: bind: address already in use]\n"
        "error: unable to listen on any of the requested ports: [{8080 5000}]",
        "another program listens on port 8080; choose another",
    ),
    "no registry": (
        'denied: gcr.io repo does not exist. Creating on push requires the artifactregistry.repositories.createOnPush '
        "permission",
        "`invoke deploy`",
    ),
    "other processor": ("exec /usr/local/bin/python: exec format error", "`--set build_images.platform=linux/amd64`"),
    "disk full": ("write /var/lib/docker/tmp/x: no space left on device", "`docker system prune`"),
    "refused": (
        "Warning: the server doesn't have a resource type 'pods'\nThe connection to the server 127.0.0.1:9 was refused - "
        "did you specify the right host or port?",
        "nothing answers",
    ),
    "mute": (
        'Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)',
        "does not answer",
    ),
    "context": ('error: context "gke_demo_us-central1-c_mnist" does not exist', "`invoke deploy`"),
    "certificate": (
        "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "made anew",
    ),
    "operator absent": (
        'error: resource mapping not found for name: "train-1" namespace: "kubeflow" from "train.yaml": no matches for '
        'kind "TFJob" in version "kubeflow.org/v1"\nensure CRDs are installed first',
        "`invoke deploy` installs it",
    ),
    "kind unknown": (
        'no matches for kind "BackendConfig" in version "cloud.google.com/v1"',
        "does not know such objects",
    ),
    "git absent": (
        "error: no 'git' program on path: exec: \"git\": executable file not found in $PATH",
        "install git",
    ),
    "namespace absent": (
        'Error from server (NotFound): error when creating "serving.yaml": namespaces "kubeflow" not found',
        "namespace kubeflow is not there",
    ),
    "may not, in the cluster": (
        APPLY + 'tfjobs.kubeflow.org "train-1" is forbidden: User "ann@example.org" cannot get resource "tfjobs" in API '
        'group "kubeflow.org" in the namespace "kubeflow": requires one of ["container.thirdPartyObjects.get"]',
        "ann@example.org may not get tfjobs",
    ),
    "immutable": (
        'The Deployment "web-ui" is invalid: spec.selector: Invalid value: …: field is immutable',
        "`invoke clean --keep-models`",
    ),
    "image not pulled": ("train-1-chief-0: ImagePullBackOff: Back-off pulling image \"x\"", "`invoke build` pushes it"),
    "out of memory": ("tensorflow terminated: OOMKilled (exit code 137)", "`--set training.memory=…`"),
    "evicted": (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi.",
        "`--set cluster.disk_gb=100`",
    ),
    "node taken": ("Pod was terminated in response to imminent node shutdown.", "from the last checkpoint"),
    "no room": (
        "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption "
        "victims found for incoming pod.",
        "enough cpu free",
    ),
    "unschedulable": (
        "FailedScheduling: 0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        "no node fits",
    ),
    "secret absent": (
        'MountVolume.SetUp failed for volume "user-gcp-sa" : secret "user-gcp-sa" not found',
        "secret user-gcp-sa is not",
    ),
    "dies at its start": ("back-off 5m0s restarting failed container: CrashLoopBackOff", "`invoke logs`"),
    "waited in vain": ("error: timed out waiting for the condition on tfjobs/train-1", "`invoke status`"),
    "bucket closed to the pods": (
        "tensorflow.python.framework.errors_impl.PermissionDeniedError: Error executing an HTTP request: HTTP response "
        "code 403 with body '{\n  \"error\": {\n    \"code\": 403,\n    \"message\": \"demo.svc.id.goog[kubeflow/trainer] "
        "does not have storage.buckets.get access to the Google Cloud Storage bucket.\"",
        "lacks storage.buckets.get on the bucket; `invoke deploy`",
    ),
    "may not act as": (
        NODE_POOLS + 'The user does not have access to service account "mnist-nodes@demo.iam.gserviceaccount.com". User: '
        '"ann@example.org". Ask a project owner to grant you the iam.serviceAccountUser role on the service account.',
        "roles/iam.serviceAccountUser",
    ),
    "bucket of another, or closed": (
        "ann@example.org does not have storage.buckets.get access to the Google Cloud Storage bucket. Permission "
        "'storage.buckets.get' denied on resource (or it may not exist).",
        "the bucket's name is somebody else's, or the account lacks storage.buckets.get; `--set storage.bucket=…`",
    ),
    "permission on the bucket": (
        "ERROR: (gcloud.storage.ls) HTTPError 403: ann@example.org does not have storage.objects.list access to the Google "
        "Cloud Storage bucket. Permission 'storage.objects.list' denied on resource (or it may not exist).",
        "lacks storage.objects.list; ask an owner of the project for it: `gcloud projects add-iam-policy-binding PROJECT "
        "--member=user:YOU --role=roles/storage.admin`",
    ),
    "permission": (
        NODE_POOLS + 'Required "container.clusters.create" permission(s) for "projects/demo".',
        "lacks container.clusters.create; ask an owner of the project for it: `gcloud projects add-iam-policy-binding "
        "PROJECT --member=user:YOU --role=roles/container.admin`",
    ),
    "permission denied": (
        "ERROR: (gcloud.artifacts.repositories.create) PERMISSION_DENIED: Permission "
        "'artifactregistry.repositories.create' denied on resource '//artifactregistry.googleapis.com/projects/demo'",
        "roles/artifactregistry.admin",
    ),
    "not for us": (
        "ERROR: (gcloud.projects.describe) [ann@example.org] does not have permission to access projects instance "
        "[your-project] (or it may not exist): The caller does not have permission.",
        "projects instance your-project is not there, or not for this account",
    ),
    "permission, unnamed": (
        "ERROR: (gcloud.endpoints.services.deploy) PERMISSION_DENIED: Not allowed to get service configuration",
        "roles/editor",
    ),
    "exists": (
        "ERROR: (gcloud.container.clusters.create) ResponseError: code=409, message=Already exists: projects/demo/zones/"
        "us-central1-c/clusters/mnist.",
        "`invoke plan`",
    ),
    "not found": (
        "ERROR: (gcloud.storage.buckets.describe) gs://demo-mnist-bucket not found: 404.",
        "not there",
    ),
    "our mistake": (
        "ERROR: (gcloud.container.clusters.create) unrecognized arguments: --colour=red\n\nTo search the help text",
        "`invoke doctor`",
    ),
}  # fmt: skip

ALSO = [
    ("rate", "503 slow: googleapi: Error 429 Too Many Requests, RATE_LIMIT_EXCEEDED"),
    ("rate", "google.api_core.exceptions.TooManyRequests: 429 GET https://storage.googleapis.com/x: Slow down"),
    ("their fault", "received unexpected HTTP status: 502 Bad Gateway"),
    ("their fault", "ERROR: (gcloud.iam.service-accounts.create) UNAVAILABLE: The service is currently unavailable."),
    ("their fault", "Error from server: etcdserver: request timed out"),
    ("concurrent change", "ERROR: (gcloud.projects.add-iam-policy-binding) ABORTED: There were concurrent policy changes."),
    ("cluster busy", "ERROR: (gcloud.container.clusters.get-credentials) cluster mnist is missing endpoint. Is it still "
     "PROVISIONING?"),
    ("cluster busy", "ResponseError: code=400, message=Cluster is running incompatible operation operation-17-ab."),
    ("login expired", "ERROR: (gcloud.auth.print-access-token) Reauthentication failed. cannot prompt during non-interactive"),
    ("token refused", "ResponseError: code=401, message=Request had invalid authentication credentials."),
    ("token refused", "ERROR: (gcloud.services.list) UNAUTHENTICATED: Request had invalid authentication credentials."),
    ("token refused", "error: You must be logged in to the server (Unauthorized)"),
    ("token refused", 'denied: Unauthenticated request. Unauthenticated requests do not have permission '
     '"artifactregistry.repositories.uploadArtifacts" on resource'),
    ("network", "Unable to connect to the server: EOF"),
    ("their fault", "ERROR: (gcloud.services.list) INTERNAL: An internal error has occurred"),
    ("their fault", "content <!DOCTYPE html><title>Error 502 (Server Error)!!1</title>"),
    ("billing", "UREQ_PROJECT_BILLING_NOT_FOUND"),
    ("billing", "HTTPError 403: The billing account for the owning project is disabled in state absent"),
    ("billing", "This API method requires billing to be enabled. Please enable billing on project #123"),
    ("network", "fatal: unable to access 'https://github.com/kubeflow/trainer.git/': Could not resolve host: github.com"),
    ("network", "read tcp 10.0.0.2:51234->34.1.2.3:443: read: connection reset by peer"),
    ("mute", "Unable to connect to the server: dial tcp 34.1.2.3:443: i/o timeout"),
    ("mute", 'Error from server: Get "https://10.0.0.1:443/apis": context deadline exceeded'),
    ("refused", 'error: error validating "a.yaml": error validating data: failed to download openapi: Get '
     '"https://127.0.0.1:9/openapi/v2": dial tcp 127.0.0.1:9: connect: connection refused'),
    ("operator absent", 'error: the server doesn\'t have a resource type "tfjobs"'),
    ("context", "Error in configuration: context was not found for specified context: gke_demo"),
    ("no registry", 'name unknown: Repository "mnist" not found'),
    ("exists", "ERROR: (gcloud.iam.service-accounts.create) Resource in projects [demo] is the subject of a conflict: "
     "Service account mnist-nodes already exists within project projects/demo."),
    ("exists", "HTTPError 409: Your previous request to create the named bucket succeeded and you already own it."),
    ("not found", "ERROR: (gcloud.artifacts.docker.images.describe) Image not found."),
    ("not found", "ERROR: (gcloud.compute.zones.describe) Could not fetch resource:\n - The resource "
     "'projects/demo/zones/us-central1-q' was not found"),
    ("not found", 'Error from server (NotFound): deployments.apps "web-ui" not found'),
    ("not found", "ERROR: (gcloud.artifacts.repositories.describe) NOT_FOUND: Requested entity was not found."),
    ("our mistake", "ERROR: (gcloud.container.clusters) Invalid choice: 'descrbe'."),
    ("our mistake", "Error: unknown flag: --bogus\nSee 'kubectl get --help' for usage."),
]  # fmt: skip
"""Other words for the same causes: platform.md's table and what the tools here printed."""

RETRIED = {
    "network", "gcloud crashed", "rate", "their fault", "concurrent change", "cluster busy", "identity pool",
    "new account", "namespace ending", "webhook", "API off", "API off, by its reason", "refused",
    "token refused", "exhausted",
}  # fmt: skip


def named(name: str) -> Cause:
    return next(cause for cause in CAUSES if cause.name == name)


def test_every_row_has_its_example_and_no_two_share_a_name() -> None:
    assert sorted(cause.name for cause in CAUSES) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_tools_own_words_lead_to_the_row_and_no_row_above_hides_it(name: str) -> None:
    found = causes.of(EXAMPLES[name][0])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sentence_says_what_to_do(name: str) -> None:
    text, part = EXAMPLES[name]
    told = named(name).told(text)
    assert told.startswith("likely cause: ")
    assert part in told
    assert "\n" not in told


@pytest.mark.parametrize(("name", "text"), ALSO, ids=range(len(ALSO)))
def test_other_words_for_it_lead_to_the_same_row(name: str, text: str) -> None:
    found = causes.of(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", EXAMPLES)
def test_words_before_and_after_change_nothing(name: str) -> None:
    around = f"WARNING: a notice of the tool's\n{EXAMPLES[name][0]}\nand one more line\n"
    assert causes.of(around) == named(name)


def test_exactly_what_passes_by_itself_is_tried_again() -> None:
    assert {cause.name for cause in CAUSES if cause.passes} == RETRIED


def test_fault_44_quota_is_not_taken_for_a_missing_permission() -> None:
    assert causes.found(named("permission, unnamed").pattern, EXAMPLES["quota"][0])
    assert causes.of(EXAMPLES["quota"][0]) == named("quota")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_sentence_names_only_groups_that_its_pattern_has(cause: Cause) -> None:
    groups = set(re.compile(cause.pattern).groupindex)
    fields = {
        field for text in (cause.cause, cause.remedy) for _, field, _, _ in string.Formatter().parse(text) if field
    }
    assert fields <= groups | ({"role"} if "permission" in groups else set())


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_no_pattern_is_anchored_at_an_end(cause: Cause) -> None:
    assert not re.search(r"(?<!\\)[\^$]|\\Z|\\A", re.sub(r"\[\^", "[", cause.pattern))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_sentence_without_the_text_still_stands(cause: Cause) -> None:
    assert cause.told(EXAMPLES[cause.name][0])


def test_an_api_that_the_text_does_not_name_is_left_open() -> None:
    told = named("API off").told("Some API has not been used in project 7 before or it is disabled.")
    assert "`gcloud services enable … --project=7`" in told


@pytest.mark.parametrize(("permission", "role"), [(f"{beginning}x", role) for beginning, role in ROLES.items()])
def test_a_permission_leads_to_the_role_that_holds_it(permission: str, role: str) -> None:
    assert causes.role_for(permission) == role


def test_an_unknown_permission_leads_to_the_editors_role() -> None:
    assert causes.role_for("pubsub.topics.create") == "roles/editor"


def test_words_that_no_row_knows_have_no_cause() -> None:
    assert causes.of("it said nothing") is None


@given(st.text() | st.lists(st.sampled_from([text for text, _ in EXAMPLES.values()])).map("{0}%".join))
def test_no_text_is_too_odd(text: str) -> None:
    found = causes.of(text)
    assert found is None or found.told(text)


@pytest.mark.timed
@pytest.mark.parametrize(
    "words", ["PermissionDenied ", "nodes are available: ", "Insufficient regional quota ", "code="]
)
def test_a_megabyte_of_words_is_judged_at_once(words: str) -> None:
    began = time.monotonic()
    causes.of(words * (1_000_000 // len(words)))
    assert time.monotonic() - began < 10
