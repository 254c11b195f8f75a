"""What the official client gets from the engine, format by format."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import openai
import pysubs2
import pytest

from stenoflow.tasks.engine.engine import find_synthesizers
from stenoflow.tasks.engine.weights import installed_names
from tests.engine.conftest import word_error_rate

MODEL = "pocketsphinx"
CLOSE_ENOUGH = 0.1


def test_json_holds_the_text_and_the_seconds_to_charge(
    client: openai.OpenAI, short_speech: Path, short_script: str
) -> None:
    heard = client.audio.transcriptions.create(model=MODEL, file=short_speech)
    assert word_error_rate(short_script, heard.text) < CLOSE_ENOUGH
    assert heard.usage is not None
    assert heard.usage.to_dict() == {"type": "duration", "seconds": 11}


def test_verbose_json_holds_segments_and_words_in_time(
    client: openai.OpenAI, short_speech: Path, short_script: str
) -> None:
    heard = client.audio.transcriptions.create(
        model=MODEL,
        file=short_speech,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert heard.language == "english"
    assert float(heard.duration) == 10.5
    assert heard.words
    assert heard.segments
    assert word_error_rate(short_script, " ".join(word.word for word in heard.words)) < CLOSE_ENOUGH
    assert "".join(segment.text for segment in heard.segments).strip() == heard.text
    assert len(heard.segments) == 3, "one a sentence: the pauses between them set them apart"
    assert all(0 <= word.start < word.end <= 10.5 for word in heard.words)
    assert all(word.end <= following.start + 0.001 for word, following in pairwise(heard.words))


def test_only_words_asked_for_drops_the_segments(client: openai.OpenAI, short_speech: Path) -> None:
    heard = client.audio.transcriptions.create(
        model=MODEL, file=short_speech, response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert heard.segments is None
    starts = {word.word: word.start for word in heard.words or ()}
    # The sample's first line begins 0.6 s in; its second ("There are three...") at 3.3 s.
    assert starts["good"] == pytest.approx(0.65, abs=0.15)
    assert starts["three"] == pytest.approx(3.75, abs=0.35)


def test_segments_alone_are_the_default(client: openai.OpenAI, short_speech: Path) -> None:
    heard = client.audio.transcriptions.create(model=MODEL, file=short_speech, response_format="verbose_json")
    assert heard.segments
    assert heard.words is None


def test_text_is_bare(client: openai.OpenAI, short_speech: Path, short_script: str) -> None:
    heard = client.audio.transcriptions.create(model=MODEL, file=short_speech, response_format="text")
    assert heard.endswith("\n")
    assert word_error_rate(short_script, heard) < CLOSE_ENOUGH


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_parse_back(
    client: openai.OpenAI, short_speech: Path, short_script: str, form: str
) -> None:
    given = client.audio.transcriptions.create(
        model=MODEL,
        file=short_speech,
        response_format=form,  # type: ignore[call-overload] # a str stands for either literal
    )
    cues = pysubs2.SSAFile.from_string(given, format_=form)
    assert len(cues) == 3
    assert word_error_rate(short_script, " ".join(cue.plaintext for cue in cues)) < CLOSE_ENOUGH
    assert all(cue.start < cue.end <= following.start for cue, following in pairwise(cues))


def test_a_stream_tells_the_text_bit_by_bit(
    client: openai.OpenAI, short_speech: Path, short_script: str
) -> None:
    events = list(client.audio.transcriptions.create(model=MODEL, file=short_speech, stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    (done,) = [event for event in events if event.type == "transcript.text.done"]
    assert len(deltas) == 3
    assert "".join(deltas) == done.text
    assert events[-1] is done
    assert word_error_rate(short_script, done.text) < CLOSE_ENOUGH


def test_silence_says_nothing(client: openai.OpenAI, silence: Path) -> None:
    heard = client.audio.transcriptions.create(
        model=MODEL,
        file=silence,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert heard.text == ""
    assert heard.words == []
    assert heard.segments == []
    assert float(heard.duration) == 5.0


def test_english_may_be_named_in_any_form(client: openai.OpenAI, silence: Path) -> None:
    for language in ("en", "english", "en-GB"):
        client.audio.transcriptions.create(model=MODEL, file=silence, language=language)


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == [
        "pocketsphinx",
        "faster-whisper",
        *installed_names(),
        *find_synthesizers(),
        "extractive-summary",
    ]
    assert [client.models.retrieve(name).id for name in listed] == listed
    assert client.models.retrieve("pocketsphinx").owned_by == "stenoflow"
