"""What every router of ours does, nginx on a cluster and the embedded one on this machine alike."""

from __future__ import annotations

import math
import signal
import time
from collections import Counter

import grpc
import pytest

from routers import CANARY, PREDICT, Router, written  # type: ignore[import-not-found]

GRPC, REST = 1500, 500
"""Requests of each kind in the test of the share: 2,000 together."""

MODEL = "/v1/models/mnist"


def bound(count: int, share: float) -> float:
    """How far from its expectation a binomial count is once in a million tries at most: 4.9 standard deviations."""
    return 4.9 * math.sqrt(count * share * (1 - share))


@pytest.fixture
def channel(router: Router) -> grpc.Channel:
    with grpc.insecure_channel(router.grpc) as one:
        yield one


def test_two_thousand_requests_at_ten_percent_are_shared_out_as_chance_would(
    router: Router, channel: grpc.Channel
) -> None:
    predict = channel.unary_unary(PREDICT)  # one connection: what is shared out are requests
    answers = Counter(predict(b"x", timeout=10).decode() for _ in range(GRPC))
    answers.update(router.post(f"{MODEL}:predict")[1]["from"] for _ in range(REST))
    assert set(answers) == {"stable", "canary"}
    assert abs(answers["canary"] - 200) <= bound(GRPC + REST, 0.1)


def test_who_names_a_version_or_a_label_gets_it(router: Router) -> None:
    for path, track in {
        f"{MODEL}/versions/{CANARY}:predict": "canary",
        f"{MODEL}/versions/{CANARY}": "canary",
        f"{MODEL}/labels/canary:predict": "canary",
        f"{MODEL}/versions/{CANARY}1:predict": "stable",
        f"{MODEL}/versions/17:predict": "stable",
        f"{MODEL}/labels/stable:predict": "stable",
    }.items():
        assert {router.post(path)[1]["from"] for _ in range(25)} == {track}, path


def test_what_is_no_prediction_goes_to_the_stable_server(router: Router, channel: grpc.Channel) -> None:
    assert {router.post(path, b"")[1]["from"] for path in [MODEL, f"{MODEL}/metadata"] * 15} == {"stable"}
    for service in ("tensorflow.serving.ModelService/GetModelStatus", "grpc.health.v1.Health/Check"):
        assert {channel.unary_unary(f"/{service}")(b"x") for _ in range(25)} == {b"stable"}


def test_a_call_keeps_its_headers_deadline_and_trailers(router: Router, channel: grpc.Channel) -> None:
    answer, call = channel.unary_unary(PREDICT).with_call(
        b"x" * 3_000_000, timeout=20, metadata=(("x-mine", "1"), ("x-mine-bin", b"\0\xff"))
    )
    track = dict(call.initial_metadata())["x-initial"]
    assert answer == track.encode() + b"x" * 3_000_000
    assert dict(call.trailing_metadata()) == {"x-trailing": track, "x-data-bin": b"\0\1"}
    seen = router.upstreams[track].seen[-1]
    assert (seen["x-mine"], seen["x-mine-bin"], seen["bytes"]) == ("1", b"\0\xff", 3_000_000)
    assert 10 < seen["remaining"] <= 21  # gRPC rounds a deadline up to what three digits can say


def test_a_call_that_fails_keeps_its_status_and_its_words(router: Router, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(PREDICT)(b"fail")
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "in its own words: größer"
    assert dict(failed.value.trailing_metadata())["x-trailing"] in ("stable", "canary")


@pytest.mark.timed
def test_a_call_whose_deadline_is_over_ends_then(router: Router, channel: grpc.Channel) -> None:
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(PREDICT)(b"sleep", timeout=0.3)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 0.9


def test_a_stream_comes_message_by_message_with_its_status(router: Router, channel: grpc.Channel) -> None:
    found = []
    with pytest.raises(grpc.RpcError) as failed:
        for message in channel.unary_stream("/grpc.health.v1.Health/Watch")(b"x"):
            found.append(message)
    assert (found, failed.value.code()) == ([b"first", b"second"], grpc.StatusCode.ABORTED)


def test_a_request_over_http_keeps_its_path_headers_and_body(router: Router) -> None:
    code, answer, headers = router.post(
        f"{MODEL}:predict?a=%2F&b=ä".replace("ä", "%C3%A4"), b"y" * 2_000_000, **{"X-Mine": "1"}
    )
    assert (code, headers["x-model"]) == (200, answer["from"])
    assert (answer["path"], answer["bytes"]) == (f"{MODEL}:predict?a=%2F&b=%C3%A4", 2_000_000)
    assert (answer["headers"]["x-mine"], answer["headers"]["host"]) == ("1", router.rest.removeprefix("http://"))


def test_an_answer_over_http_keeps_its_status(router: Router) -> None:
    assert router.post("/v1/models/wrong:predict")[0] == 409


def test_a_server_that_is_dead_is_unavailable_and_the_other_answers(mortal: Router) -> None:
    mortal.upstreams["canary"].stop()
    found, words = Counter[str](), set()
    with grpc.insecure_channel(mortal.grpc) as channel:
        for _ in range(150):
            try:
                found[channel.unary_unary(PREDICT)(b"x", timeout=5).decode()] += 1
            except grpc.RpcError as error:
                found[error.code().name] += 1
                words.add(error.details())
    assert set(found) == {"stable", "UNAVAILABLE"}
    assert all("the canary model server" in one and "does not answer" in one for one in words)
    answers = [mortal.post(f"{MODEL}:predict") for _ in range(150)]
    assert {code for code, _, _ in answers} == {200, 503}
    assert all("the canary model server" in answer["error"] for code, answer, _ in answers if code == 503)


def test_another_share_in_the_file_counts_without_a_restart(own: Router) -> None:
    written(own.settings, own.file.parent, 99)
    own.until_logged("99% of the predictions")
    with grpc.insecure_channel(own.grpc) as channel:
        answers = Counter(channel.unary_unary(PREDICT)(b"x").decode() for _ in range(200))
    assert abs(answers["canary"] - 198) <= bound(200, 0.99)


def test_a_file_with_a_mistake_is_told_of_and_what_held_before_still_holds(own: Router) -> None:
    own.file.write_text("http {")
    own.until_logged("is left aside")
    with grpc.insecure_channel(own.grpc) as channel:
        assert channel.unary_unary(PREDICT)(b"x") in (b"stable", b"canary")


def test_a_request_that_is_being_answered_when_it_ends_is_answered(own: Router) -> None:
    with grpc.insecure_channel(own.grpc) as channel:
        call = channel.unary_unary(PREDICT).future(b"sleep")
        until_seen(own)
        own.process.send_signal(signal.SIGTERM)
        assert call.result(5) in (b"stable", b"canary")
    assert own.process.wait(5) == 0


def until_seen(router: Router) -> None:
    while not any(one.seen for one in router.upstreams.values()):
        time.sleep(0.01)
