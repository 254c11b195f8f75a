"""The desk in a real browser: by keyboard, at two widths, with no request to any other host."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.artifacts.chromium import open_page
from tests.flows.conftest import Meeting
from tests.flows.desk.conftest import LOGIN, Desk

HOSTILE = "<img src=x onerror=alert(1)> \" ' & {{ 7 * 7 }} Söhne \u202e100%.flac"
_MOST_TABS = 300
pytestmark = pytest.mark.slow


def log_in(page: Page, desk: Desk) -> list[str]:
    """Log in; returns the requests to other hosts and what the policy refused, as they come."""
    wrong: list[str] = []
    page.on(
        "request",
        lambda request: None if request.url.startswith((desk.url, "data:")) else wrong.append(request.url),
    )
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(desk.link)
    page.wait_for_url(lambda url: "/login" not in url)
    return wrong


def test_a_word_is_found_and_heard_by_keyboard_alone(desk: Desk, browser: Browser, meeting: Meeting) -> None:
    with open_page(browser) as page:
        wrong = log_in(page, desk)
        page.get_by_role("link", name="Search").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Words").focus()
        page.keyboard.type(f'"{meeting.words[8].text} {meeting.words[9].text}"')
        page.keyboard.press("Enter")
        page.locator(".found time").first.wait_for()
        page.locator(".found li a").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#text > .opened")).to_have_count(1)
        page.keyboard.press(" ")
        # The policy lets no text be run, so Playwright's own waiting for a function is refused.
        media, at = page.locator("#media"), float(page.url.partition("#t=")[2])
        while not media.evaluate("(media, at) => media.currentTime > at + 0.2", at):
            assert media.evaluate("media => media.error === null && media.hasAttribute('src')")
            page.wait_for_timeout(50)
        assert media.evaluate("media => media.duration") == pytest.approx(240, abs=2)
        assert wrong == []


def test_every_page_is_accessible_and_fits(
    desk: Desk, browser: Browser, transcribed: dict[str, Any], meeting: Meeting
) -> None:
    job = f"/desk/jobs/{transcribed['job']}/"
    inbox = Path(unquote(transcribed["source"]).removeprefix("file://")).parent
    (inbox / HOSTILE).write_bytes(meeting.path.read_bytes() + b"\0")
    desk.send(f"{job}share", days="3")
    (link,) = re.findall(r'href="(http[^"]+/desk/shared/[^"]+)"', desk.text(f"{job}details"))
    (passage, *_) = re.findall(r'class="edit" href="([^"]+)"', desk.text(job))
    edit = f"{job}{html.unescape(passage)}"
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', desk.text(edit)))
    hostile = {**fields, "text": HOSTILE, "speaker": HOSTILE, "glossary": "1"}
    assert desk.http.post(f"{job}edit", data=hostile).status_code == 303
    (passage, *_) = re.findall(r'class="edit" href="([^"]+)"', desk.text(job))
    edit = f"{job}{html.unescape(passage)}"
    begun = desk.http.post(
        "/desk/uploads", json={"name": HOSTILE, "size": 9}, headers={"X-CSRF": LOGIN.csrf}
    ).json()["id"]
    chosen = re.findall(r'<th scope="row"><a href="([^"]+)"', desk.text("/desk/inboxes/meetings"))
    paths = [
        *("/", f"/?tag={quote(HOSTILE)}&name={quote(HOSTILE)}", f"/desk/search?q={quote(HOSTILE)}"),
        *(
            "/desk/search?q=one",
            "/?minutes=1&cost=0.001",
            "/desk/costs?by=recording",
            "/desk/health",
            job,
            f"{job}details",
        ),
        *("/desk/send", f"/desk/send/{begun}", "/desk/inboxes/meetings", *map(html.unescape, chosen)),
        *(edit, f"{job}corrections", f"{job}forget", f"{job}ask?do=translate", f"{job}ask?do=speak"),
        *(link.removeprefix(desk.url), "/desk/nowhere"),
    ]
    looks: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (390, "dark")]
    for width, scheme in looks:
        with open_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
            wrong = log_in(page, desk)
            for path in paths:
                page.goto(f"{desk.url}{path}")
                found = Axe().run(page)
                assert found.violations_count == 0, f"{path}: {found.generate_report()}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                assert page.locator("main img, main script:not([src]):not([type])").count() == 0, path
            assert [each for each in wrong if "404" not in each] == []


def test_each_story_goes_by_keyboard_alone(
    desk: Desk, browser: Browser, transcribed: dict[str, Any], meeting: Meeting
) -> None:
    job = f"/desk/jobs/{transcribed['job']}/"
    with open_page(browser, viewport={"width": 1280, "height": 800}) as page:
        wrong = log_in(page, desk)
        go_by_keyboard(page, "Details and costs", f"{desk.url}{job}")
        page.wait_for_url("**/details")
        # A link for a reader: made, opened by somebody who is not logged in, and revoked.
        press(page, page.get_by_role("button", name="Make a link"))
        link = page.locator("#links ~ .scroll a").first
        link.wait_for()
        address = link.get_attribute("href") or ""
        with open_page(browser, viewport={"width": 390, "height": 800}) as reader:
            reader.goto(address)
            expect(reader.locator("#text")).to_contain_text(meeting.words[0].text)
            expect(reader.get_by_role("link", name="Recordings")).to_have_count(0)
            reader.keyboard.press(" ")
            media = reader.locator("#media")
            while not media.evaluate("media => media.currentTime > 0.2"):
                assert media.evaluate("media => media.error === null")
                reader.wait_for_timeout(50)
            press(page, page.get_by_role("button", name="Revoke the link"))
            expect(page.get_by_text("revoked by")).to_be_visible()
            assert (reader.goto(address) or None).status == 404  # type: ignore[union-attr]
        # A correction, with its undoing.
        go_by_keyboard(page, re.compile("Correct the passage"), f"{desk.url}{job}")
        page.get_by_label("What is said").press("Control+a")
        page.keyboard.type("Said by hand")
        press(page, page.get_by_role("button", name="Save"))
        expect(page.locator("#text")).to_contain_text("Said by hand")
        go_by_keyboard(page, re.compile("1 correction"), page.url)
        press(page, page.get_by_role("button", name=re.compile("Undo the correction")))
        expect(page.get_by_text("undone by")).to_be_visible()
        # Minutes, a filter, and a file that is sent in.
        page.goto(f"{desk.url}{job}details")
        press(page, page.get_by_role("button", name="Make minutes"))
        expect(page.get_by_text("The minutes will be here in a while.")).to_be_visible()
        go_by_keyboard(page, "Recordings", page.url)
        page.get_by_label("Name").focus()
        page.keyboard.type("nobody")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nothing here is like that.")).to_be_visible()
        go_by_keyboard(page, "Send in", page.url)
        page.get_by_label("Choose a recording").set_input_files(meeting.path)
        press(page, page.get_by_role("button", name="Send", exact=True))
        page.wait_for_url("**/desk/send/*")
        press(page, page.get_by_role("button", name="Transcribe it"))
        expect(page.get_by_text("It is started")).to_be_visible()
        assert [each for each in wrong if "404" not in each] == []
    started = [path.split("/")[3] for path, _ in desk.prefect.asked]
    assert started == ["digest", "transcribe"]


def press(page: Page, button: Locator) -> None:
    """Press a button as a keyboard does, once the tabulator has reached it."""
    button.wait_for()
    for _ in range(_MOST_TABS):
        if button.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    else:
        raise AssertionError(f"no tabulator reaches {button}")
    page.keyboard.press("Enter")


def go_by_keyboard(page: Page, name: str | re.Pattern[str], start: str) -> None:
    """Follow a link of a page by the tabulator and Enter."""
    if page.url != start:
        page.goto(start)
    press(page, page.get_by_role("link", name=name).first)
