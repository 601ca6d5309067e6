"""How much the page takes on at once, and for how long: numbers that only make sense beside each other."""

from __future__ import annotations

THREADS = 96
"""Requests that are worked on at once; each is whole when it gets a thread, so slow clients hold none."""

PREDICTIONS_AT_ONCE = 64
"""Of these, how many may wait for a model server: the rest answer, and refuse, while one hangs."""

PROBE_THREADS = 2
"""Threads of their own for PROBES, so that Kubernetes is answered whatever the others wait for."""

PROBES = ("/healthz", "/readyz")

CONNECTIONS = 4000
"""Open connections; one that does nothing costs about 4 KB."""

HEADER_BYTES = 16 << 10
"""A request line and its headers; more is answered 431."""

BODY_BYTES = 8 << 20
"""Taken in, so that a picture that is too large gets a page that says so; more is answered 413 and cut off."""

REQUEST_S = 30
"""Seconds for a whole request to arrive, for the first one on a new connection, and for its answer to be read."""

IDLE_S = 620
"""Seconds that a used connection may rest: Google's load balancers keep theirs for 600 and must be the first to close,
else a POST is lost now and then (cloud.google.com/load-balancing/docs/https#timeouts_and_retries)."""

IDLE_WHEN_CROWDED_S = 5
"""The same while half of CONNECTIONS are taken."""

DRAIN_S = 1.0
"""Seconds between "not ready" and the last new connection: a Service forgets a pod a moment after it was told to."""

FINISH_S = 10.0
"""Seconds after that for requests under way; a prediction's own deadline is 5."""
