"""What can go wrong with one page: a sentence for the reader and the HTTP status that fits it."""

from __future__ import annotations


class Problem(Exception):  # most are nobody's error: a server that is down, a refused address
    """One sentence a visitor can act on, a heading, an HTTP status, and the form field at fault, if any."""

    status = 500
    heading = "Not connected."

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class BadValue(Problem):
    """A form field holds something that cannot be meant."""

    status = 400


class Refused(Problem):
    """The form names a server that this page may not talk to."""

    status = 403


class TooLarge(Problem):
    """A picture takes more bytes, or more pixels, than this page looks at."""

    status = 413
    heading = "No prediction."


class UnsupportedPicture(Problem):
    """What was sent is no picture of a kind that this page reads."""

    status = 415
    heading = "No prediction."


class UnknownModel(Problem):
    """The server is there and serves no model of that name."""

    status = 404


class NoImage(Problem):
    """There is no test image of that number."""

    status = 404
    heading = "No image."


class ServerDown(Problem):
    """Nothing that speaks gRPC answers at the address."""

    status = 502


class BadAnswer(Problem):
    """The server answered, but not with a digit."""

    status = 502
    heading = "No prediction."


class NotReady(Problem):
    """Something needed is missing for now; the same request may succeed later."""

    status = 503
    heading = "Not ready."


class TooSlow(Problem):
    """The server took longer than the deadline."""

    status = 504
    heading = "No prediction."
