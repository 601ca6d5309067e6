"""The user's login: a gcloud configuration whose account gets its tokens from the fake, and how a login ends."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from fakes.state import State

ACCOUNT = "tester@example.org"
CREDENTIAL = (
    '{"type": "authorized_user", "client_id": "fake", "client_secret": "fake", "refresh_token": "fake",'
    ' "token_uri": "https://oauth2.googleapis.com/token"}'
)


class Login:
    """What `gcloud auth login` leaves: `folder` is what CLOUDSDK_CONFIG names. It holds until something below ends it.

    No setting of the pipeline leads here: it uses the user's own login, and in a test this is the user's.
    """

    def __init__(self, folder: Path, state: State, address: str) -> None:
        self.folder, self.state, self.address = folder, state, address
        self.begin()

    def begin(self) -> None:
        """Log the user in."""
        self.state.of("login").pop("ended", None)
        self.configure(f"[core]\naccount = {ACCOUNT}\n")
        with contextlib.closing(sqlite3.connect(self.folder / "credentials.db")) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS credentials (account_id TEXT PRIMARY KEY, value BLOB)")
            database.execute("REPLACE INTO credentials VALUES (?, ?)", (ACCOUNT, CREDENTIAL))

    def configure(self, account: str) -> None:
        file = self.folder / "configurations" / "config_default"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{account}[auth]\ntoken_host = {self.address}/token\n")
        (self.folder / "active_config").write_text("default")

    def leave(self) -> None:
        """Log out: nobody ever said `gcloud auth login` here."""
        self.configure("")
        for name in ("credentials.db", "access_tokens.db"):
            (self.folder / name).unlink(missing_ok=True)

    def expire_tokens(self) -> None:
        """Let every token that was given out be refused from now on.

        gcloud then fetches another; 528 sends the refused one once more all the same, and only its next run succeeds.
        """
        with self.state.lock:
            given = int(self.state.of("numbers").get("token", 0))
            self.state.of("expired tokens").update({f"fake-token-{number}": True for number in range(1, given + 1)})

    def end(self) -> None:
        """Let the login itself end: tokens are refused, and there are no new ones."""
        self.expire_tokens()
        self.state.of("login")["ended"] = True
