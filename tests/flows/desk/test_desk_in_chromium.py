"""The desk in a real browser: by keyboard, at two widths, with no request to any other host."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.artifacts.chromium import open_page
from tests.flows.conftest import Meeting
from tests.flows.desk.conftest import Desk

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


def test_every_page_is_accessible_and_fits(desk: Desk, browser: Browser, transcribed: dict[str, Any]) -> None:
    job = f"/desk/jobs/{transcribed['job']}/"
    looks: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (390, "dark")]
    for width, scheme in looks:
        with open_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
            wrong = log_in(page, desk)
            for path in ("/", "/desk/search?q=one", "/desk/costs", "/desk/health", job, f"{job}details"):
                page.goto(f"{desk.url}{path}")
                found = Axe().run(page)
                assert found.violations_count == 0, f"{path}: {found.generate_report()}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert wrong == []
