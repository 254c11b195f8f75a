from __future__ import annotations

from stenoflow.tasks.transcript.stitching import Timeline, TranscribedSegment, stitch
from stenoflow.tasks.transcript.types import Kind, Region, Stretch, Timing, Word
from stenoflow.tasks.transcript.word_timing import UntimedTranscript, time_words


def _piece(start_s: int, end_s: int, text: str | None, language: str | None = "en") -> TranscribedSegment:
    placed = None
    if text is not None:
        words = tuple(Word(word, 1_000 + 500 * i, 1_400 + 500 * i) for i, word in enumerate(text.split()))
        placed = time_words(UntimedTranscript(text, (), words), (end_s - start_s) * 1_000, [])
    return TranscribedSegment(start_s * 16_000, end_s * 16_000, (Region(1_000, 5_000),), placed, language)


def test_words_lie_at_the_segments_place_plus_their_own_and_the_late_start() -> None:
    transcript = stitch(Timeline(120, 36_000_120), [_piece(0, 600, "one"), _piece(35_400, 36_000, "two")])
    assert [utterance.words[0].start_ms for utterance in transcript.utterances] == [1_120, 35_401_120]
    assert transcript.text == "one two"


def test_what_is_missing_is_said_in_its_place_and_covers_its_time() -> None:
    pieces = [_piece(0, 60, "one"), _piece(60, 120, None), _piece(120, 180, None), _piece(180, 240, "two")]
    transcript = stitch(Timeline(0, 240_000), pieces)
    assert transcript.text == "one [missing 00:01:00-00:03:00] two"
    assert transcript.missing == (Stretch(60_000, 180_000, Kind.MISSING),)


def test_a_lost_end_is_missing() -> None:
    transcript = stitch(Timeline(0, 90_500, lost_ms=30_500), [_piece(0, 60, "one")])
    assert transcript.missing == (Stretch(60_000, 90_500, Kind.MISSING),)
    assert transcript.text == "one [missing 00:01:00-00:01:31]"


def test_the_language_is_the_one_most_spoken() -> None:
    pieces = [_piece(0, 60, "one"), _piece(60, 120, "zwei", "de"), _piece(120, 180, "drei", "de")]
    assert stitch(Timeline(0, 180_000), pieces).language == "de"
    assert stitch(Timeline(0, 60_000), []).language is None


def test_one_estimate_makes_the_whole_an_estimate() -> None:
    estimated = TranscribedSegment(0, 16_000, (), time_words(UntimedTranscript("one"), 1_000, []))
    assert stitch(Timeline(0, 61_000), [estimated, _piece(1, 61, "two")]).timing is Timing.ESTIMATED
