"""The login in gcloud's configuration and the token for it: for gcloud, and for the plugin that kubectl asks."""

from __future__ import annotations

import os

from fakes.standins.wire import Wire

NO_LOGIN = """You do not currently have an active account selected.
Please run:

  $ gcloud auth login

to obtain new credentials.

If you have already logged in with a different account, run:

  $ gcloud config set account ACCOUNT

to select an already authenticated account to use."""

ENDED = """There was a problem refreshing your current auth tokens: ('{0}: {1}', {{'error': '{0}'}})
Please run:

  $ gcloud auth login

to obtain new credentials."""


class NotLoggedIn(Exception):
    """Why there is no token, in gcloud's words."""


def token() -> str:
    """A token: of the file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names, or a new one for the account."""
    path = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")
    if path:
        text = read(path)
        if not text:
            raise NotLoggedIn(f"Unable to read file [{path}]: [Errno 2] No such file or directory: '{path}'")
        return text.strip()
    if not account():
        raise NotLoggedIn(NO_LOGIN)
    answer = Wire(properties().get("auth/token_host", "https://oauth2.googleapis.com/token")).ask("POST", "")
    if not answer.ok:
        raise NotLoggedIn(ENDED.format(answer.json.get("error"), answer.json.get("error_description")))
    return str(answer.json["access_token"])


def account() -> str:
    """The account whose credentials are stored; empty if nobody is logged in."""
    name = properties().get("core/account", "")
    return name if name and name.encode() in stored() else ""


def stored() -> bytes:
    """The database of credentials, as it is: the account's name stands in it as text."""
    try:
        with open(f"{folder()}/credentials.db", "rb") as file:  # noqa: PTH123 - pathlib costs a tenth of the start
            return file.read()
    except FileNotFoundError:
        return b""


def properties() -> dict[str, str]:
    """`section/name` → value of the active configuration."""
    active = read(f"{folder()}/active_config").strip() or "default"
    found, section = {}, ""
    for line in read(f"{folder()}/configurations/config_{active}").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif "=" in line:
            name, _, value = line.partition("=")
            found[f"{section}/{name.strip()}"] = value.strip()
    return found


def folder() -> str:
    return os.environ.get("CLOUDSDK_CONFIG") or os.path.expanduser("~/.config/gcloud")  # noqa: PTH111


def read(path: str) -> str:
    try:
        with open(path) as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        return ""
