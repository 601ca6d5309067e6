"""The page for everybody: axe-core's rules, narrow screens, large text, little motion, the system's own colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.web_ui.browsing import LAPTOP, MARKS, NARROW, PHONE, SEVEN, draw
from tests.web_ui.stack import VERSION, Stack

pytestmark = MARKS
Open = Callable[..., Page]


def a_result(page: Page, stack: Stack) -> None:
    expect(page.locator("#prediction")).to_be_visible()


def a_problem(page: Page, stack: Stack) -> None:
    page.get_by_label("Port").fill(str(stack.dead_port))
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_be_visible()


def a_refused_file(page: Page, stack: Stack) -> None:
    page.locator("#file").set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": bytes(1_048_577)})
    expect(page.get_by_role("alert")).to_be_visible()


def a_drawing(page: Page, stack: Stack) -> None:
    draw(page, SEVEN)
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    expect(page.locator("#guess")).to_contain_text("%")


def a_comparison(page: Page, stack: Stack) -> None:
    stack.server.serve(VERSION, VERSION + 1)
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#opinions")).to_be_visible(timeout=15_000)  # at the latest when the page looks by itself


def a_card(page: Page, stack: Stack) -> None:
    page.locator(f"#card-{VERSION}").click()
    expect(page.locator("#card-title")).to_be_visible()


def no_such_page(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/nope")
    expect(page.get_by_role("heading", name="Not Found")).to_be_visible()


STATES = pytest.mark.parametrize(
    "state", [a_result, a_problem, a_refused_file, a_drawing, a_comparison, a_card, no_such_page]
)


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@STATES
def test_no_rule_of_axe_is_broken(
    open_page: Open, stack: Stack, state: Callable[[Page, Stack], None], pytestconfig: pytest.Config
) -> None:
    """Every rule that axe-core has, not only WCAG's; light on a laptop, dark on a phone; with `--every`, all four."""
    page = open_page(viewport=LAPTOP, reduced_motion="reduce")
    state(page, stack)
    looks = [("light", LAPTOP), ("dark", PHONE)]
    if pytestconfig.getoption("--every"):
        looks += [("light", PHONE), ("dark", LAPTOP)]
    for scheme, size in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        told = [
            (one["id"], [node["html"] for node in one["nodes"]], one["nodes"][0]["failureSummary"]) for one in found
        ]
        assert told == [], (scheme, size)


@STATES
def test_a_screen_320_pixels_wide_needs_no_sideways_scrolling(
    open_page: Open, stack: Stack, state: Callable[[Page, Stack], None]
) -> None:
    page = open_page(viewport=NARROW)
    state(page, stack)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert not scrolls_sideways(page)


@pytest.mark.parametrize("width", [640, 1280])
def test_text_at_twice_the_size_still_fits(open_page: Open, stack: Stack, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    a_drawing(page, stack)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert not scrolls_sideways(page)
    clipped = """() => [...document.querySelectorAll("button, .button, dd, td, p, label")]
        .filter(one => !one.closest("thead, .unseen") && one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
        .map(one => one.outerHTML)"""
    assert page.evaluate(clipped) == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_what_is_pressed_is_at_least_44_pixels_high(open_page: Open, size: dict[str, int]) -> None:
    page = open_page(viewport=size)
    low = """() => [...document.querySelectorAll("button, input:not([type=hidden]), .button, .list a")]
        .map(one => [one.id || one.textContent, one.getBoundingClientRect().height]).filter(([, high]) => high < 44)"""
    assert page.evaluate(low) == []


def test_bars_grow_where_motion_is_welcome_and_jump_where_it_is_not(open_page: Open) -> None:
    for wish, seconds in (("no-preference", "0.25s, 0.25s"), ("reduce", "0s")):
        page = open_page(reduced_motion=wish)
        assert page.locator(".fill").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == seconds
        page.evaluate("document.addEventListener('transitionrun', () => document.title = 'a bar grows')")
        for _ in range(2):
            page.get_by_role("link", name="Another image").click()
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
            page.wait_for_timeout(100)
        assert page.evaluate("document.getAnimations().length > 0 || document.title === 'a bar grows'") is (
            wish == "no-preference"
        )


def test_the_system_s_own_colours_leave_bars_and_fields_visible(open_page: Open) -> None:
    page = open_page(forced_colors="active")
    colors = page.evaluate(
        """() => [".track", ".chosen .fill"].map(one => getComputedStyle(document.querySelector(one)).fill)"""
    )
    assert colors[0] != colors[1]
    assert page.locator("#name").evaluate("field => getComputedStyle(field).borderTopWidth") == "1px"


def test_the_focus_is_seen_on_everything_that_takes_it(open_page: Open) -> None:
    page = open_page()
    for _ in range(10):
        page.keyboard.press("Tab")
        style = page.evaluate("(one => [one.outlineStyle, one.outlineWidth])(getComputedStyle(document.activeElement))")
        assert style == ["solid", "3px"]


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_guess_is_seen_while_one_draws(open_page: Open, stack: Stack, size: dict[str, int]) -> None:
    page = open_page(viewport=size)
    a_drawing(page, stack)
    for part in ("#canvas", "#guess"):
        box = page.locator(part).bounding_box()
        assert box
        assert 0 <= box["y"] < box["y"] + box["height"] <= size["height"]
