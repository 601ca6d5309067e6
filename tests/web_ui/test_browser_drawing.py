"""The drawing board in a real browser, before a model server with a trained model: mouse, finger and keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web_ui.browsing import FOUR, MARKS, PHONE, SEVEN, draw, place

pytestmark = MARKS
Open = Callable[..., Page]
INK = """canvas => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const inked = [];
    for (let i = 0; i < data.length; i += 4) if (data[i] > 127) inked.push(i / 4);
    const [xs, ys] = [inked.map(i => i % canvas.width), inked.map(i => Math.floor(i / canvas.width))];
    const low = list => list.reduce((a, b) => Math.min(a, b), 1e9);
    const high = list => list.reduce((a, b) => Math.max(a, b), -1);
    return {count: inked.length, left: low(xs), right: high(xs), top: low(ys), bottom: high(ys), side: canvas.width};
}"""


def ink(page: Page) -> dict[str, int]:
    """How many pixels of the board are white, and the box that they lie in."""
    return page.locator("#canvas").evaluate(INK)


def guesses(page: Page, digit: int) -> None:
    """The board and the whole answer say the digit."""
    expect(page.locator("#guess")).to_have_text(re.compile(rf"^{digit}, [> ]*[\d.]+ %$"))
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    expect(page.locator("#prediction")).to_have_text(str(digit))


def test_a_seven_drawn_with_the_mouse_is_read(mnist_dir: Path, open_page: Open) -> None:
    page = open_page()
    draw(page, SEVEN)
    guesses(page, 7)


def test_a_digit_may_take_two_strokes(mnist_dir: Path, open_page: Open) -> None:
    page = open_page()
    draw(page, FOUR)
    guesses(page, 4)


def test_a_seven_drawn_with_a_finger_is_read_and_the_page_does_not_scroll(mnist_dir: Path, open_page: Open) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    finger = page.context.new_cdp_session(page)
    before = canvas.bounding_box()
    for kind, point in zip(("touchStart", *["touchMove"] * 5), SEVEN[0], strict=True):
        x, y = place(canvas, point)
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    guesses(page, 7)
    assert canvas.bounding_box() == before


def test_a_seven_drawn_by_keys_is_read(mnist_dir: Path, open_page: Open) -> None:
    page = open_page()
    page.locator("#canvas").focus()
    expect(page.locator("#pen")).to_be_visible()
    for key in ["ArrowLeft"] * 5 + ["ArrowUp"] * 7 + ["Space"] + ["ArrowRight"] * 11:
        page.keyboard.press(key)
    for at in range(15):  # down, and a third as far to the left
        page.keyboard.press("ArrowDown")
        if at % 3 == 0:
            page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    guesses(page, 7)
    expect(page.locator("#pen")).not_to_have_class("down")


def test_two_arrows_at_once_draw_a_slope(open_page: Open) -> None:
    page = open_page()
    page.locator("#canvas").press("Enter")
    page.keyboard.down("ArrowLeft")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.up("ArrowLeft")
    drawn = ink(page)
    assert (drawn["right"] - drawn["left"] + 1, drawn["bottom"] - drawn["top"] + 1) == pytest.approx((140, 120), abs=3)


def test_escape_lifts_the_pen_and_then_clears(open_page: Open) -> None:
    page = open_page()
    page.locator("#canvas").press("Space")
    expect(page.locator("#said")).to_have_text(re.compile("Pen down|version"))
    assert ink(page)["count"] > 0
    page.keyboard.press("Escape")
    assert ink(page)["count"] > 0
    page.keyboard.press("Escape")
    assert ink(page)["count"] == 0


def test_arrows_do_not_scroll_the_page_while_they_move_the_pen(open_page: Open) -> None:
    page = open_page(viewport={"width": 600, "height": 400})
    page.locator("#canvas").focus()
    before = page.evaluate("scrollY")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("scrollY") == before


def test_clear_empties_the_board_and_forgets_the_guess(open_page: Open) -> None:
    page = open_page()
    draw(page, SEVEN)
    expect(page.locator("#guess")).to_contain_text("%")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#guess")).to_have_text("Draw a digit.")
    assert ink(page)["count"] == 0


def test_clear_cancels_the_question_on_its_way(open_page: Open) -> None:
    page = open_page()
    held: list[Route] = []
    page.route(lambda url: url.endswith("/"), lambda route: held.append(route))
    with page.expect_request(lambda request: request.method == "POST"):
        draw(page, SEVEN)
    with page.expect_event("requestfailed") as ended:
        page.get_by_role("button", name="Clear").click()
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    assert [route.request for route in held] == [ended.value]
    assert ended.value.failure == "net::ERR_ABORTED"
    page.wait_for_timeout(400)
    expect(page.locator("#guess")).to_have_text("Draw a digit.")
    assert len(held) == 1


def test_a_dot_is_ink(open_page: Open) -> None:
    page = open_page()
    page.locator("#canvas").click()
    assert ink(page)["count"] == pytest.approx(3.14159 * 20**2, rel=0.05)


@pytest.mark.parametrize("options", [{}, {"device_scale_factor": 3}, {"viewport": {"width": 320, "height": 640}}])
@pytest.mark.parametrize("zoom", ["1", "1.5", "0.7"])
def test_ink_lies_where_the_pen_was_at_any_size(open_page: Open, options: dict[str, object], zoom: str) -> None:
    page = open_page(**options)
    page.evaluate("zoom => document.documentElement.style.zoom = zoom", zoom)
    draw(page, (((0.25, 0.25), (0.75, 0.6)),))
    drawn = ink(page)
    box = (drawn["left"] + 20, drawn["top"] + 20, drawn["right"] - 20, drawn["bottom"] - 20)
    assert [value / drawn["side"] for value in box] == pytest.approx([0.25, 0.25, 0.75, 0.6], abs=0.02)


def test_the_second_finger_and_the_right_button_draw_nothing(open_page: Open) -> None:
    page = open_page()
    page.locator("#canvas").click(button="right")
    assert ink(page)["count"] == 0


SEEN = """async () => {
    const body = new FormData(document.querySelector("#upload"));
    body.set("file", await new Promise(done => document.querySelector("#canvas").toBlob(done)), "canvas.png");
    const html = await (await fetch("/", {method: "POST", body})).text();
    return new DOMParser().parseFromString(html, "text/html").querySelector("#result img").src;
}"""


def test_one_question_at_a_time_and_the_whole_drawing_is_asked_in_the_end(open_page: Open) -> None:
    page = open_page()
    under_way, most, asked = 0, 0, 0

    def slow(route: Route) -> None:
        nonlocal under_way, most, asked
        under_way, asked = under_way + 1, asked + 1
        most = max(most, under_way)
        page.wait_for_timeout(250)
        under_way -= 1
        route.continue_()

    page.route(lambda url: url.endswith("/"), slow)
    draw(page, SEVEN)
    page.wait_for_timeout(300)
    draw(page, (((0.2, 0.9), (0.8, 0.9)),))
    page.wait_for_timeout(200)
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    page.wait_for_timeout(200)
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    page.unroute_all()
    assert (most, asked >= 2) == (1, True)
    expect(page.locator("#result img")).to_have_attribute("src", page.evaluate(SEEN))


def test_without_javascript_there_is_no_board(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator("#board")).to_be_hidden()
    expect(page.locator("#drop")).to_be_hidden()


def test_a_drawing_that_gets_no_answer_says_so_beside_the_board(open_page: Open) -> None:
    page = open_page()
    page.get_by_label("Port").fill("1")
    draw(page, SEVEN)
    expect(page.locator("#guess")).to_have_text("?, Not connected.")
    expect(page.get_by_role("alert")).to_contain_text("may not connect")
