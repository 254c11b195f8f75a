from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stenoflow.tasks.artifacts.minutes import (
    MinutesDocument,
    escaped,
    render_json,
    render_markdown,
    render_spoken,
)
from stenoflow.tasks.transcript.minutes import Minutes, Point

_MINUTES = Minutes(
    summary=(Point("The site is ready.", 1, 1_250), Point("Nobody knows why")),
    action_items=(Point("Write to Bob", 2, 754_000, "Anna", "Friday"),),
)
_DOCUMENT = MinutesDocument(_MINUTES, "board.mp3", "77aa", "3f9a", "../3f9a/transcript.html", "m at p", "en")
_HOSTILE = (
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "https://evil.example/login",
    "www.evil.example",
    "<https://evil.example>",
    "`code` **bold** _it_ ~~no~~ | a | b |",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "&lt;b&gt; &copy;",
    "[x]: https://evil.example",
    "---",
    "\\[not escaped\\](https://evil.example)",
)


def inline(markdown: str) -> list[Token]:
    tokens = MarkdownIt("commonmark").parse(markdown)
    return [child for token in tokens for child in token.children or []]


def shown(markdown: str) -> str:
    return "".join(token.content for token in inline(markdown))


def test_markdown_links_each_line_to_its_moment() -> None:
    assert render_markdown(_DOCUMENT).splitlines() == [
        "# Minutes: board.mp3",
        "",
        "## Summary",
        "",
        r"- The site is ready. [00:00:01](../3f9a/transcript.html#t=1.25)",
        "- Nobody knows why",
        "",
        "## Action items",
        "",
        "- Write to Bob **Anna, Friday** [00:12:34](../3f9a/transcript.html#t=754)",
        "",
        "*m at p*",
    ]


def test_json_has_times_in_seconds_and_owners_of_action_items_only() -> None:
    document = json.loads(render_json(_DOCUMENT))
    assert document["schema"] == "stenoflow.minutes/1"
    assert document["summary"][0] == {"text": "The site is ready.", "line": 1, "at": 1.25}
    assert document["summary"][1] == {"text": "Nobody knows why", "line": None, "at": None}
    assert document["action_items"][0]["owner"] == "Anna"
    assert document["decisions"] == []


def test_what_is_spoken_has_sentences_and_no_times() -> None:
    assert render_spoken(_DOCUMENT) == (
        "Minutes: board.mp3.\n\nSummary. The site is ready. Nobody knows why.\n\n"
        "Action items. Write to Bob. Anna, Friday.\n"
    )


def test_headings_are_in_the_language_of_the_meeting() -> None:
    german = MinutesDocument(_MINUTES, "a", "j", "t", "p", "m", "de")
    assert "## Zusammenfassung" in render_markdown(german)
    assert "## Summary" in render_markdown(MinutesDocument(_MINUTES, "a", "j", "t", "p", "m", "xx"))


@pytest.mark.parametrize("text", _HOSTILE)
def test_nothing_that_is_said_is_markup(text: str) -> None:
    document = MinutesDocument(
        Minutes(decisions=(Point(text, 1, 0, owner=text, due=text),)), text, "j", "t", "page.html", text, "en"
    )
    written = render_markdown(document)
    tokens = inline(written)
    links = [token.attrGet("href") for token in tokens if token.type == "link_open"]
    assert links == ["page.html#t=0"]
    assert not [token for token in tokens if token.type in {"html_inline", "image", "code_inline"}]
    assert "html_block" not in {token.type for token in MarkdownIt("commonmark").parse(written)}
    # What GitHub would make a link of by itself.
    assert not re.search(r"(?<!\\):(?=//)|www\.", written)


@given(st.text())
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    flat = " ".join(text.split())
    if "\0" not in text:
        assert shown(f"x {escaped(text)}") == f"x {flat}".strip()
        assert shown(escaped(text)) == flat
