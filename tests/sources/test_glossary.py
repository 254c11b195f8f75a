"""Glossaries: files that are read, and how much of one a model takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.api.models import load_models, terms_that_fit
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.sources.glossary import parse_glossary, read_glossary

MODELS = load_models()


def test_a_term_a_line_without_comments_each_once(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(
        "\ufeff# people\r\nAnna  Kowalczyk\r\n\r\nSłoń # an elephant\nAnna Kowalczyk\n会議\n".encode()
    )
    assert read_glossary(path) == ("Anna Kowalczyk", "Słoń", "会議")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no terms"),
        (b"# nothing\n\n", "no terms"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"ok\n" + b"x" * 101, "line 2"),
        (b"a\x1b[31mb\n", "line 1"),
        (b"a\n" * 200_000, "more than"),
    ],
)
def test_what_is_no_glossary_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parse_glossary(content, "names.txt")


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "names.txt"
    with pytest.raises(SettingsError, match="cannot read"):
        read_glossary(path)


def test_a_model_takes_what_it_reads() -> None:
    names = [f"Kowalczyk{number}" for number in range(500)]
    whisper = terms_that_fit(names, MODELS.get("whisper-1"))
    assert 30 < len(whisper) < 70
    assert list(whisper) == names[: len(whisper)]
    assert len(terms_that_fit(names, MODELS.get("gpt-transcribe"))) == 100
    assert terms_that_fit(names, MODELS.get("pocketsphinx")) == ()
    assert len(terms_that_fit(names, replace(MODELS.get("whisper-1"), prompt_tokens=None))) == 500


@given(st.lists(st.text(min_size=1, max_size=40), max_size=60))
def test_what_fits_is_a_beginning_and_never_too_long(terms: list[str]) -> None:
    taken = terms_that_fit(terms, MODELS.get("whisper-1"))
    assert list(taken) == terms[: len(taken)]
    assert sum(len(term) for term in taken) <= 224 * 3
