"""WebVTT as a browser's own parser reads it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.formats import FORMATS
from tests.artifacts.talk import document, missing, talk, utterance
from tests.artifacts.test_page import HOSTILE

pytestmark = pytest.mark.slow

_SITE = "http://subtitles.test/"
_PAGE = '<!doctype html><video><track default src="talk.vtt"></video>'
_CUES = """() => new Promise((done, failed) => {
  const track = document.querySelector("track");
  const read = () => done([...track.track.cues].map(cue => ({
    id: cue.id, start: cue.startTime, end: cue.endTime, text: cue.getCueAsHTML().textContent,
    voices: [...cue.getCueAsHTML().querySelectorAll("[title]")].map(each => each.title),
    stamps: [...cue.getCueAsHTML().childNodes[0]?.childNodes ?? []]
      .filter(each => each.nodeType === Node.PROCESSING_INSTRUCTION_NODE).map(each => each.data),
    tags: [...cue.getCueAsHTML().querySelectorAll("*")].map(each => each.localName),
  })));
  track.onerror = () => failed(new Error("the track cannot be read"));
  track.track.mode = "hidden";
  if (track.readyState === 2) read();
  else track.onload = read;
})"""


def _cues(page: Page, made: Document, name: str = "vtt") -> list[dict[str, Any]]:
    written = FORMATS[name].render(made)

    def answer(route: Route) -> None:
        if route.request.url.endswith(".vtt"):
            route.fulfill(body=written, content_type="text/vtt")
        else:
            route.fulfill(body=_PAGE, content_type="text/html")

    page.route(f"{_SITE}*", answer)
    page.goto(_SITE)
    return list(page.evaluate(_CUES))


@pytest.mark.parametrize("name", ["vtt", "karaoke.vtt"])
def test_every_cue_is_there_with_its_time_its_voice_and_its_text(page: Page, name: str) -> None:
    first = [utterance(["Good", "morning,", "Ben."], 0, "Anna & <Co>"), missing(20_000, 80_000)]
    made = document(*first, *talk(600).transcript.utterances[8:])
    found = _cues(page, made, name)
    assert [each["id"] for each in found] == [str(number + 1) for number in range(len(made.unnamed_cues))]
    assert [(round(each["start"] * 1000), round(each["end"] * 1000)) for each in found] == [
        (cue.start_ms, cue.end_ms) for cue in made.unnamed_cues
    ]
    assert [each["text"] for each in found] == ["\n".join(cue.lines) for cue in made.unnamed_cues]
    assert [each["voices"] for each in found] == [
        [cue.speaker] if cue.speaker else [] for cue in made.unnamed_cues
    ]


def test_hostile_text_is_text(page: Page) -> None:
    words = [*HOSTILE, "-->", "00:00:01.000", "-->", "00:00:02.000", "<v", "Eve>", "<00:00:01.000>", "&nbsp;"]
    for name in ("vtt", "karaoke.vtt"):
        found = _cues(page, document(utterance(words, 0, "<script>alert(1)</script>")), name)
        assert " ".join(each["text"].replace("\n", " ") for each in found).split() == words
        assert {tag for each in found for tag in each["tags"]} == {"span"}


def test_the_times_of_words_are_times(page: Page) -> None:
    (cue,) = _cues(page, document(utterance(["one", "two", "three"], 1_000, "Anna")), "karaoke.vtt")
    assert cue["stamps"] == ["00:00:01.400", "00:00:01.800"]
