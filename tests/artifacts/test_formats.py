from __future__ import annotations

import json

import pysubs2
import pytest

from tasks.artifacts.document import Document
from tasks.artifacts.formats import FORMATS, check_formats
from tasks.errors import SettingsError
from tasks.speech.coverage import cover
from tasks.speech.transcript import Timing, Transcript
from tasks.speech.words import Region, Utterance, Word

_HOSTILE = ["<script>alert(1)</script>", "{\\b1}", "C:\\Now", "a", "-->", "b", "&", "&amp;", "{curly}", "\\N"]


def _utterance(words: list[str], start_ms: int) -> Utterance:
    timed = tuple(Word(word, start_ms + 400 * i, start_ms + 400 * i + 300) for i, word in enumerate(words))
    return Utterance(" ".join(words), start_ms, timed[-1].end_ms, timed)


def _document(*utterances: Utterance) -> Document:
    coverage = cover(60_000, [Region(0, 9_000)], [Region(30_000, 40_000)])
    return Document(Transcript(60_000, "en", utterances, coverage, Timing.WORD), "talk.mp3")


def test_text_has_a_paragraph_at_each_longer_pause() -> None:
    render = FORMATS["txt"].render
    document = _document(
        _utterance(["one", "two."], 0), _utterance(["three."], 1_000), _utterance(["four"], 9_000)
    )
    assert render(document) == "one two. three.\n\nfour\n"


def test_an_empty_transcript_is_whole_in_every_format() -> None:
    for name, format_ in FORMATS.items():
        rendered = format_.render(_document())
        assert rendered.endswith("\n")
        if name in {"srt", "vtt"}:
            assert (
                len(pysubs2.SSAFile.from_string(rendered, name)) == 0 if rendered.strip() else name == "srt"
            )


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_no_text_is_taken_for_markup_and_none_is_lost(name: str) -> None:
    rendered = FORMATS[name].render(_document(_utterance(_HOSTILE, 0)))
    times = [line for line in rendered.splitlines() if "-->" in line]
    assert all(line[0].isdigit() for line in times)
    for mark in ("{curly}", "{", "Now"):
        assert mark in rendered
    if name == "vtt":
        assert "<" not in rendered.replace("-->", "")
        assert "&amp;amp;" in rendered
    else:
        assert "<script>" in rendered


def test_json_is_whispers_with_more() -> None:
    document = json.loads(FORMATS["json"].render(_document(_utterance(["Hello", "you."], 1_234))))
    assert document["schema"] == "stenoflow.transcript/1"
    assert (document["task"], document["language"], document["duration"]) == ("transcribe", "en", 60.0)
    assert document["words"] == [
        {"word": "Hello", "start": 1.234, "end": 1.534},
        {"word": "you.", "start": 1.634, "end": 1.934},
    ]
    (segment,) = document["segments"]
    assert (segment["id"], segment["start"], segment["end"]) == (0, 1.234, 1.934)
    assert segment["text"] == "Hello you."
    assert [each["kind"] for each in document["coverage"]] == ["speech", "silence", "missing", "silence"]


def test_formats_are_named_by_their_endings() -> None:
    assert check_formats(["SRT", " txt", "srt", ""]) == ("srt", "txt")
    for names in (["pdf"], [""], ["txt", "wav"]):
        with pytest.raises(SettingsError, match="no such format"):
            check_formats(names)
