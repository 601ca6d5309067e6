"""The API as its own description has it: thousands of requests, right and wrong, and no crash among the answers."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.web_ui.conftest import Ui, publish, running_ui
from tests.web_ui.model_server import Behaviour, serve


def picture(kind: str, size: tuple[int, int], at: int) -> bytes:
    """A picture of a stroke, as somebody would send it."""
    paper = Image.new("L", size, 255)
    paper.paste(0, (size[0] // 4, size[1] // 4, size[0] // 4 + at, size[1] // 4 + at))
    packed = io.BytesIO()
    paper.save(packed, kind)
    return packed.getvalue()


SIDES = st.integers(20, 300)
for kind in ("png", "jpeg"):
    pictures = st.builds(picture, st.just(kind), st.tuples(SIDES, SIDES), st.integers(4, 10))
    schemathesis.openapi.media_type(f"image/{kind}", pictures)

EXAMPLES = 350
"""Of each kind for each operation; the whole comes to more than 2,000 requests."""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("fuzz")
    publish(folder / "export", Behaviour.version)
    server, port = serve(Behaviour())
    other, _ = serve(Behaviour(), port, "[::1]")  # the same machine by its other name, which may be asked for too
    variables = {"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": port, "MODEL_BASE_PATH": folder / "export"}
    with running_ui(folder / "ui.log", **variables) as started:
        yield started
    for one in (server, other):
        one.stop(0).wait()
    assert "Traceback" not in (folder / "ui.log").read_text()


def test_thousands_of_requests_after_the_description_get_the_answers_that_it_promises(ui: Ui) -> None:
    schema = schemathesis.openapi.from_url(f"{ui.url}/api/openapi.json")
    seen: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        ask(operation.ok(), seen)
    print(f"{seen.total():,} requests: {dict(sorted(seen.items()))}")
    assert seen.total() >= 2000
    assert not [status for status in seen if status >= 500]
    assert {200, 400, 403, 404} <= set(seen)


def ask(operation: schemathesis.schemas.APIOperation, seen: Counter[int]) -> None:
    """Send an operation's examples, of those that are right and those that are wrong."""
    for mode in schemathesis.GenerationMode:

        @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck), database=None)
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def send(case: schemathesis.Case) -> None:
            response = case.call()
            seen[response.status_code] += 1
            assert "Traceback" not in response.text
            # An empty object as a parameter's wrong value is not there at all once it stands in an address.
            untold = [negative_data_rejection] if {} in (case.query or {}).values() else []
            case.validate_response(response, excluded_checks=untold)

        send()
