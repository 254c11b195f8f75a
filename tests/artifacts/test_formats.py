from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace

import docx
import pysubs2
import pytest
import srt
import webvtt

from stenoflow.tasks.artifacts.document import MEASURED, Document, SpeakerInfo
from stenoflow.tasks.artifacts.formats import FORMATS, STANDARD, check_formats, made_with, optional
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.cue_rules import FREE
from stenoflow.tasks.transcript.quality import SuspectAnswer, SuspectReason
from stenoflow.tasks.transcript.types import Region
from tests.artifacts.talk import document, missing, talk, utterance


def _text(name: str, made: Document) -> str:
    return FORMATS[name].render(made).decode()


def _rows(made: Document) -> list[list[str]]:
    return list(csv.reader(io.StringIO(_text("tsv", made)), delimiter="\t"))


def _paragraphs(made: Document) -> list[str]:
    return [each.text for each in docx.Document(io.BytesIO(FORMATS["docx"].render(made))).paragraphs]


_TURNS = document(
    utterance(["Good", "morning."], 0, "Anna"),
    utterance(["Hello", "Anna,"], 1_000, "Ben"),
    utterance(["how", "are", "you?"], 2_000, "Ben"),
    missing(10_000, 70_000),
    utterance(["Bye."], 70_000, "Ben"),
)


def test_text_has_a_paragraph_at_each_longer_pause() -> None:
    made = document(utterance(["one", "two."], 0), utterance(["three."], 900), utterance(["four"], 9_000))
    assert _text("txt", made) == "one two. three.\n\nfour\n"


def test_text_says_who_speaks_where_that_is_told() -> None:
    assert _text("txt", _TURNS) == (
        "Anna: Good morning.\n\nBen: Hello Anna, how are you?\n\n[missing 00:00:10-00:01:10]\n\nBen: Bye.\n"
    )


def test_an_empty_transcript_is_whole_in_every_format() -> None:
    for name in FORMATS:
        assert FORMATS[name].render(document(duration_ms=60_000))
    empty = document(duration_ms=60_000)
    assert list(srt.parse(_text("srt", empty))) == []
    assert webvtt.from_string(_text("vtt", empty)).captions == []
    assert len(pysubs2.SSAFile.from_string(_text("ass", empty))) == 0
    assert _rows(empty) == [["start", "end", "text"]]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_is_rendered_the_same(name: str) -> None:
    first, again = (FORMATS[name].render(talk(300)) for _ in range(2))
    assert first == again


def test_a_word_document_has_no_time_of_its_making() -> None:
    with zipfile.ZipFile(io.BytesIO(FORMATS["docx"].render(_TURNS))) as archive:
        assert {part.date_time for part in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        properties = archive.read("docProps/core.xml").decode()
    assert "created" not in properties
    assert "modified>" not in properties
    assert "<dc:title>talk.mp3</dc:title>" in properties
    assert "<dc:language>en</dc:language>" in properties


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_stretch_is_seen_in_every_format(name: str) -> None:
    mark = "[missing 00:00:10-00:01:10]"
    seen = "\n".join(_paragraphs(_TURNS)) if name == "docx" else _text(name, _TURNS)
    assert mark in seen
    if name in {"srt", "vtt", "ass", "karaoke.vtt"}:
        cues = pysubs2.SSAFile.from_string(seen, name.rsplit(".", 1)[-1])
        assert [(cue.start, cue.end) for cue in cues if cue.plaintext == mark] == [(10_000, 70_000)]
    if name == "tsv":
        assert ["10000", "70000", mark, ""] in _rows(_TURNS)


def test_subrip_names_speakers_where_they_change() -> None:
    cues = [(cue.content, cue.start.total_seconds()) for cue in srt.parse(_text("srt", _TURNS))]
    assert cues == [
        ("Anna: Good morning.", 0),
        ("Ben: Hello Anna, how are you?", 1),
        ("[missing 00:00:10-00:01:10]", 10),
        ("Ben: Bye.", 70),
    ]
    alone = document(utterance(["Good", "morning."], 0, "Anna"))
    assert [cue.content for cue in srt.parse(_text("srt", alone))] == ["Good morning."]


def test_webvtt_has_ids_and_voices() -> None:
    captions = webvtt.from_string(_text("vtt", _TURNS)).captions
    assert [(each.identifier, each.voice, each.text) for each in captions] == [
        ("1", "Anna", "Good morning."),
        ("2", "Ben", "Hello Anna, how are you?"),
        ("3", None, "[missing 00:00:10-00:01:10]"),
        ("4", "Ben", "Bye."),
    ]


def test_karaoke_times_each_word_but_the_first_within_its_cue() -> None:
    made = document(utterance(["Good", "morning,", "all", "<b>", "晴", "れ"], 3_600_000, "Anna"))
    assert _text("karaoke.vtt", made) == (
        "WEBVTT\n\n1\n01:00:00.000 --> 01:00:02.300\n"
        "<v Anna>Good <01:00:00.400>morning, <01:00:00.800>all <01:00:01.200>&lt;b&gt;"
        " <01:00:01.600>晴<01:00:02.000>れ\n"
    )
    lines = _text("karaoke.vtt", talk(400)).splitlines()
    plain = [webvtt.from_string(_text(name, talk(400))).captions for name in ("vtt", "karaoke.vtt")]
    assert len([line for line in lines if "-->" in line]) == len(plain[0])
    assert [each.text for each in plain[0]] == [each.text for each in plain[1]]


def test_words_that_begin_together_have_no_time_twice() -> None:
    said = utterance(["one", "two", "three"], 0)
    same = replace(said, words=tuple(replace(word, start_ms=100, end_ms=900) for word in said.words))
    assert "<" not in _text("karaoke.vtt", replace(document(same), rules=FREE))


def test_tsv_is_whispers_with_the_speaker_behind_it() -> None:
    assert _text("tsv", document(utterance(["Hello", "you."], 1_234))) == (
        "start\tend\ttext\n1234\t1934\tHello you.\n"
    )
    assert _rows(_TURNS)[:2] == [["start", "end", "text", "speaker"], ["0", "700", "Good morning.", "Anna"]]
    quoted = document(utterance(['"Yes,"', "she", "said."], 0), utterance(["a", '"b"'], 5_000))
    assert [row[2] for row in _rows(quoted)[1:]] == ['"Yes," she said.', 'a "b"']


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_no_cell_of_a_table_begins_a_formula(sign: str) -> None:
    said, name = f"{sign}cmd|' /C calc'!A0", f"{sign}1+1"
    (row,) = _rows(document(utterance([said, "two"], 0, name)))[1:]
    assert row[2:] == [f"'{said} two", f"'{name}"]
    (row,) = _rows(document(utterance([f"'{said}"], 0)))[1:]
    assert row[2] == f"''{said}"
    (row,) = _rows(document(utterance(["'Tis", f"a{sign}b"], 0)))[1:]
    assert row[2] == f"'Tis a{sign}b"


def test_ass_has_speakers_in_their_field_and_opens_with_a_size() -> None:
    file = pysubs2.SSAFile.from_string(_text("ass", _TURNS))
    assert [(event.name, event.plaintext, event.start) for event in file] == [
        ("Anna", "Good morning.", 0),
        ("Ben", "Hello Anna, how are you?", 1_000),
        ("", "[missing 00:00:10-00:01:10]", 10_000),
        ("Ben", "Bye.", 70_000),
    ]
    assert file.info["PlayResX"] == "1280"
    comma = document(utterance(["one"], 0, "Smith, Anna"))
    (event,) = pysubs2.SSAFile.from_string(_text("ass", comma))
    assert (event.name, event.text) == ("Smith  Anna", "one")


def test_ass_goes_on_after_ten_hours() -> None:
    (event,) = pysubs2.SSAFile.from_string(
        _text("ass", document(utterance(["one"], 40_000_000), duration_ms=50_000_000))
    )
    assert (event.start, event.end) == (40_000_000, 40_000_830)


def test_a_word_document_reads_as_the_transcript_does() -> None:
    made = replace(_TURNS, suspect_answers=(SuspectAnswer(Region(0, 900), SuspectReason.REPETITION),))
    parsed = docx.Document(io.BytesIO(FORMATS["docx"].render(made)))
    texts = [each.text for each in parsed.paragraphs]
    assert texts[0] == "talk.mp3"
    assert texts[1].startswith("00:01:10 · 8 words · language: en · 00:01:00 missing · highlighted: ")
    assert texts[2:4] == [
        "00:00:00  Anna\nGood morning.",
        "00:00:01  Ben\nHello Anna, how are you?",
    ]
    assert parsed.paragraphs[0].style is not None
    assert parsed.paragraphs[0].style.name == "Title"
    marked = [run.text for each in parsed.paragraphs for run in each.runs if run.font.highlight_color]
    assert marked == ["Good morning."]


def test_json_is_whispers_with_more() -> None:
    made = document(utterance(["Hello", "you."], 1_234), missing(30_000, 40_000), duration_ms=60_000)
    parsed = json.loads(_text("json", made))
    assert parsed["schema"] == "stenoflow.transcript/1"
    assert (parsed["task"], parsed["language"], parsed["duration"]) == ("transcribe", "en", 60.0)
    assert parsed["words"] == [
        {"word": "Hello", "start": 1.234, "end": 1.534},
        {"word": "you.", "start": 1.634, "end": 1.934},
    ]
    segment, gap = parsed["segments"]
    assert (segment["id"], segment["start"], segment["end"]) == (0, 1.234, 1.934)
    assert segment["text"] == "Hello you."
    assert [each["missing"] for each in (segment, gap)] == [False, True]
    assert [each["kind"] for each in parsed["coverage"]] == ["speech", "missing", "speech"]


def test_json_says_which_segments_are_suspect_and_why() -> None:
    again = replace(utterance(["on", "on"], 5_000), compression_ratio=3.1)
    empty = SuspectAnswer(Region(20_000, 40_000), SuspectReason.EMPTY)
    made = replace(document(utterance(["sure"], 0), again), suspect_answers=(empty,))
    parsed = json.loads(_text("json", made))
    assert [each["suspect"] for each in parsed["segments"]] == [[], ["compression"]]
    assert parsed["doubtful"] == [{"start": 20.0, "end": 40.0, "why": "empty"}]
    assert "no word from 00:00:20 to 00:00:40, though somebody speaks" in _paragraphs(made)[1]


def test_formats_are_named_by_their_endings() -> None:
    assert check_formats(["SRT", " txt", "srt", ""]) == ("srt", "txt")
    assert check_formats(["karaoke", "docx", "karaoke.vtt"]) == ("karaoke.vtt", "docx")
    for names in (["pdf"], [""], ["txt", "wav"]):
        with pytest.raises(SettingsError, match="no such format"):
            check_formats(names)


def test_what_is_optional_is_made_where_it_was_asked_for() -> None:
    assert STANDARD == ("txt", "srt", "vtt", "json", "html")
    assert optional(["txt", "docx", "tsv"]) == ("docx", "tsv")
    assert made_with(None) == list(STANDARD)
    assert made_with(["docx"]) == [*STANDARD, "docx"]


def test_no_cue_stands_longer_than_the_recording_lasts() -> None:
    fast = utterance([f"extraordinarily{number}" for number in range(12)], 0)
    made = document(fast, duration_ms=fast.end_ms)
    for cues in (made.cues, made.unnamed_cues):
        assert cues[-1].end_ms <= fast.end_ms
        assert all(cue.start_ms < cue.end_ms for cue in cues)


def test_what_was_measured_of_an_experimental_model_stands_where_its_speakers_are_read() -> None:
    made = replace(talk(10), speaking=SpeakerInfo("voices", ("A", "B"), model="x", experimental=True))
    for text in (_text("json", made), _text("html", made), "".join(_paragraphs(made))):
        assert MEASURED in text
    assert MEASURED not in _text("html", talk(10))
