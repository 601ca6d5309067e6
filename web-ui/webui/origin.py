"""Refuses what another site's page makes a visitor's browser post here."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import Forbidden

_SAFE = ("GET", "HEAD", "OPTIONS")


def check_origin() -> None:
    """Raise Forbidden for a post from elsewhere; before every request.

    Browsers say themselves where a request comes from (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/), older
    ones at least in Origin. Programs say neither, and nobody tricks them into sending somebody's cookies.
    """
    if request.method in _SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        own = site in ("same-origin", "none")  # none: typed or opened by the visitor
    else:
        own = origin in (None, f"http://{request.host}", f"https://{request.host}")
    if not own:
        raise Forbidden("This request comes from another site; open the page itself and try there.")
