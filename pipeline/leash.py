"""Runs a command over an SSH connection, on a leash: whatever ends the connection ends the command's whole group."""

from __future__ import annotations

import contextlib
import re
import secrets
import select
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.errors import UNFIT, PipelineError, RunFailed
from pipeline.processes import PASSED_ON, Finished, Tail
from pipeline.ssh import by_hand, reason

GRACE = 5.0
"""Seconds that a command's group has between SIGTERM and SIGKILL."""


def script(token: str, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> str:
    """What the host's `sh` reads from its standard input, so that no variable stands in a list of processes.

    That input stays open while the command runs: its end, also when the connection is lost, is what makes the leash
    end the group. The output begins behind the token, because a login may print what it likes. The command leads a
    session and group of its own; `$!` is the group's number, since a background command of `sh` leads no group yet
    and `setsid` then does not fork.
    """
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in env.items())
    return f"""{{
exec 3<&0 </dev/null
say() {{ printf '\\n{token} %s\\n' "$1"; printf '\\n{token} %s\\n' "$1" >&2; }}
for name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do
    case $name in {"|".join(PASSED_ON)}) ;; *) unset "$name" ;; esac
done
{exports}
cd {shlex.quote(cwd)} 2>/dev/null || {{ say nowhere; exit; }}
command -v setsid >/dev/null || {{ say unfit; exit; }}
command -v {shlex.quote(argv[0])} >/dev/null || {{ say missing; exit; }}
say started
setsid {shlex.join(argv)} 3<&- &
job=$!
finish() {{
    kill -s TERM -- -$job
    n=0
    while [ $n -lt {GRACE * 10:.0f} ] && kill -s 0 -- -$job; do sleep 0.1; n=$((n + 1)); done
    kill -s KILL -- -$job
}} >/dev/null 2>&1
{{ cat <&3; finish; }} >/dev/null 2>&1 &
leash=$!
exec 3<&-
wait $job
code=$?
finish
kill -s KILL $leash
exit $code
}}
"""


class Behind:
    """A stream from the token on: what a login prints before it is no part of the command's output."""

    def __init__(self, token: str, tail: Tail) -> None:
        self.mark, self.tail = re.compile(rf"\n{token} (\w+)\n".encode()), tail
        self.word, self.noise = "", b""

    def add(self, data: bytes) -> None:
        """Take what was read; empty at the end of the stream."""
        if self.word:
            self.tail.add(data)
            return
        self.noise += data
        if found := self.mark.search(self.noise):
            self.word = found[1].decode()
            if rest := self.noise[found.end() :]:
                self.tail.add(rest)
        else:
            self.noise = self.noise[-65536:]


def run(
    connection: Any, host: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, timeout: float,
    on_line: Callable[[str], None] | None, opened: Callable[[Any], None] = lambda channel: None,
) -> Finished:  # fmt: skip
    """Run a command on the host to its end, reading both streams in linear time and bounded memory.

    However this ends (time-out, Ctrl-C, SIGTERM, an error, a lost connection), its whole group there is ended. An
    exit code over 128 may be 128 + the signal, as shells have it. `opened` gets the channel, for `let_go`.
    """
    import paramiko  # type: ignore[import-untyped]

    deadline, token = time.monotonic() + timeout, secrets.token_hex(8)
    out, err = (Behind(token, Tail(lines)) for lines in (on_line, on_line))
    try:
        with contextlib.closing(connection.create_session()) as channel:
            channel.exec_command("sh -s")
            try:
                opened(channel)
                tell(channel, script(token, argv, env, cwd))
                timed_out = not read(channel, out, err, deadline)
            finally:
                let_go(channel)
                channel.status_event.wait(GRACE + 3.0)  # until the group has ended
            code = channel.exit_status
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise RunFailed(lost(host, argv, reason(error))) from None
    if code == -1 and not timed_out:
        raise RunFailed(lost(host, argv, "it closed"))
    if problem := unstarted(out.word, host, argv, cwd):
        raise problem
    if not out.word and not timed_out:
        words = " ".join((out.noise + err.noise).decode(errors="replace").split())[-160:] or "it said nothing"
        raise RunFailed(f"host {host} runs no commands for us: {words}; this must work: {by_hand(host)} true")
    return Finished(code, out.tail.text(), err.tail.text(), timed_out)


def tell(channel: Any, text: str) -> None:
    """Send the host's `sh` its input; where something else ran in its place and has ended, what that said is read."""
    try:
        channel.sendall(text.encode())
    except OSError:
        if not channel.get_transport().is_active():
            raise


def read(channel: Any, out: Behind, err: Behind, deadline: float) -> bool:
    """Read until both streams have ended; False where the deadline comes first."""
    streams = ((channel.recv_ready, channel.recv, out), (channel.recv_stderr_ready, channel.recv_stderr, err))
    while time.monotonic() < deadline:
        ended = channel.eof_received or channel.closed  # asked first: what came before the end is then ready
        there = [(receive, stream) for ready, receive, stream in streams if ready()]
        for receive, stream in there:
            stream.add(receive(65536))
        if ended and not there:
            for _, _, stream in streams:
                stream.add(b"")
            return True
        if not there:
            select.select([channel], [], [], max(0.0, deadline - time.monotonic()))
    return False


def let_go(channel: Any) -> None:
    """End the input of the host's `sh`: its leash then ends the command's group."""
    with contextlib.suppress(OSError, EOFError):
        channel.shutdown_write()


def lost(host: str, argv: Sequence[str], why: str) -> str:
    """The sentence about a connection that ended before the command did."""
    return f"the SSH connection to {host} was lost ({why}) while {shlex.join(argv)} ran; what ran there is ended"


def unstarted(word: str, host: str, argv: Sequence[str], cwd: str) -> PipelineError | None:
    """Why a command did not start, where it did not."""
    if word == "missing":
        seen = f"{by_hand(host)} {shlex.quote(f'command -v {argv[0]}')}"
        return PipelineError(
            f"{argv[0]} is not on {host}'s PATH: install it there, so that this finds it: {seen}", UNFIT
        )
    if word == "unfit":
        return PipelineError(f"host {host} has no setsid (Linux's util-linux): a machine with Linux is needed", UNFIT)
    if word == "nowhere":
        return RunFailed(f"host {host} has no folder {cwd}, in which {argv[0]} was to run")
    return None
