from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.transcript.types import Utterance, Word

TARGET = Target("openai", "whisper-1", "https://api.openai.com/v1")
WHISPER = {
    "task": "transcribe",
    "language": "english",
    "duration": 8.47,
    "text": "The beach was crowded.",
    "segments": [
        {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": 3.32,
            "text": " The beach was crowded.",
            "tokens": [50364],
            "temperature": 0.0,
            "avg_logprob": -0.286,
            "compression_ratio": 1.236,
            "no_speech_prob": 0.0099,
        }
    ],
    "words": [{"word": "The", "start": 0.0, "end": 0.24}, {"word": "beach", "start": 0.24, "end": 0.66}],
    "usage": {"type": "duration", "seconds": 9},
}


def parse(answer: object, duration_ms: int = 8_470) -> Answer:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return parse_answer(body, TARGET, duration_ms, "application/json")


def test_verbose_json_as_whisper_gives_it() -> None:
    answer = parse(WHISPER)

    assert answer.text == "The beach was crowded."
    assert (answer.language, answer.duration_ms, answer.usage_seconds) == ("english", 8_470, Decimal(9))
    assert answer.words == (Word("The", 0, 240), Word("beach", 240, 660))
    assert answer.utterances == (
        Utterance(
            " The beach was crowded.",
            0,
            3_320,
            avg_logprob=-0.286,
            compression_ratio=1.236,
            no_speech_prob=0.0099,
        ),
    )


def test_plain_json_with_tokens_counted() -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    answer = parse({"text": "Hello.", "usage": usage})

    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("Hello.", 14, 101)
    assert (answer.words, answer.utterances, answer.language, answer.usage_seconds) == ((), (), None, None)


def test_diarized_json_names_the_speakers() -> None:
    segment = {"type": "transcript.text.segment", "id": "seg_1", "start": 0.0, "end": 5.2, "text": "Hello."}
    answer = parse({"text": "Hello.", "duration": 8.4, "segments": [{**segment, "speaker": "A"}]})

    assert answer.utterances == (Utterance("Hello.", 0, 5_200, speaker="A"),)


def test_words_that_stand_in_the_segments_are_found() -> None:
    words = [{"word": " Hello", "start": 0.1, "end": 0.5, "probability": 0.75}]
    answer = parse({"text": "Hello", "segments": [{"start": 0, "end": 1, "text": "Hello", "words": words}]})

    assert answer.words == (Word("Hello", 100, 500, confidence=0.75),)


@pytest.mark.parametrize(
    "odd",
    [
        {"words": None},
        {"segments": None},
        {"duration": "8.47"},
        {"duration": None, "language": None, "usage": None},
        {"usage": {"type": "duration", "seconds": "nine"}},
        {"usage": {"type": "duration", "seconds": 10**30}},
        {"usage": {"type": "duration", "seconds": "1e999999999"}},
        {"segments": [{"start": 0, "end": 1, "text": "x", "compression_ratio": None, "avg_logprob": "?"}]},
        {"segments": [None, "x"], "words": "none"},
    ],
)
def test_what_other_servers_get_wrong_does_no_harm(odd: dict[str, Any]) -> None:
    assert parse(WHISPER | odd).text == WHISPER["text"]


@pytest.mark.parametrize("digits", [400, 4_301, 100_000])
@pytest.mark.parametrize("at", ["usage", "duration", "segments", "anything"])
def test_a_number_of_any_length_loses_no_answer(digits: int, at: str) -> None:
    number = "9" * digits
    said = {
        "usage": f'"usage": {{"type": "duration", "seconds": {number}}}',
        "duration": f'"duration": {number}',
        "segments": f'"segments": [{{"start": 0, "end": {number}, "text": "Hello."}}]',
        "anything": f'"x": [{number}, -{number}]',
    }
    answer = parse(f'{{"text": "Hello.", {said[at]}}}'.encode())
    assert answer.text == "Hello."
    assert parse(answer.raw.encode()) == answer


@pytest.mark.parametrize(
    "words", [[{"word": "a", "start": 0, "end": 0}, {"word": "b", "start": 0, "end": 0}], [{"word": "a"}]]
)
def test_times_that_say_nothing_are_no_times(words: list[dict[str, Any]]) -> None:
    assert parse(WHISPER | {"words": words}).words == ()


def test_a_score_that_is_not_a_number_is_left_out_and_the_raw_answer_stays_json() -> None:
    segment = '{"start": 0, "end": 1, "text": "Hi", "compression_ratio": NaN}'
    answer = parse(f'{{"text": "Hi", "segments": [{segment}]}}'.encode())

    assert answer.utterances[0].compression_ratio is None
    assert "NaN" not in answer.raw


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"<html></html>",
        b"Hello.",
        b"[]",
        b'"Hello."',
        b'{"text": "Hel',
        b'{"text": null}',
        b'{"segments": []}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_transcript_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswerError, match="whisper-1 at openai"):
        parse(body)


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "again " * 1_000_000},
        {"text": "", "segments": [{"start": 0, "end": 60, "text": "again " * 1_000_000}]},
        {"text": "", "words": [{"start": n / 1e6, "end": n / 1e6, "word": "again"} for n in range(200_000)]},
    ],
)
def test_a_million_words_of_a_minute_are_a_bad_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(BadAnswerError, match=r"characters are said to be spoken in 60 s"):
        parse_answer(json.dumps(answer).encode(), TARGET, 60_000)


def test_an_error_with_status_200_is_told() -> None:
    with pytest.raises(BadAnswerError, match="the worker died"):
        parse({"error": {"message": "the worker died"}})


@pytest.mark.parametrize(
    "times",
    [
        [(0, float("nan"))],
        [(float("inf"), float("inf"))],
        [("NaN", 1)],
        [(0, 1e400)],
        [(1e308, 1e308)],
        [(-1e308, 1)],
        [(5, 3)],
        [(0, 1), (60, 61)],
        [(-5, 1)],
        [(1_500, 2_000)],
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["words", "segments"])
def test_times_of_which_most_cannot_be_true_are_left_out_and_the_text_is_kept(
    key: str, times: list[tuple[Any, Any]]
) -> None:
    entries = [{"word": "a", "text": "a", "start": start, "end": end} for start, end in times]
    answer = parse(WHISPER | {key: entries})

    assert (answer.words if key == "words" else answer.utterances) == ()
    assert answer.text == WHISPER["text"]
    assert parse(answer.raw.encode()) == answer


def _words(*times: tuple[float, float]) -> list[dict[str, Any]]:
    return [{"word": f"w{at}", "start": start, "end": end} for at, (start, end) in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ([(0, 1), (1, 2), (6, 7), (2, 3), (3, 4)], ["w0", "w1", "w3", "w4"]),  # One far ahead.
        ([(3, 4), (4, 5), (1, 2), (5, 6)], ["w0", "w1", "w3"]),  # One 3 s early.
        ([(0, 1), (1, 2), (10.5, 10.8)], ["w0", "w1"]),  # The last one 2 s past the end.
        ([(0, 1), (4, 2), (5, 6)], ["w0", "w2"]),  # One that ends before it starts.
    ],
)
def test_a_word_with_an_odd_time_spoils_no_other(times: list[tuple[float, float]], kept: list[str]) -> None:
    answer = parse(WHISPER | {"words": _words(*times)})
    assert [word.text for word in answer.words] == kept
    assert answer.has_odd_times
    assert not parse(WHISPER).has_odd_times


def test_a_word_without_a_time_is_nothing_odd() -> None:
    words = [*_words((0, 1), (1, 2)), {"word": "2014"}]
    answer = parse(WHISPER | {"words": words})
    assert ([word.text for word in answer.words], answer.has_odd_times) == (["w0", "w1"], False)


def test_an_utterance_with_an_odd_time_keeps_its_text_between_its_neighbours() -> None:
    times = [(0, 2), (5, 3), (1e30, 1), (6, 8)]
    segments = [{"start": start, "end": end, "text": f"u{at}"} for at, (start, end) in enumerate(times)]
    answer = parse(WHISPER | {"segments": [*segments, {"start": 8, "end": 8.4, "text": "u4"}]})
    found = [(each.text, each.start_ms, each.end_ms) for each in answer.utterances]
    assert found == [
        ("u0", 0, 2_000),
        ("u1", 2_000, 4_000),
        ("u2", 4_000, 6_000),
        ("u3", 6_000, 8_000),
        ("u4", 8_000, 8_400),
    ]
    assert answer.has_odd_times


def test_turns_that_lie_over_each_other_are_put_in_order() -> None:
    turns = [("A", 0, 5), ("B", 4.5, 8), ("A", 2, 3)]
    segments = [
        {"start": start, "end": end, "text": f"{name} from {start}", "speaker": name}
        for name, start, end in turns
    ]
    answer = parse({"text": "all", "segments": segments})
    assert [each.text for each in answer.utterances] == ["A from 0", "A from 2", "B from 4.5"]
    assert [each.start_ms for each in answer.utterances] == [0, 2_000, 4_500]
    assert answer.has_odd_times


def test_times_a_little_off_are_brought_back() -> None:
    spans = [(-0.3, 0.5), (2.0, 1.9), (1.8, 2.5), (8.6, 9.0)]
    words = [{"word": "a", "start": start, "end": end} for start, end in spans]

    found = [(word.start_ms, word.end_ms) for word in parse(WHISPER | {"words": words}).words]
    assert found == [(0, 500), (2_000, 2_000), (2_000, 2_500), (8_470, 8_470)]


def test_an_utterance_may_end_with_whispers_window_of_30_s() -> None:
    segments = [{"start": 5.0, "end": 30.0, "text": "a"}]

    assert parse(WHISPER | {"segments": segments}).utterances[0].end_ms == 8_470


def test_what_cannot_be_stored_is_dropped_from_the_text() -> None:
    assert parse(b'{"text": "a\\u0000b\\ud800c \\ud83d\\ude00\\n"}').text == "ab\ufffdc \N{GRINNING FACE}\n"


scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
entry = st.fixed_dictionaries(
    {"start": st.floats(0, 10) | scalars, "end": st.floats(0, 10) | scalars},
    optional={
        key: st.just("a") | scalars for key in ("word", "text", "speaker", "probability", "avg_logprob")
    },
)
anything = st.lists(entry | scalars, max_size=4) | entry | scalars
odd_answer = st.fixed_dictionaries(
    {"text": st.text(max_size=5) | anything},
    optional=dict.fromkeys(("segments", "words", "duration", "language", "usage", "error"), anything),
)


# A busy machine is no fault of the parser.
@settings(deadline=None, max_examples=300)
@given(odd_answer | anything)
@example({"text": "", "words": [{"word": "a", "start": 1e308, "end": 1e308}]})
def test_any_json_is_an_answer_or_a_bad_answer(value: object) -> None:
    try:
        answer = parse(value, 10_000)
    except BadAnswerError:
        return
    answer.text.encode()
    spans = [(word.start_ms, word.end_ms) for word in answer.words]
    spans += [(utterance.start_ms, utterance.end_ms) for utterance in answer.utterances]
    assert all(0 <= start_ms <= end_ms <= 10_000 for start_ms, end_ms in spans)
    assert parse(answer.raw.encode(), 10_000) == answer


moments = st.floats(0, 10, allow_nan=False)


@given(st.lists(st.tuples(moments, moments).map(sorted), max_size=20).map(sorted), st.text())
def test_true_times_are_kept_and_reading_the_raw_answer_again_gives_the_same(
    spans: list[list[float]], text: str
) -> None:
    words = [{"word": f"w{n}", "start": start, "end": end} for n, (start, end) in enumerate(spans)]
    answer = parse({"text": text, "words": words}, 10_000)

    if any(end >= 0.001 for _, end in spans):
        assert [(w.start_ms, w.end_ms) for w in answer.words] == [
            (round(start * 1_000), round(end * 1_000)) for start, end in spans
        ]
    assert parse(answer.raw.encode(), 10_000) == answer


def test_gpt_transcribe_names_all_languages_that_were_spoken() -> None:
    mixed = parse({"text": "Guten Tag. Hello.", "languages": [{"code": "de"}, {"code": "en"}], "usage": None})
    assert (mixed.language, mixed.languages) == ("de", ("de", "en"))
    assert (mixed.words, mixed.utterances) == ((), ())
    odds: list[object] = [[], None, "de", [{}], [{"code": None}], [3]]
    for odd in odds:
        assert parse({"text": "Hello.", "languages": odd}).languages == ()
    assert parse({"text": "Hello.", "languages": ["en"]}).language == "en"
