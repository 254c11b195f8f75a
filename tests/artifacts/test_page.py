from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import accumulate
from xml.etree.ElementTree import Element

import html5lib
import pytest

from stenoflow.tasks.artifacts.formats import FORMATS
from stenoflow.tasks.artifacts.page import render
from stenoflow.tasks.transcript.quality import SuspectAnswer, SuspectReason
from stenoflow.tasks.transcript.types import Region
from tests.artifacts.talk import document, missing, talk, utterance

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img/src=x/onerror=alert(3)>",
    "</p></main><!--",
    "]]>",
    '"onmouseover="alert(4)',
    "'",
    "&lt;b&gt;",
    "{{7*7}}",
    "{%raw%}",
]


def _parsed(page: str) -> Element:
    """Parse as a browser does, and accept no error in it."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    parsed = parser.parse(page)
    assert isinstance(parsed, Element)
    return parsed


def _words(page: Element) -> list[str]:
    return ["".join(word.itertext()) for word in page.iterfind(".//main/div/p/span")]


def _inlined(page: str, name: str) -> str:
    (found,) = re.findall(rf"<{name}(?: type=\"module\")?>(.*?)</{name}>", page, re.DOTALL)
    return str(found)


def test_the_words_stand_in_order_with_their_times() -> None:
    made = talk(500)
    page = _parsed(render(made))
    spoken = [word for each in made.transcript.utterances for word in each.words]
    assert _words(page) == [word.text for word in spoken]
    told = json.loads(page.findtext(".//script[@id='times']") or "")
    numbers = told["words"]
    assert [spoken[at] for at in told["passages"]] == [each.words[0] for each in made.transcript.utterances]
    assert list(accumulate(numbers[::2])) == [word.start_ms for word in spoken]
    assert numbers[1::2] == [word.end_ms - word.start_ms for word in spoken]
    text = " ".join("".join(each.itertext()) for each in page.iterfind(".//main/div/p"))
    assert text == made.transcript.text


def test_words_of_scripts_without_spaces_stand_together() -> None:
    page = _parsed(render(document(utterance(["晴", "れ", "OK", "ok"], 0))))
    assert "".join(page.find(".//main/div/p").itertext()) == "晴れ OK ok"  # type: ignore[union-attr]


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    name = " ".join(HOSTILE)
    made = document(utterance(HOSTILE, 0, speaker=name), name=name, source=f"file:///{name}")
    page = _parsed(render(made))
    assert _words(page) == HOSTILE
    assert page.findtext(".//h1") == name
    assert page.findtext(".//title") == f"{name} - transcript"
    assert page.findtext(".//main/div//b/bdi") == name
    assert page.find(".//audio").get("src") == f"file:///{name}"  # type: ignore[union-attr]
    assert len(page.findall(".//script")) == 2
    assert not page.findall(".//img")
    assert not [key for each in page.iter() for key in each.attrib if key.startswith("on")]


def test_the_policy_allows_its_own_script_and_style_and_no_other() -> None:
    page = render(talk(20))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    for rule, name in (("script-src", "script"), ("style-src", "style")):
        digest = hashlib.sha256(_inlined(page, name).encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["media-src"] == "'self' blob:"
    assert "unsafe" not in policy
    assert not re.search(r"\sstyle=|url\(|@import|https?://", page)


@pytest.mark.parametrize(
    ("source", "linked"),
    [
        ("file:///home/me/talk.mp3", True),
        ("https://example.org/talk.mp3", True),
        ("s3://talks/talk.mp3", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_what_a_browser_may_play_is_linked(source: str, *, linked: bool) -> None:
    player = _parsed(render(document(utterance(["one"], 0), source=source))).find(".//audio")
    assert player is not None
    assert (player.get("src") == source) is linked
    assert player.get("preload") == "none"


def test_a_video_is_shown() -> None:
    page = _parsed(render(replace(talk(5), name="Talk.MP4")))
    assert page.find(".//video") is not None
    assert page.find(".//audio") is None


def test_the_other_formats_are_beside_it() -> None:
    page = _parsed(render(talk(5)))
    links = [link.get("href") for link in page.iterfind(".//nav//a")]
    assert links == [f"transcript.{name}" for name in FORMATS if name in {"txt", "srt", "vtt", "json"}]


def test_what_is_missing_and_what_is_doubtful_is_marked() -> None:
    said = utterance(["sure", "unsure"], 0)
    unsure = replace(said, words=(said.words[0], replace(said.words[1], confidence=0.3)))
    again = replace(utterance(["on", "on"], 80_000), compression_ratio=3.1)
    page = _parsed(render(document(unsure, missing(10_000, 70_000), again)))
    assert [each.text for each in page.iterfind(".//main//span[@class='u']")] == ["unsure", "on", "on"]
    assert page.findtext(".//main//i") == "repeats itself"
    (gap,) = [each for each in page.iterfind(".//main/div") if "missing" in (each.get("class") or "")]
    assert (gap.findtext("p"), gap.get("data-at")) == ("[missing 00:00:10-00:01:10]", "10000")
    assert "00:01:00 missing" in (page.findtext(".//p[@class='facts']") or "")
    assert page.find(".//p[@class='legend']") is not None


def test_where_no_word_was_heard_though_somebody_speaks_is_noted_in_its_place() -> None:
    empty = SuspectAnswer(Region(20_000, 40_000), SuspectReason.EMPTY)
    loop = SuspectAnswer(Region(50_000, 60_000), SuspectReason.REPETITION)
    made = document(utterance(["one"], 0), utterance(["two"], 50_000), utterance(["three"], 60_000))
    page = _parsed(render(replace(made, suspect_answers=(empty, loop))))
    texts = ["".join(each.itertext()) for each in page.iterfind(".//main/div/p")]
    assert texts == ["one", "[no word heard 00:00:20-00:00:40, though somebody speaks]", "two", "three"]
    assert [each.text for each in page.iterfind(".//main//i")] == ["repeats itself"]
    assert _words(page) == ["one", "two", "three"]


def test_each_paragraph_has_an_address_of_its_own() -> None:
    said = (
        utterance(["a"], 36_000_123, "Anna"),
        utterance(["b"], 36_000_123, "Ben"),
        utterance(["c"], 36_005_500),
    )
    page = _parsed(render(document(*said)))
    links = page.findall(".//main//a")
    assert [link.get("href") for link in links] == ["#t=36000.123", "#p1", "#t=36005.5"]
    assert [link.get("id") for link in links] == ["t=36000.123", None, "t=36005.5"]


def test_the_same_is_rendered_the_same_and_an_empty_one_whole() -> None:
    assert render(talk(100)) == render(talk(100))
    assert "Nothing was said" in "".join(_parsed(render(document(duration_ms=5_000))).itertext())
