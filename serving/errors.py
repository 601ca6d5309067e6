"""What goes wrong in a request or at the start, with the status code a client sees."""

from __future__ import annotations

import grpc

Code = grpc.StatusCode

# tensorflow_serving/model_servers/http_server.cc, ToHTTPStatusCode
HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

_BY_NUMBER = {code.value[0]: code for code in Code}


class ServingError(Exception):
    """A request that cannot be answered: a gRPC `code` and a `message` in TensorFlow Serving's words."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The code as it travels on the wire (google.rpc.Code)."""
        return self.code.value[0]


class StartError(Exception):
    """The server cannot start: one sentence, and the exit code, 2 for a mistake in what was asked, else 1."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def invalid(message: str) -> ServingError:
    """The request itself is wrong."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def code_of(number: int) -> grpc.StatusCode:
    """The code that a number of google.rpc.Code stands for; UNKNOWN for a number that is none."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)
