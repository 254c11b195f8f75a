from __future__ import annotations

import re
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.page import render, write
from stenoflow.tasks.media.encode import encode_opus
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.quality import SuspectAnswer, SuspectReason
from stenoflow.tasks.transcript.types import Region
from tests.artifacts.chromium import open_page
from tests.artifacts.talk import WORD_MS, document, missing, talk, utterance
from tests.artifacts.test_page import HOSTILE

pytestmark = pytest.mark.slow

# Notes each word that is highlighted, with the second at which the recording is then: a busy machine may
# skip some, and none of them stays for as long as lies between two looks of Playwright's own.
_NOTE = """() => {
  window.heard = [];
  const words = [...document.querySelectorAll("main p > span")];
  new MutationObserver(() => {
    const word = words.findIndex(each => each.classList.contains("now"));
    if (word >= 0) window.heard.push([word, document.querySelector("#media").currentTime]);
  }).observe(document.querySelector("main"), {subtree: true, attributeFilter: ["class"]});
}"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(b"\x80" * 8000 * 120)
    return path


def _write(folder: Path, made: Document, name: str = "transcript.html") -> str:
    path = folder / name
    path.write_text(render(made), "utf-8")
    return path.as_uri()


def _listen(page: Page, folder: Path, recording: Path, made: Document | None = None) -> None:
    page.goto(_write(folder, made or talk(300)))
    page.evaluate(_NOTE)
    page.set_input_files("#file", recording)
    expect(page.locator("#state")).to_have_text("talk.wav")


def _word(page: Page, number: int) -> Locator:
    return page.locator("main p > span").nth(number)


def _seconds(page: Page) -> float:
    return float(page.evaluate("document.querySelector('#media').currentTime"))


def _hear(page: Page, number: int) -> list[tuple[int, float]]:
    """Wait until a word or one behind it is highlighted while the recording plays.

    Returns:
        Each word that was highlighted, and the second at which the recording was then.
    """
    page.wait_for_function("number => window.heard.some(([word]) => word >= number)", arg=number)
    return [(word, second) for word, second in page.evaluate("window.heard")]


def _assert_in_time(heard: list[tuple[int, float]]) -> None:
    """The word that is highlighted is the one that is heard."""
    for word, second in heard:
        assert word * WORD_MS <= round(second * 1000) < (word + 1) * WORD_MS, heard


def _is_paused(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('#media').paused"))


def test_a_clicked_word_is_heard_and_the_highlight_follows(
    page: Page, tmp_path: Path, recording: Path
) -> None:
    _listen(page, tmp_path, recording)
    _word(page, 70).click()
    assert not _is_paused(page)
    heard = _hear(page, 74)
    assert heard[0][0] == 70
    _assert_in_time(heard)
    expect(page.locator(".now")).to_have_count(1)


def test_a_time_is_heard_and_is_an_address(page: Page, tmp_path: Path, recording: Path) -> None:
    _listen(page, tmp_path, recording)
    page.get_by_role("link", name="00:00:24").click()
    _assert_in_time(_hear(page, 61))
    assert page.url.endswith("#t=24")
    page.reload()
    expect(_word(page, 60)).to_have_class("now")


def _go(page: Page, hash_: str) -> None:
    page.evaluate("hash => { location.hash = hash }", hash_)


@pytest.mark.parametrize(
    ("moment", "word", "heard_s"),
    [("t=48", 120, 48), ("t=47.9", 120, 48), ("t=0:48.1", 120, 48.1), ("t=80.5", 201, 80.5)],
)
def test_an_address_leads_to_its_moment(
    page: Page, tmp_path: Path, recording: Path, moment: str, word: int, heard_s: float
) -> None:
    page.goto(f"{_write(tmp_path, talk(300))}#{moment}")
    expect(_word(page, word)).to_have_class("now")
    expect(_word(page, word)).to_be_in_viewport()
    opened = page.locator("#text > .opened")
    expect(opened).to_have_id(f"p{word // 60}")
    colour = "each => getComputedStyle(each).backgroundColor"
    assert opened.evaluate(colour) != page.locator("#p0").evaluate(colour)
    page.set_input_files("#file", recording)
    page.wait_for_function("() => document.querySelector('#media').readyState > 0")
    assert _seconds(page) == pytest.approx(heard_s, abs=0.01)
    expect(_word(page, word)).to_have_class("now")


def test_an_address_that_changes_leads_on_even_to_who_is_hidden(page: Page, tmp_path: Path) -> None:
    said = (utterance(["one", "two"], 0, "Anna"), missing(2_000, 9_000), utterance(["three"], 9_000, "Ben"))
    page.goto(_write(tmp_path, document(*said)))
    page.get_by_label("Ben").uncheck()
    _go(page, "t=9")
    expect(_word(page, 2)).to_have_class("now")
    expect(page.locator("#p2")).to_be_visible()
    # In a pause: what comes next.
    _go(page, "t=5")
    expect(page.locator("#p2")).to_have_class(re.compile("opened"))
    _go(page, "p0")
    expect(_word(page, 0)).to_have_class("now")
    for nonsense in ("t=", "t=abc", "t=-5", "%zz", "nothing", "t=99999999"):
        _go(page, nonsense)
    expect(page.locator("#text")).to_be_visible()


def test_a_time_is_an_address_without_scripts_too(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, java_script_enabled=False) as page:
        page.goto(f"{_write(tmp_path, talk(3_000))}#t=1152")
        expect(page.get_by_role("link", name="00:19:12")).to_be_in_viewport()


def test_a_recording_in_the_page_is_heard_from_it(page: Page, tmp_path: Path) -> None:
    sound = tmp_path / "sound.webm"
    encode_opus([np.zeros(16_000 * 60, np.int16)] * 2, sound, ffmpeg=find_ffmpeg())
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    path = tmp_path / "transcript.html"
    with path.open("w", encoding="utf-8") as file:
        write(talk(300), file, sound)
    page.goto(f"{path.as_uri()}#t=100")
    page.evaluate(_NOTE)
    expect(_word(page, 250)).to_have_class("now")
    page.wait_for_function("() => document.querySelector('#media').readyState > 0")
    assert page.evaluate("document.querySelector('#media').duration") == pytest.approx(120, abs=0.1)
    _word(page, 255).click()
    _assert_in_time([each for each in _hear(page, 258) if each[0] > 255])
    expect(page.locator("script.sound")).to_have_count(0)
    assert [each for each in requests if not each.startswith(("blob:", "data:"))] == [path.as_uri()]


def test_what_the_browser_cannot_play_is_said(page: Page, tmp_path: Path) -> None:
    page.goto(_write(tmp_path, talk(5)))
    page.set_input_files("#file", {"name": "talk.wma", "mimeType": "audio/x-ms-wma", "buffer": b"no sound"})
    expect(page.locator("#state")).to_contain_text("cannot play that file")


def test_the_recording_is_heard_from_where_it_was(page: Page, tmp_path: Path, recording: Path) -> None:
    page.goto(_write(tmp_path, document(utterance(["one", "two", "three"], 0), source=recording.as_uri())))
    _word(page, 2).click()
    page.wait_for_function(
        "second => document.querySelector('#media').currentTime > second", arg=2 * WORD_MS / 1000
    )
    assert not _is_paused(page)


def test_a_recording_that_is_gone_is_asked_for(page: Page, tmp_path: Path, recording: Path) -> None:
    gone = (tmp_path / "gone.mp3").as_uri()
    page.goto(_write(tmp_path, replace(talk(300), source=gone)))
    page.evaluate(_NOTE)
    expect(page.locator("#state")).to_contain_text("Open the recording")
    expect(page.locator("#media")).to_be_hidden()
    _word(page, 1).click()
    page.set_input_files("#file", recording)
    expect(page.locator("#media")).to_be_visible()
    page.keyboard.press("Space")
    _assert_in_time(_hear(page, 2))


def test_a_far_word_comes_into_view_unless_the_reader_scrolls(
    page: Page, tmp_path: Path, recording: Path
) -> None:
    _listen(page, tmp_path, recording)
    page.evaluate("document.querySelector('#media').currentTime = 100")
    _hear(page, 250)
    expect(_word(page, 250)).to_be_in_viewport()
    page.keyboard.press("Space")
    page.mouse.wheel(0, -5000)
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "false")
    _hear(page, 255)
    expect(_word(page, 255)).not_to_be_in_viewport()


def test_search_counts_and_steps(page: Page, tmp_path: Path) -> None:
    page.goto(
        _write(
            tmp_path,
            document(utterance(["Été", "à", "Paris.", "The", "new", "page,", "a", "new", "Page"], 0)),
        )
    )
    count = page.locator("#count")
    page.keyboard.press("/")
    page.keyboard.type("NEW page")
    expect(count).to_have_text("1 of 2")
    assert page.locator(".current").all_inner_texts() == ["new", "page,"]
    page.keyboard.press("Enter")
    expect(count).to_have_text("2 of 2")
    assert page.locator(".current").all_inner_texts() == ["new", "Page"]
    page.click("#next")
    expect(count).to_have_text("1 of 2")
    page.click("#previous")
    expect(count).to_have_text("2 of 2")
    page.fill("#query", "ete")
    expect(count).to_have_text("1 of 1")
    page.fill("#query", "nobody")
    expect(count).to_have_text("No matches")
    expect(page.locator("#next")).to_be_disabled()
    page.fill("#query", "")
    expect(count).to_be_empty()
    expect(page.locator(".hit")).to_have_count(0)


def test_the_keyboard_plays_seeks_and_steps(page: Page, tmp_path: Path, recording: Path) -> None:
    _listen(page, tmp_path, recording)
    page.locator("body").press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert _seconds(page) == pytest.approx(5, abs=0.1)
    for key, word in (("j", 24), ("j", 36), ("k", 24)):
        page.keyboard.press(key)
        assert _seconds(page) == pytest.approx(word * WORD_MS / 1000, abs=0.1)
    page.keyboard.press("Space")
    assert not _is_paused(page)
    page.keyboard.press("Space")
    assert _is_paused(page)
    page.keyboard.press("/")
    page.keyboard.type("j k")
    assert page.input_value("#query") == "j k"
    assert _is_paused(page)
    page.keyboard.press("Escape")
    expect(page.locator("#query")).not_to_be_focused()


def test_speakers_are_filtered_and_search_looks_only_at_those_shown(page: Page, tmp_path: Path) -> None:
    said = (utterance(["yes", "yes"], 0, "Anna"), missing(2_000, 9_000), utterance(["yes"], 9_000, "Ben"))
    page.goto(_write(tmp_path, document(*said)))
    page.fill("#query", "yes")
    expect(page.locator("#count")).to_have_text("1 of 3")
    page.get_by_label("Anna").uncheck()
    expect(page.locator("#count")).to_have_text("1 of 1")
    expect(page.locator("#p0")).to_be_hidden()
    expect(page.locator("#p1")).to_be_visible()
    page.get_by_label("Anna").check()
    expect(page.locator("#p0")).to_be_visible()


def test_hostile_text_does_nothing_and_nothing_is_asked_for(page: Page, tmp_path: Path) -> None:
    requests: list[str] = []
    alarms: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    page.on("console", lambda message: alarms.append(message.text))
    page.on("pageerror", lambda error: alarms.append(str(error)))
    name = " ".join(HOSTILE)
    made = document(utterance(HOSTILE, 0, name), name=name, source="http://192.0.2.1/talk.mp3")
    address = _write(tmp_path, made, name="what's it #1.html")
    page.goto(address)
    page.fill("#query", "<script>")
    expect(page.locator("#count")).to_have_text("1 of 2")
    page.click("#theme")
    page.wait_for_timeout(200)
    assert (requests, alarms) == ([address], [])
    assert page.locator("main span").all_inner_texts() == HOSTILE


def test_a_copy_links_to_the_copies_beside_it(page: Page, tmp_path: Path) -> None:
    page.goto(_write(tmp_path, talk(5), name="board $& meeting.html"))
    links = [link.get_attribute("href") for link in page.locator("nav a").all()]
    assert links[0] == "./board%20%24%26%20meeting.txt"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, tmp_path: Path, recording: Path, scheme: str) -> None:
    names = [f"Speaker {number}" for number in range(8)]
    said = [utterance([f"word{at}", "new"], 3_000 * at, name) for at, name in enumerate(names)]
    unheard = SuspectAnswer(Region(50_000, 60_000), SuspectReason.EMPTY)
    made = replace(document(*said, missing(30_000, 40_000)), suspect_answers=(unheard,))
    with open_page(browser, color_scheme=scheme) as page:
        _listen(page, tmp_path, recording, made)
        _word(page, 3).click()
        page.fill("#query", "new")
        expect(page.locator("#count")).to_have_text(re.compile("of 8"))
        _go(page, "t=18")
        expect(page.locator(".opened")).to_have_count(1)
        found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_without_scripts_it_is_text_to_read(browser: Browser, tmp_path: Path) -> None:
    made = talk(300)
    with open_page(browser, java_script_enabled=False) as page:
        page.goto(_write(tmp_path, made))
        assert " ".join(page.locator("main p").all_text_contents()) == made.transcript.text
        expect(page.locator("#search")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_stands_out_at_the_side(page: Page, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(_write(tmp_path, document(utterance(["x" * 200, "one"], 0, "A" * 90), name="n" * 150)))
    assert page.evaluate("document.documentElement.scrollWidth") == width
