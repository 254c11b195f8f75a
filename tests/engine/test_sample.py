"""The sample meeting, as it is shipped."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from stenoflow.tasks.engine.sample import ScriptLine, parse_script, script_lines, script_text, sound
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.levels import frame_levels
from stenoflow.tasks.transcript.regions import find_regions
from tests.engine import make_sample as make


def test_it_is_small_and_lasts_about_two_minutes() -> None:
    assert sound().stat().st_size < 1_000_000
    samples = decode_all(sound(), cap_ms=600_000, ffmpeg=find_ffmpeg())
    assert 100 <= samples.size / 16_000 <= 120


def test_it_can_be_cut_in_silence_everywhere() -> None:
    samples = decode_all(sound(), cap_ms=600_000, ffmpeg=find_ffmpeg())
    regions = find_regions(frame_levels(samples).tolist())
    pauses = [after.start_ms - before.end_ms for before, after in pairwise(regions)]
    assert len(regions) >= len(script_lines()) - 1
    assert max(region.duration_ms for region in regions) < 10_000
    assert sum(pause >= 1_000 for pause in pauses) >= 3


def test_three_people_speak_in_several_topics() -> None:
    lines = script_lines()
    assert {line.speaker for line in lines} == set(make.VOICES)
    assert sum(line.new_topic for line in lines) == 4


def test_the_words_come_without_the_names() -> None:
    assert script_text().startswith("Good morning, and thank you")
    assert ":" not in script_text()


def test_a_blank_line_opens_a_topic() -> None:
    assert parse_script("ANNA: One: two.\n\nALAN: Three.\nALAN: Four.\n") == (
        ScriptLine("ANNA", "One: two."),
        ScriptLine("ALAN", "Three.", new_topic=True),
        ScriptLine("ALAN", "Four."),
    )


def test_encoding_is_reproducible(tmp_path: Path) -> None:
    samples = decode_all(sound(), cap_ms=600_000, ffmpeg=find_ffmpeg())[:32_000] / 32_768
    first, second = tmp_path / "a.opus", tmp_path / "b.opus"
    make.encode(samples, first)
    make.encode(samples, second)
    assert first.read_bytes() == second.read_bytes()


def test_without_flite_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises((FileNotFoundError, subprocess.CalledProcessError), match="flite"):
        make.speak("hello", "slt", tmp_path)
