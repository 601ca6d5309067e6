"""One HTTP connection: waitress' own, with a deadline for slow clients, plain refusals and a line in the log."""

from __future__ import annotations

import fcntl
import logging
import re
import socket
import sys
import termios
import time

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import Error

from webui.headers import HEADERS
from webui.limits import PROBES

access = logging.getLogger("webui.access")

_LONGEST_LINE = 500  # characters of a request line in the log
_REFUSALS = {
    400: "This is no HTTP request that can be understood.",
    408: "The request took too long to arrive.",
    413: "The request's body is too large.",
    431: "The request's headers are too large.",
    500: "Something went wrong; the server's log says what.",
    501: "The request's transfer encoding is not known here.",
}


class Request(HTTPRequestParser):
    """A request that is arriving, or has arrived."""

    path = ""  # of one that could not be read so far
    command = ""
    first_line = b""

    def __init__(self, adj: object) -> None:
        super().__init__(adj)
        self.began = time.monotonic()

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress does; but a length of 5000 digits or the address `http://[` is a bad request, and no crash."""
        try:
            super().parse_header(header_plus)
        except (ParsingError, ValueError) as error:
            self.expect_continue = False
            raise ParsingError(str(error)) from error
        if self.body_rcv is None or self.content_length >= self.adj.max_request_body_size:
            self.expect_continue = False  # else waitress says "100 Continue", and waits for what never comes


class _Slow(Error):
    code = 408
    reason = "Request Timeout"


class _Logged(Task):
    """Writes a line when the answer is given; an answer to a probe that is well goes without."""

    def service(self) -> None:
        super().service()
        if self.request.path not in PROBES or not self.status.startswith("200"):
            access.info("%s", self._line())

    def _line(self) -> str:
        """Time, client, request line, status, bytes of the body, milliseconds of work."""
        sent = 0 if self.request.command == "HEAD" else self.content_bytes_written or self.content_length or 0
        spent = (time.time() - self.start_time) * 1000
        when = time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(self.start_time))
        asked = _plain(self.request.first_line)
        return f'{when} {self.channel.addr[0]} "{asked}" {self.status[:3]} {sent} bytes {spent:.0f} ms'


class Answer(_Logged, WSGITask):
    """The application's answer."""

    def execute(self) -> None:
        # Whoever sends the next request before the answer to the last one starts anew after it, as HTTP allows
        # (RFC 9112, 9.3.2): hundreds of them in one packet would else make hundreds of answers for nobody to read.
        if self.channel.server.stopping or len(self.channel.requests) > 1:
            self.set_close_on_finish()
        super().execute()


class Refusal(_Logged, ErrorTask):
    """The answer to what never reaches the application: one sentence, with the headers that every answer has."""

    def execute(self) -> None:
        error = self.request.error
        body = (_REFUSALS.get(error.code, error.reason) + "\n").encode()
        self.channel.refused = True
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [*HEADERS.items(), ("Content-Type", "text/plain; charset=utf-8")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Connection(HTTPChannel):
    """A client's connection. Threads write to it; everything else is done by the server's loop."""

    parser_class = Request
    task_class = Answer
    error_task_class = Refusal

    def __init__(self, server: object, sock: socket.socket, addr: tuple[str, int], adj: object, map: dict) -> None:
        self.since = time.monotonic()  # when it was made, or its last answer given
        self.used = self.refused = self.lingering = False
        super().__init__(server, sock, addr, adj, map)

    def service(self) -> None:
        """Answer one request, in a thread."""
        self.used, self.since = True, time.monotonic()
        super().service()
        self.since = time.monotonic()

    def handle_write(self) -> None:
        """As waitress does, but for a refusal: its client may still be sending what was refused.

        To close with unread bytes resets a connection, and the client would not see the answer.
        """
        if not self.refused or self.requests or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.connected and not self.total_outbufs_len:
            self._linger()

    def readable(self) -> bool:
        return self.lingering or super().readable()

    def received(self, data: bytes) -> bool:
        """Take bytes in, in the loop; what comes after a refusal is dropped."""
        return False if self.lingering else super().received(data)

    @property
    def resting(self) -> bool:
        """Whether nothing is asked, answered or on its way."""
        return self.lingering or not (self.requests or self.request or self._leaving())

    def overdue(self, now: float, request_s: float, idle_s: float) -> bool:
        """Whether the client has had its time, however busily it sends or reads a byte now and then."""
        if self.requests:
            return False  # a thread has it; the application has deadlines of its own
        if self.request and not self._leaving():
            return now - self.request.began > request_s
        spent = now - self.since
        keeps = self.used and self.resting and not self.lingering
        return spent > (idle_s if keeps else request_s) or (spent > request_s and _unread(self.socket) > 0)

    def cut(self) -> None:
        """End it, with an answer where a request was begun. waitress itself waits until a full socket is read."""
        if not self.request or self.requests or self._leaving():
            self.handle_close()
            return
        with self.requests_lock:
            self.request.error = _Slow("")
            self.requests.append(self.request)
            self.request = None
        self.server.add_task(self)

    def _leaving(self) -> bool:
        """Whether an answer, or its end, still waits to be read by the client."""
        return bool(self.total_outbufs_len or self.close_when_flushed or self.will_close or self.lingering)

    def _linger(self) -> None:
        """Say that no more will come, and read on until the client says so too, or its time is over."""
        self.close_when_flushed, self.lingering = False, True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone
            self.handle_close()


def _unread(sock: socket.socket) -> int:
    """Bytes of our answers that the client's side has not taken yet, from the kernel's own buffer."""
    try:
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:  # a system that does not tell
        return 0


def _plain(line: bytes) -> str:
    """A request line as printable ASCII without quotes or backslashes of its own, so that it stays one field."""
    text = line[:_LONGEST_LINE].decode("ascii", "backslashreplace") if line else "-"
    return re.sub(r'[\x00-\x1f\x7f"]', lambda found: f"\\x{ord(found[0]):02x}", text)
