"""What the tools' error texts mean, as data: the likely cause, what to do, and whether it passes by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROLES = {
    "artifactregistry.": "roles/artifactregistry.admin",
    "cloudbuild.": "roles/cloudbuild.builds.editor",
    "compute.": "roles/compute.admin",
    "container.": "roles/container.admin",
    "iam.serviceAccountKeys.": "roles/iam.serviceAccountKeyAdmin",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "iam.serviceAccounts.": "roles/iam.serviceAccountAdmin",
    "iap.": "roles/iap.admin",
    "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
    "servicemanagement.": "roles/servicemanagement.admin",
    "serviceusage.": "roles/serviceusage.serviceUsageAdmin",
    "storage.": "roles/storage.admin",
}
"""By the beginning of a permission, the role to ask for; the first that fits counts."""


@dataclass(frozen=True)
class Cause:
    """One row; `cause` and `remedy` may name the pattern's groups in braces, and `{role}` for its `permission`."""

    name: str
    pattern: str
    cause: str
    remedy: str
    passes: bool = False
    """Trying again may help."""

    def told(self, text: str) -> str:
        """The row's sentence about a text that it was found in."""
        match = re.search(self.pattern, text)
        groups = {name: value or "…" for name, value in (match.groupdict() if match else {}).items()}
        role = role_for(groups.get("permission", ""))
        return f"likely cause: {self.cause}; {self.remedy}".format(**groups, role=role)


def role_for(permission: str) -> str:
    """The role that holds a permission."""
    return next((role for beginning, role in ROLES.items() if permission.startswith(beginning)), "roles/editor")


def of(text: str) -> Cause | None:
    """The first row whose pattern occurs in a tool's words."""
    return next((cause for cause in CAUSES if found(cause.pattern, text)), None)


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


LOGIN = "`gcloud auth login`, then the same command again"
ASK = "ask an owner of the project for it: `gcloud projects add-iam-policy-binding PROJECT --member=user:YOU --role="
SMALLER = "ask for less, such as `--set cluster.nodes=1 --set cluster.max_nodes=1`, or take another region"
AGAIN = "the same command again goes on"

# The first that fits counts, so the particular stands before the general: network before login, for a login that
# cannot be renewed without it says both; quota before permission, for both are 403; refused before operator, for
# kubectl says of a server that it cannot reach that it has no such resource type. No pattern is anchored at an end.
# fmt: off
CAUSES = (
    # What passes by itself
    Cause("network", r"Max retries exceeded|Failed to establish a new connection|Name or service not known|"
          r"Temporary failure in name resolution|Could not resolve host|no such host|[Cc]onnection reset by peer|"
          r"Connection aborted|Remote end closed connection|(?:unexpected|:) EOF|TLS handshake timeout|"
          r"server sent GOAWAY|client connection lost|network is unreachable",
          "the network broke off or the far end did", AGAIN, passes=True),
    Cause("gcloud crashed", r"gcloud crashed \((?P<error>\w+)\)", "the network, as gcloud saw it ({error})", AGAIN,
          passes=True),
    Cause("Docker Hub's limit", r"toomanyrequests: ", "Docker Hub gives this address no more images for now",
          "`docker login` raises the limit, or wait an hour"),
    Cause("rate", r"code=429|HTTPError 429|\b429 (?:GET|POST|PUT|PATCH|DELETE) |RATE_LIMIT_EXCEEDED|rateLimitExceeded|"
          r"Quota exceeded for quota metric|Too ?Many ?Requests", "too many requests in a short time",
          f"wait a minute; {AGAIN}", passes=True),
    Cause("webhook", r"failed calling webhook \"(?P<webhook>[^\"]+)\"",
          "{webhook}, which checks new objects, does not answer yet", f"wait a minute; {AGAIN}", passes=True),
    Cause("their fault", r"code=5\d\d|HTTPError 5\d\d|\b5\d\d (?:GET|POST|PUT|PATCH|DELETE) |HTTP status: 5\d\d|"
          r"\b50[234] (?:Bad Gateway|Service Unavailable|Gateway Timeout)|Internal error encountered|UNAVAILABLE:|"
          r"Error from server \((?:InternalError|ServiceUnavailable|Timeout|ServerTimeout)\)|"
          r"currently unable to handle|etcdserver: |INTERNAL: |Error 50\d \(Server Error\)",
          "the service failed for a moment", AGAIN, passes=True),
    Cause("concurrent change", r"HTTPError 412|code=412|\b412 (?:GET|POST|PUT|PATCH|DELETE) |concurrent policy changes|"
          r"conditionNotMet|the object has been modified", "somebody changed the same thing at the same time", AGAIN,
          passes=True),
    Cause("cluster busy", r"is missing endpoint|is currently (?P<doing>[a-z]+) cluster|running incompatible operation",
          "the cluster is still being made or changed", f"wait a few minutes; {AGAIN}", passes=True),
    Cause("identity pool", r"Identity Pool does not exist \((?P<pool>[^)]+)\)",
          "{pool} comes into being with the project's first cluster that has Workload Identity",
          f"wait a minute; {AGAIN}", passes=True),
    Cause("new account", r"Service account (?P<account>\S+@\S+) does not exist",
          "{account} is so new that not every place knows it", f"wait a minute; {AGAIN}", passes=True),
    Cause("namespace ending", r"because it is being terminated", "the namespace is still being deleted",
          f"wait a minute; {AGAIN}", passes=True),

    # Who we are. The next gcloud command fetches another token; where the login itself has ended, that one says so.
    Cause("no login", r"You do not currently have an active account selected", "nobody is logged in", LOGIN),
    Cause("login expired",
          r"There was a problem refreshing|Reauthentication (?:failed|required)|invalid_grant",
          "the login has expired", LOGIN),
    Cause("token refused",
          r"code=401|HTTPError 401|\b401 (?:GET|POST|PUT|PATCH|DELETE) |UNAUTHENTICATED|Unauthenticated request|"
          r"You must be logged in to the server|asked for the client to provide credentials",
          "the login's token has expired", LOGIN, passes=True),
    Cause("plugin absent", r"executable gke-gcloud-auth-plugin not found", "kubectl's door to GKE is not installed",
          "`gcloud components install gke-gcloud-auth-plugin`, or `apt-get install "
          "google-cloud-cli-gke-gcloud-auth-plugin`"),
    Cause("plugin failed", r"executable gke-gcloud-auth-plugin failed", "gke-gcloud-auth-plugin got no token", LOGIN),

    # What the project is allowed
    Cause("API off", r"API has not been used in project (?P<project>\S+) before or it is disabled"
          r"(?:[^?]{0,500}/apis/api/(?P<api>[\w.-]+))?", "the API {api} is off, or so new that not every place knows",
          "`gcloud services enable {api} --project={project}`", passes=True),
    Cause("API off, by its reason", r"SERVICE_DISABLED", "an API is off", "`invoke deploy` turns on what it needs",
          passes=True),
    Cause("terms", r"UREQ_TOS_NOT_ACCEPTED|must accept Terms of Service",
          "the account never accepted Google Cloud's terms",
          "accept them at https://console.cloud.google.com"),
    Cause("billing",
          r"UREQ_PROJECT_BILLING_NOT_FOUND|Billing account for project '(?P<project>[^']+)'|BILLING_DISABLED|"
          r"billing account for the owning project is disabled|requires billing to be enabled",
          "no billing account pays for the project",
          "`gcloud billing projects link PROJECT --billing-account=ACCOUNT`; `gcloud billing accounts list` shows "
          "yours"),
    Cause("quota",
          r"Insufficient regional quota .{0,200}?resource \"(?P<resource>\w+)\": request requires '(?P<needed>[\d.]+)' "
          r"and is short '(?P<short>[\d.]+)'",
          "the region's quota of {resource}: {needed} wanted, {short} short", SMALLER),
    Cause("quota of Compute",
          r"Quota '(?P<resource>\w+)' exceeded\.\s+Limit: (?P<limit>[\d.]+)(?: (?P<where>[\w -]+))?",
          "the quota of {resource} is {limit} {where}", SMALLER),
    Cause("quota of the namespace", r"exceeded quota: (?P<quota>[\w.-]+)", "the namespace's own quota {quota}",
          "`kubectl describe quota` shows it; ask for less, such as `--set training.cpu=1`"),
    Cause("quota, unnamed", r"QUOTA_EXCEEDED|[Qq]uota exceeded|Insufficient regional quota", "a quota", SMALLER),
    Cause("exhausted", r"RESOURCE_EXHAUSTED", "too many requests in a short time, or a limit is reached",
          f"wait a minute; {AGAIN}", passes=True),
    Cause("capacity", r"ZONE_RESOURCE_POOL_EXHAUSTED|GCE_STOCKOUT|does not have enough resources available",
          "the zone has no such machines left", "take another zone: `--set gcp.zone=…`, or wait"),
    Cause("keys forbidden", r"Key creation is not allowed on this service account|disableServiceAccountKeyCreation",
          "the organisation forbids keys", "`--set identity=workload-identity` does without"),
    Cause("constraint", r"(?P<constraint>constraints/[\w.]+)|denied by org policy",
          "a rule of the organisation: {constraint}", "ask its administrator, or another project"),
    Cause("no network", r"[Nn]etwork \"(?P<network>[\w-]+)\" does not exist", "the project has no network {network}",
          "`gcloud compute networks create {network}`"),

    # Names that others hold
    Cause("bucket taken", r"requested bucket name is not available",
          "the bucket's name is somebody else's: names are the world's",
          "`--set storage.bucket=…` gives another"),
    Cause("endpoint deleted", r"[Ss]ervice '?(?P<service>[\w.-]+\.cloud\.goog)'? (?:has been|was previously) deleted",
          "the name was deleted less than 30 days ago", "`gcloud endpoints services undelete {service}`"),

    # Images and docker
    Cause("docker daemon down", r"Cannot connect to the Docker daemon|[Ii]s the docker daemon running",
          "docker's daemon does not run", "start it, or `--set build_images.tool=cloud-build`"),
    Cause("docker daemon closed", r"permission denied while trying to connect to the [Dd]ocker",
          "this user may not use docker's daemon",
          "`sudo usermod -aG docker $USER` and a new login, or `--set build_images.tool=cloud-build`"),
    Cause("credential helper absent", r"docker-credential-(?P<helper>[\w-]+)\"?: executable file not found",
          "docker-credential-{helper} is not on PATH", "it comes with {helper}: put that one's folder on PATH"),
    Cause("push denied", r"denied: Permission \"(?P<permission>artifactregistry\.[\w.]+)\" denied",
          "the account may not push ({permission})", f"{ASK}roles/artifactregistry.writer`"),
    Cause("no registry", r"gcr\.io repo does not exist|name unknown: Repository", "the images' repository is not there",
          "`invoke deploy` makes it"),
    Cause("other processor", r"exec format error|no match for platform in manifest",
          "the image is for another kind of processor",
          "`--set build_images.platform=linux/amd64`, then `invoke build`"),
    Cause("disk full", r"[Nn]o space left on device", "the disk is full",
          "make room; `docker system prune` clears docker's"),

    # The cluster
    Cause("refused",
          r"connection to the server (?P<server>\S+) was refused|"
          r"dial tcp (?P<address>\S+): connect: connection refused",
          "nothing answers where the cluster was",
          "`invoke status`; if the cluster was made anew, `invoke deploy`", passes=True),
    # Each try took its whole time limit already: to try again by itself would hide a mute server for minutes.
    Cause("mute", r"context deadline exceeded|Client\.Timeout exceeded|i/o timeout|request canceled while waiting",
          "the cluster's API server does not answer",
          "`invoke doctor`; from a private network only its own machines reach it"),
    Cause("context", r"context \"(?P<context>[^\"]+)\" does not exist|context was not found",
          "the environment's kubeconfig does not know the cluster", "`invoke deploy` writes it"),
    Cause("certificate", r"x509: certificate|certificate verify failed",
          "the certificate is another one: the cluster was made anew, or a proxy stands between",
          "`invoke deploy` writes the kubeconfig again"),
    Cause("operator absent",
          r"have a resource type \"(?P<type>tfjobs?[^\"]*)\"|no matches for kind \"(?P<kind>TFJob)\"",
          "the training operator is not in the cluster", "`invoke deploy` installs it"),
    Cause("kind unknown", r"have a resource type \"(?P<type>[^\"]+)\"|no matches for kind \"(?P<kind>[^\"]+)\"",
          "the cluster does not know such objects",
          "`invoke deploy` installs what it needs; else the cluster is too old"),
    Cause("git absent", r"\"git\": executable file not found|no 'git' program on path",
          "kubectl fetches the operator with git",
          "install git, or `--set cluster.operator=FOLDER`"),
    Cause("namespace absent", r"namespaces \"(?P<namespace>[^\"]+)\" not found",
          "the namespace {namespace} is not there",
          "`invoke deploy` makes it"),
    Cause("may not, in the cluster",
          r"User \"(?P<user>[^\"]+)\" cannot (?P<verb>\w+) resource \"(?P<resource>[^\"]+)\"",
          "{user} may not {verb} {resource} in the cluster", f"{ASK}roles/container.admin`"),
    Cause("immutable", r"field is immutable", "the object there cannot be changed into this one",
          "`invoke clean --keep-models`, then the same command again"),

    # The pods
    Cause("image not pulled", r"ImagePullBackOff|ErrImagePull|InvalidImageName", "the nodes cannot get an image",
          "`invoke build` pushes it; `invoke deploy` lets the nodes read it"),
    Cause("out of memory", r"OOMKilled", "the container took more memory than its limit",
          "raise it: `--set training.memory=…` or `--set serving.memory=…`"),
    Cause("evicted", r"Evicted|The node was low on resource: (?P<resource>[\w-]+)",
          "the node ran short and sent the pod away",
          "the same command goes on; `--set cluster.disk_gb=100` gives new nodes more"),
    Cause("node taken", r"imminent node shutdown|Preempted|PreemptionByScheduler|node\.kubernetes\.io/unreachable",
          "the node was taken away, as Spot nodes are", "the same command goes on from the last checkpoint"),
    Cause("no room", r"nodes are available: .{0,500}?Insufficient (?P<resource>[a-z][\w./-]*\w)",
          "no node has enough {resource} free",
          "`--set cluster.max_nodes=…` allows more nodes; `--set training.cpu=1` asks for less"),
    Cause("unschedulable", r"Unschedulable|FailedScheduling|nodes are available: ", "no node fits the pod",
          "`invoke deploy` makes the nodes that the settings ask for"),
    Cause("secret absent", r"secret \"(?P<secret>[^\"]+)\" not found", "the secret {secret} is not in the cluster",
          "`invoke deploy` makes it"),
    Cause("dies at its start", r"CrashLoopBackOff", "the container ends as soon as it starts",
          "`invoke logs` shows its last words"),
    Cause("waited in vain", r"timed out waiting for the condition|exceeded its progress deadline|DeadlineExceeded",
          "it did not come about in time", "`invoke status` shows what hangs, `invoke logs` why"),

    # What we may
    Cause("bucket closed to the pods", r"(?s)PermissionDenied.{0,2000}?(?P<permission>storage\.[\w.]+\w)",
          "the workload lacks {permission} on the bucket",
          "`invoke deploy` gives it roles/storage.objectUser and roles/storage.legacyBucketReader"),
    Cause("may not act as",
          r"does not have access to service account|iam\.serviceAccountUser|iam\.serviceAccounts\.actAs",
          "the account may not let nodes run as the service account", f"{ASK}roles/iam.serviceAccountUser`"),
    Cause("bucket of another, or closed", r"does not have storage\.buckets\.get access",
          "the bucket's name is somebody else's, or the account lacks storage.buckets.get",
          "`--set storage.bucket=…` gives another; or ask an owner for roles/storage.admin"),
    Cause("permission on the bucket", r"does not have (?P<permission>storage\.[\w.]+) access",
          "the account lacks {permission}", f"{ASK}{{role}}`"),
    Cause("permission", r"[Rr]equired \"(?P<permission>[\w.]+)\" permission", "the account lacks {permission}",
          f"{ASK}{{role}}`"),
    Cause("permission denied", r"Permission ['\"](?P<permission>[\w.]+)['\"] denied", "the account lacks {permission}",
          f"{ASK}{{role}}`"),
    Cause("not for us", r"does not have permission to access (?P<kind>[\w ]+) \[(?P<name>[^\]]+)\]",
          "{kind} {name} is not there, or not for this account",
          "`gcloud projects list` shows which projects are: `--set gcp.project=…`"),
    Cause("permission, unnamed",
          r"PERMISSION_DENIED|code=403|HTTPError 403|\b403 (?:GET|POST|PUT|PATCH|DELETE) |Forbidden",
          "the account may not", f"{ASK}roles/editor`"),

    # What is there and what is not
    Cause("port taken", r"unable to listen on any of the requested ports: \[\{(?P<port>\d+) ",
          "another program listens on port {port}", "choose another: `--port=0` takes a free one"),
    Cause("exists",
          r"code=409|HTTPError 409|ALREADY_EXISTS|is the subject of a conflict|[Aa]lready exists|already own it|"
          r"AlreadyExists",
          "it is there already", f"`invoke plan` shows what is; {AGAIN}"),
    Cause("not found",
          r"code=404|HTTPError 404|NOT_FOUND|not found: 404|was not found|Image not found\.|\(NotFound\)|\] not found",
          "it is not there", "`invoke deploy` makes what an environment needs"),
    Cause("our mistake", r"Invalid choice|unrecognized arguments|unknown (?:shorthand )?flag|unknown command|Usage:",
          "this version of the tool does not know the command", "`invoke doctor` says which versions fit"),
)
# fmt: on
