"""How gunicorn serves the page; it reads this file by itself from its working folder, and adds --bind."""

import os
import sys

wsgi_app = "webui:create_app()"

# One process: pages wait for the model server, not for the processor. A connection that sends its request
# slowly holds a thread, so there are many; they are made when needed. 51 MB with a few, 60 MB with 300.
# client.py lets 256 calls wait for a model server, so /healthz finds a thread while one hangs.
workers = 1
worker_class = "gthread"
threads = 512
worker_connections = 2000

timeout = 30  # seconds without a sign of life until the worker is replaced; a call's own deadline is 5
graceful_timeout = 10
keepalive = 5

# A request is one line, a few headers and no body.
limit_request_line = 2048
limit_request_fields = 64
limit_request_field_size = 4096

control_socket_disable = True  # gunicorn 27 would write one below $HOME, which is read-only in the pod

accesslog = "-"
access_log_format = '%(t)s %(h)s "%(r)s" %(s)s %(B)s bytes %(M)s ms'


def on_starting(server: object) -> None:
    """Check the variables before any worker starts: one sentence instead of a traceback per attempt."""
    from webui.settings import Settings, SettingsError

    try:
        Settings.from_environ(os.environ)
    except SettingsError as error:
        print(f"web-ui: {error}", file=sys.stderr)
        raise SystemExit(2) from error
