"""The minutes in the page: text that is only text, and links to moments that a browser follows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import html5lib
from playwright.sync_api import Page, expect

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.page import render
from stenoflow.tasks.transcript.minutes import Minutes, Point
from tests.artifacts.talk import WORD_MS, talk
from tests.artifacts.test_page import HOSTILE

_MOMENT_MS = 150 * WORD_MS


def with_minutes(*points: Point, remarks: tuple[str, ...] = ()) -> Document:
    minutes = Minutes(decisions=points)
    shown = MinutesDocument(minutes, "talk.mp3", "77aa", "3f9a", "x", "m at p", "en", remarks)
    return replace(talk(300), minutes=shown)


def test_minutes_are_text_and_nothing_else() -> None:
    text = " ".join(HOSTILE)
    point = Point(text, 1, 0, owner=text, due=text)
    page = html5lib.parse(render(with_minutes(point, remarks=(text,))), namespaceHTMLElements=False)
    section = page.find(".//section[@id='minutes']")
    assert section is not None
    assert {each.tag for each in section.iter()} == {"section", "h2", "ul", "li", "b", "a", "time", "p"}
    assert len(page.findall(".//script")) == len(
        html5lib.parse(render(talk(300)), namespaceHTMLElements=False).findall(".//script")
    )


def test_a_page_without_minutes_has_no_place_for_them() -> None:
    assert 'id="minutes"' not in render(talk(30))


def test_a_click_goes_to_the_moment_and_so_does_an_address(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "transcript.html"
    path.write_text(render(with_minutes(Point("Ship it.", 7, _MOMENT_MS), Point("Nowhere."))), "utf-8")
    page.goto(path.as_uri())
    word = page.locator("main p > span").nth(150)
    expect(page.locator("#minutes li a")).to_have_count(1)
    page.locator("#minutes li a").click()
    expect(word).to_have_class(re.compile("now"))
    expect(word).to_be_in_viewport()
    assert page.url.endswith(f"#t={_MOMENT_MS // 1000}")
    page.goto("about:blank")
    page.goto(f"{path.as_uri()}#t={(_MOMENT_MS + 10 * WORD_MS) / 1000}")
    expect(page.locator("main p > span").nth(160)).to_have_class(re.compile("now"))
    expect(page.locator("#markdown")).to_have_count(1)
    copy = path.rename(tmp_path / "talk.html")
    page.goto(copy.as_uri())
    expect(page.locator("#markdown")).to_have_count(0)
