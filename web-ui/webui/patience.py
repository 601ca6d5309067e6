"""Asks a bucket so that no page waits long for it: each question in a thread of its own, and none while it is down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from webui.storage import StorageError, Versions

_MOST_ASKED = 16  # questions in flight, and answers that came too late for whoever asked: 400 KB each at most
_THREAD = "asks the bucket"


class Patient:
    """`Versions` behind a network. A question that takes longer than `wait_s` raises StorageError and goes on; its
    answer serves the next who asks the same. After a failure, or a wait, nothing is asked for `rest_s`."""

    def __init__(self, versions: Versions, wait_s: float = 2.0, rest_s: float = 10.0) -> None:
        self._versions = versions
        self._wait_s, self._rest_s = wait_s, rest_s
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, ...], Future[Any]] = {}
        self._down_until, self._reason = 0.0, ""

    def newest(self, path: str) -> str | None:
        """As `Versions` has it."""
        answer: str | None = self._ask(("newest", path), lambda: self._versions.newest(path))
        return answer

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        """As `Versions` has it."""
        answer: bytes | None = self._ask(("read", version, path), lambda: self._versions.read(version, path, limit))
        return answer

    def beside(self, name: str, limit: int) -> bytes | None:
        """As `Versions` has it."""
        answer: bytes | None = self._ask(("beside", name), lambda: self._versions.beside(name, limit))
        return answer

    def _ask(self, key: tuple[str, ...], question: Callable[[], Any]) -> Any:
        future = self._future(key, question)
        try:
            return future.result(self._wait_s)
        except TimeoutError:
            self._rest(f"no answer within {self._wait_s:g} s")
            raise StorageError(self._reason) from None
        finally:
            with self._lock:
                if future.done() and self._asked.get(key) is future:
                    del self._asked[key]

    def _future(self, key: tuple[str, ...], question: Callable[[], Any]) -> Future[Any]:
        """The question's answer, sooner or later; StorageError at once while the bucket is left alone."""
        with self._lock:
            future = self._asked.get(key)
            if future and future.done():
                return future
            if time.monotonic() < self._down_until:
                raise StorageError(f"{self._reason}; it is left alone for {self._rest_s:g} s")
            if future:
                return future
            if len(self._asked) >= _MOST_ASKED:
                self._asked = {each: one for each, one in self._asked.items() if not one.done()}
            if len(self._asked) >= _MOST_ASKED:
                raise StorageError("too many questions wait for an answer")
            future = self._asked[key] = Future()
            # A daemon: a bucket that hangs must not hold up the end of the process.
            threading.Thread(target=self._answer, args=(key, future, question), name=_THREAD, daemon=True).start()
            return future

    def _answer(self, key: tuple[str, ...], future: Future[Any], question: Callable[[], Any]) -> None:
        try:
            future.set_result(question())
        except StorageError as error:
            self._rest(str(error))
            with self._lock:  # who waits has it; nobody else is told of an old failure
                self._asked.pop(key, None)
            future.set_exception(error)
        finally:
            if not future.done():  # a fault of ours: the thread's end shows it, and nobody waits
                with self._lock:
                    self._asked.pop(key, None)
                future.set_exception(StorageError("the question failed; the log says how"))

    def _rest(self, reason: str) -> None:
        with self._lock:
            self._down_until, self._reason = time.monotonic() + self._rest_s, reason
