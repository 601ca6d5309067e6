"""gke-gcloud-auth-plugin: hands kubectl the token of gcloud's login."""

from __future__ import annotations

import json
import sys

from fakes.standins import login

VERSION = "Kubernetes v1.30.0+03fcd0f8cb9eac57e97a3ed59c702bad8c73be81"


def main(argv: list[str], bin: str, google: str) -> int:
    """Print an ExecCredential, or the version; fail where nobody is logged in."""
    if argv == ["--version"]:
        print(VERSION)
        return 0
    try:
        token = login.token()
    except login.NotLoggedIn as error:
        print(f"print credential failed with error: Failed to retrieve access token: {error}", file=sys.stderr)
        return 1
    status = {"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}
    print(json.dumps({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1",
                      "spec": {"interactive": False}, "status": status}))  # fmt: skip
    return 0
