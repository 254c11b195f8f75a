"""Whatever is said or named, every format's own readers find that text again, and nothing else."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import docx
import html5lib
import pysubs2
import pytest
import srt
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.formats import FORMATS
from stenoflow.tasks.artifacts.sanitize import one_line
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.artifacts.talk import document, utterance

_BITS = [
    *("-->", "00:00:01,000 --> 00:00:02,000", "<", ">", "&", "<b>", "</v>", "<v Eve>", "<script>x</script>"),
    *("&amp;", "&lt", "{", "}", "{\\an8}", "{y:i}", "\\N", "\\n", "\\h", "\\", "C:\\Now", "\t", "\n\n", "\r"),
    *("\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f", "\ufeff", "\uffff"),
    *(
        "\ud800",
        '"',
        '""',
        "'",
        ",",
        ";",
        "NOTE",
        "STYLE",
        "WEBVTT",
        "1",
        "42",
        "=1+1",
        "Dialogue: 0,",
        "]]>",
    ),
    *("word", "Größe", "晴れ", "שלום", "e\u0301", "👩\u200d🚀"),
]
_texts = st.lists(st.sampled_from(_BITS), min_size=1, max_size=4).map("".join)
_said = st.lists(_texts, min_size=1, max_size=8)


def _read_srt(written: bytes) -> list[str]:
    return [cue.content for cue in srt.parse(written.decode())]


def _read_srt_with_pysubs2(written: bytes) -> list[str]:
    return [event.plaintext for event in pysubs2.SSAFile.from_string(written.decode(), "srt")]


def _read_vtt(written: bytes) -> list[str]:
    # That library strips tags, and leaves what they are written with otherwise.
    return [html.unescape(each.text) for each in webvtt.from_string(written.decode()).captions]


def _read_ass(written: bytes) -> list[str]:
    return [event.plaintext for event in pysubs2.SSAFile.from_string(written.decode(), "ass")]


def _read_tsv(written: bytes) -> list[str]:
    rows = list(csv.reader(io.StringIO(written.decode(), newline=""), delimiter="\t"))
    assert {len(row) for row in rows} <= {3, 4}
    return [re.sub("^'('*[=+\\-@\uff1d\uff0b\uff0d\uff20])", r"\1", row[2]) for row in rows[1:]]


def _read_docx(written: bytes) -> list[str]:
    paragraphs = docx.Document(io.BytesIO(written)).paragraphs[2:]
    return [each.text.split("\n", 1)[1] for each in paragraphs]


def _read_html(written: bytes) -> list[str]:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    page = parser.parse(written.decode())
    return ["".join(each.itertext()) for each in page.iterfind(".//main/div/p")]


def _read_txt(written: bytes) -> list[str]:
    return written.decode().rstrip("\n").split("\n\n")


_READERS: dict[str, list[Callable[[bytes], list[str]]]] = {
    "txt": [_read_txt],
    "srt": [_read_srt, _read_srt_with_pysubs2],
    "vtt": [_read_vtt],
    "karaoke.vtt": [_read_vtt],
    "ass": [_read_ass],
    "tsv": [_read_tsv],
    "docx": [_read_docx],
    "html": [_read_html],
}
_CASES = [(name, reader) for name, readers in _READERS.items() for reader in readers]
_BY_SPEED = [
    # A Word document takes as long to make as ten of the others.
    pytest.param(name, read, marks=[pytest.mark.slow] if name == "docx" else [])
    for name, read in _CASES
]


def _folded(text: str) -> str:
    """Reduce to what is read: no blanks, full-width forms as what they stand for."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def _expected(text: str) -> str:
    """Return the signs of a text that are text, worked out from Unicode's own properties."""
    kept = (
        sign
        for sign in text
        if unicodedata.category(sign) not in {"Cc", "Cs", "Cn", "Zl", "Zp"}
        and unicodedata.bidirectional(sign)
        not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        and sign != "\ufeff"
    )
    return "".join(kept).strip() or "\N{REPLACEMENT CHARACTER}"


def _document(words: list[str], speaker: str | None = None) -> Document:
    return document(utterance(words, 0, speaker), name="talk.mp3")


@pytest.mark.parametrize(("name", "read"), _BY_SPEED, ids=lambda value: getattr(value, "__name__", value))
@given(words=_said)
@example(words=["{\\an8}top", "<i>slanted", "a", "-->", "b", "C:\\Now", "5", "<", "6", "--><b>"])
def test_text_is_read_back_as_it_was_said(
    name: str, read: Callable[[bytes], list[str]], words: list[str]
) -> None:
    found = read(FORMATS[name].render(_document(words)))
    assert _folded("".join(found)) == _folded("".join(map(_expected, words)))
    # No blank line, and no more than one paragraph or so for each cue: nothing that was said made one.
    assert all(each.strip() and "\n\n" not in each for each in found)


@given(words=_said)
def test_json_has_every_text_as_it_came(words: list[str]) -> None:
    parsed = json.loads(FORMATS["json"].render(_document(words)))
    came = [word.encode(errors="replace").decode() for word in words]
    assert [each["word"] for each in parsed["words"]] == came


@given(name=_texts)
def test_a_speakers_name_stays_a_name(name: str) -> None:
    made = document(utterance(["one"], 0, name), utterance(["two"], 9_000, "Ben"))
    shown = _expected(one_line(name))
    assert [_folded(each) for each in made.speakers if each != "Ben"] in ([_folded(shown)], [])
    for ending, read in _CASES:
        found = read(FORMATS[ending].render(made))
        assert [each[-3:] for each in found] == ["one", "two"]
    captions = webvtt.from_string(FORMATS["vtt"].render(made).decode()).captions
    assert len(captions) == 2
    file = pysubs2.SSAFile.from_string(FORMATS["ass"].render(made).decode())
    assert [event.text for event in file] == ["one", "two"]


def test_players_that_read_with_ffmpeg_show_the_text(tmp_path: Path) -> None:
    words = [bit for bit in _BITS if _expected(bit) != "\N{REPLACEMENT CHARACTER}"]
    file = tmp_path / "talk.srt"
    file.write_bytes(FORMATS["srt"].render(_document(words)))
    args = [find_ffmpeg().path, "-v", "error", "-i", f"file:{file}", "-f", "srt", "pipe:1"]
    shown = subprocess.run(args, capture_output=True, check=True).stdout
    assert _folded("".join(_read_srt(shown))) == _folded("".join(map(_expected, words)))


def test_what_cannot_be_mistaken_is_left_alone() -> None:
    text = "5 < 6 & R&D -> x>y 10:30.5 1:02:03"
    assert text in FORMATS["srt"].render(_document(text.split())).decode()
