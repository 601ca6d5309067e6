"""The page with JavaScript, before a real model server: nothing reloads, and what changes shows itself."""

from __future__ import annotations

import io
import re
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web_ui.browsing import MARKS
from tests.web_ui.stack import VERSION, Stack

pytestmark = MARKS
BY_ITSELF_MS = 15_000  # the page looks every 5 s
MODELS = re.compile("/api/models")
REMEMBERED_S = 1.5  # and a bit more, in which the UI itself looks no second time


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Iterator[Page]:
    """The page, with a mark on its window that a reload would wipe off."""
    opened = open_page()
    opened.evaluate("window.mark = 'still here'")
    yield opened
    assert opened.evaluate("window.mark") == "still here"


def picture(digit_like: bool = True, side: int = 280, noise: bytes = b"") -> bytes:
    """A PNG with an upright bar, black on white; `noise` goes into a chunk of its own that no reader looks at."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    middle = range(side // 2 - 10, side // 2 + 10)
    rows = io.BytesIO()
    for y in range(side):
        inked = digit_like and side // 5 < y < side - side // 5
        rows.write(b"\0" + bytes(0 if inked and x in middle else 255 for x in range(side)))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = [(b"IHDR", head), *([(b"teSt", noise)] if noise else []), (b"IDAT", zlib.compress(rows.getvalue()))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in [*body, (b"IEND", b"")])


def choose(page: Page, content: bytes, name: str = "one.png") -> None:
    page.get_by_label("One digit as PNG or JPEG").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


def test_connect_answers_in_place(page: Page) -> None:
    page.get_by_role("button", name="Connect").click()
    expect(page).to_have_url(re.compile(r"\?name=mnist&addr=127.0.0.1&port=\d+&image=\d+$"))
    expect(page.locator("#connection")).to_contain_text(f"model version {VERSION}")
    expect(page.locator("#said")).to_have_text(re.compile(rf"^\d, [>.\d ]+ %, version {VERSION}\.$"))


def test_a_wrong_port_is_said_and_the_focus_goes_to_it(page: Page, stack: Stack) -> None:
    page.get_by_label("Port").fill(str(stack.dead_port))
    page.get_by_label("Port").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(f"No model server answers at 127.0.0.1:{stack.dead_port}")
    page.get_by_label("Port").fill(str(stack.server.port))
    page.get_by_label("Port").press("Enter")
    expect(page.locator("#connection")).to_contain_text("Connected")
    expect(page.get_by_label("Port")).to_be_focused()
    page.get_by_label("Port").fill("99999")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("whole number from 1 to 65535")
    expect(page.get_by_label("Port")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Port")).to_be_focused()


def test_another_host_is_refused_and_the_field_is_right_again_after_that(page: Page) -> None:
    address = page.get_by_label("Server address")
    address.fill("169.254.169.254")
    address.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("may not connect to 169.254.169.254")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(page).to_have_title(re.compile("^Not connected"))
    address.fill("127.0.0.1")
    address.press("Enter")
    expect(page.locator("#connection")).to_contain_text("Connected")
    expect(address).not_to_have_attribute("aria-invalid", "true")


def test_another_image_comes_in_place_and_the_focus_stays_on_the_link(page: Page) -> None:
    image = page.locator("#result img")
    page.get_by_role("link", name="Another image").focus()
    for _ in range(5):
        before = image.get_attribute("data-image")
        page.keyboard.press("Enter")
        expect(image).not_to_have_attribute("data-image", before)
        expect(page.get_by_role("link", name="Another image")).to_be_focused()


def test_a_reload_shows_the_same_image(open_page: Callable[..., Page]) -> None:
    page = open_page()
    image = page.locator("#result img")
    before = image.get_attribute("data-image")
    page.get_by_role("link", name="Another image").click()
    expect(image).not_to_have_attribute("data-image", before)
    shown = image.get_attribute("data-image")
    expect(page).to_have_url(re.compile(f"image={shown}$"))
    page.reload()
    expect(image).to_have_attribute("data-image", shown)


def test_an_uploaded_picture_is_shown_as_the_model_gets_it(page: Page) -> None:
    choose(page, picture())
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    expect(page.locator("#prediction")).to_have_text(re.compile(r"^\d$"))
    page.get_by_role("link", name="A test image").click()
    expect(page.get_by_role("heading", name="Test image")).to_be_visible()


def test_a_picture_of_nearly_a_megabyte_is_taken_and_one_that_is_larger_is_told_before_it_is_sent(page: Page) -> None:
    choose(page, picture(noise=bytes(1_000_000)))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.method))
    large = picture(noise=bytes(1_048_576))
    choose(page, large, "huge.png")
    expect(page.get_by_role("alert")).to_contain_text(f"“huge.png” takes {len(large):,} bytes; a picture takes at most")
    page.get_by_role("button", name="Upload").click()
    assert "POST" not in posts
    choose(page, picture())
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_file_that_is_no_picture_is_refused_beside_its_field(page: Page) -> None:
    choose(page, b"GIF89a", "one.png")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#picture").get_by_role("alert")).to_contain_text("JPEG")
    expect(page.get_by_label("One digit as PNG or JPEG")).to_be_focused()


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted(page: Page, event: str) -> None:
    page.evaluate(
        """([event, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "one.png", {type: "image/png"}));
            const sent = event === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true})
                                          : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
            document.body.dispatchEvent(sent);
        }""",
        [event, list(picture())],
    )
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()


def test_a_newer_request_ends_the_older_one(page: Page) -> None:
    held: list[Route] = []
    page.route(re.compile("after="), lambda route: held.append(route), times=1)
    page.get_by_role("link", name="Another image").click()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    with page.expect_event("requestfailed") as ended:
        page.get_by_role("button", name="Connect").click()
    assert (ended.value.url, ended.value.failure) == (held[0].request.url, "net::ERR_ABORTED")
    expect(page).to_have_url(re.compile("image="))
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")


def test_a_quiet_sign_shows_after_three_tenths_of_a_second(page: Page) -> None:
    page.route(re.compile("after="), lambda route: None)
    page.get_by_role("link", name="Another image").click()
    opacity = "getComputedStyle(document.querySelector('main'), '::before').opacity"
    assert page.evaluate(opacity) == "0"
    page.wait_for_timeout(400)
    assert page.evaluate(opacity) == "1"
    page.get_by_role("button", name="Connect").click()


def test_when_the_page_itself_cannot_be_reached_it_says_so_and_trying_again_works(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(unreachable=True)
    page.context.set_offline(True)
    page.get_by_role("link", name="Another image").click()
    expect(page.get_by_role("alert")).to_contain_text("This page’s own server does not answer. Try again")
    expect(page.locator("#prediction")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#connection")).to_contain_text("Connected")


def test_an_error_page_that_is_not_ours_is_told(page: Page) -> None:
    page.route(re.compile("after="), lambda route: route.fulfill(status=502, body="<h1>502 Bad Gateway</h1>"))
    page.get_by_role("link", name="Another image").click()
    expect(page.get_by_role("alert")).to_contain_text("Something else than this page answered.")


def test_what_comes_in_place_is_what_the_server_wrote(page: Page) -> None:
    """Node by node, the parts become those of a page loaded anew; only the latency is another."""
    parts = """html => [...new DOMParser().parseFromString(html, "text/html").querySelectorAll("[data-part]")]
                   .map(part => part.outerHTML.replace(/id="latency">[^<]+/, ""))"""
    for step in ("Another image", "Upload", "A test image", "Another image"):
        if step == "Upload":
            choose(page, picture())
            page.get_by_role("button", name=step).click()
            expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
        else:
            page.get_by_role("link", name=step).click()
            expect(page.get_by_role("heading", name="Test image")).to_be_visible()
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    fresh = page.evaluate("async () => (await fetch(location.href)).text()")
    assert page.evaluate(parts, page.content()) == page.evaluate(parts, fresh)


def test_everything_is_done_by_keyboard_from_end_to_end(page: Page) -> None:
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert order == ["name", "addr", "port", "Connect", "another", "canvas", "clear", "file", "Upload"]
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=str(VERSION))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"card={VERSION}"))
    expect(page.get_by_role("link", name=str(VERSION))).to_be_focused()


def test_a_new_version_shows_itself_and_two_versions_are_compared_on_the_image_on_show(
    page: Page, stack: Stack
) -> None:
    image = page.locator("#result img").get_attribute("data-image")
    stack.server.serve(VERSION, VERSION + 1)
    expect(page.locator("#version")).to_have_text(str(VERSION + 1), timeout=BY_ITSELF_MS)
    expect(page.locator("#result img")).to_have_attribute("data-image", image)
    expect(page.locator("#said")).to_contain_text(f"version {VERSION + 1}")
    opinions = page.locator("#opinions tbody tr")
    expect(opinions).to_have_count(2)
    expect(opinions.locator("th")).to_have_text([str(VERSION + 1), str(VERSION)])
    expect(opinions.locator(".digit")).to_have_text([page.locator("#prediction").inner_text()] * 2)
    page.get_by_role("link", name=str(VERSION)).last.click()
    expect(page.get_by_role("heading", name="Model card")).to_contain_text(str(VERSION))
    stack.server.serve(VERSION)
    expect(page.locator("#version")).to_have_text(str(VERSION), timeout=BY_ITSELF_MS)
    expect(opinions).to_have_count(0)


@pytest.mark.parametrize("happens", ["it is killed", "it has another version"])
def test_what_happens_to_the_server_before_the_page_first_looks_is_told_too(
    happens: str, open_page: Callable[..., Page], stack: Stack
) -> None:
    def meanwhile(route: Route) -> None:
        stack.server.stop(signal.SIGKILL) if happens == "it is killed" else stack.server.serve(VERSION + 1)
        time.sleep(REMEMBERED_S)
        route.continue_()

    page = open_page("/healthz")
    page.route(MODELS, meanwhile, times=1)
    page.goto(stack.url)
    if happens == "it is killed":
        expect(page.get_by_role("alert")).to_contain_text("No model server answers", timeout=BY_ITSELF_MS)
    else:
        expect(page.locator("#version")).to_have_text(str(VERSION + 1), timeout=BY_ITSELF_MS)
    stack.server.serve(VERSION)


def looks_within(page: Page, seconds: int) -> int:
    """How often the page looks for versions while its clock is moved on by so many seconds."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/models" in request.url else None)
    for _ in range(seconds):
        page.clock.fast_forward(1000)
        page.wait_for_timeout(15)
    return len(asked)


def test_the_page_looks_every_five_seconds_less_often_while_errors_last_and_not_at_all_while_hidden(
    open_page: Callable[..., Page], stack: Stack
) -> None:
    page = open_page("/healthz")
    page.clock.install()
    page.goto(stack.url)
    expect(page.locator("#drop")).to_be_visible()
    assert 8 <= looks_within(page, 60) <= 13
    page.route(MODELS, lambda route: route.fulfill(status=502, body="{}"))
    assert 3 <= looks_within(page, 120) <= 8
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden'})")
    assert looks_within(page, 60) == 0


def look_again(page: Page) -> None:
    """What happens when somebody comes back to the page's tab: it looks at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_an_own_picture_stays_on_show_when_versions_change_and_when_a_card_is_opened(page: Page, stack: Stack) -> None:
    choose(page, picture())
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    stack.server.serve(VERSION, VERSION + 1)
    look_again(page)
    expect(page.locator("#version")).to_have_text(str(VERSION + 1), timeout=BY_ITSELF_MS)
    page.locator(f"#card-{VERSION}").click()
    expect(page.locator(f"#card-{VERSION}")).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    stack.server.serve(VERSION)
    look_again(page)
    expect(page.locator("#version")).to_have_text(str(VERSION), timeout=BY_ITSELF_MS)
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()


def test_a_model_server_that_is_killed_is_told_and_found_again_when_it_is_back(page: Page, stack: Stack) -> None:
    image = page.locator("#result img").get_attribute("data-image")
    stack.server.stop(signal.SIGKILL)
    expect(page.get_by_role("alert")).to_contain_text("No model server answers", timeout=BY_ITSELF_MS)
    expect(page.get_by_role("link", name="Try again")).to_be_visible()
    stack.server.serve(VERSION)
    expect(page.locator("#connection")).to_contain_text("Connected", timeout=2 * BY_ITSELF_MS)
    expect(page.locator("#result img")).to_have_attribute("data-image", image)
