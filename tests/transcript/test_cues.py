from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.cue_rules import BBC, FREE, NETFLIX, Breach, Cue, CueRules, breaches, columns
from stenoflow.tasks.transcript.cues import labelled, make_cues
from stenoflow.tasks.transcript.text import join_words, split_words
from stenoflow.tasks.transcript.types import Utterance, Word
from stenoflow.tasks.transcript.word_timing import group

_text = st.text(alphabet="abcdefgh", min_size=1, max_size=14)
_marked = st.tuples(_text, st.sampled_from(["", "", "", ",", ".", "?"])).map("".join)


@st.composite
def _words(draw: st.DrawFn) -> list[Word]:
    words, position = [], draw(st.integers(0, 5_000))
    for text in draw(st.lists(_marked, max_size=80)):
        start_ms = position + draw(st.sampled_from([0, 0, 40, 200, 900, 3_000]))
        position = start_ms + draw(st.integers(50, 700))
        words.append(Word(text, start_ms, position))
    return words


@given(_words())
def test_the_words_of_the_cues_are_the_words_in_order(words: list[Word]) -> None:
    cues = make_cues(group(words))
    assert [word for cue in cues for line in cue.lines for word in split_words(line)] == [
        w.text for w in words
    ]


@given(_words())
def test_cues_are_in_order_apart_and_within_the_rules(words: list[Word]) -> None:
    cues = make_cues(group(words))
    for cue in cues:
        assert cue.start_ms < cue.end_ms
        assert len(cue.lines) <= NETFLIX.lines
        assert all(len(line) <= NETFLIX.line_length for line in cue.lines)
        assert cue.duration_ms <= NETFLIX.longest_ms
    for one, following in pairwise(cues):
        assert one.end_ms <= following.start_ms


@given(_words(), st.integers(1, 5))
def test_a_profile_of_any_number_of_lines_is_kept(words: list[Word], lines: int) -> None:
    rules = replace(NETFLIX, lines=lines)
    cues = make_cues(group(words), rules)
    assert [word for cue in cues for line in cue.lines for word in split_words(line)] == [
        w.text for w in words
    ]
    for cue in cues:
        assert len(cue.lines) <= lines
        assert all(len(line) <= rules.line_length for line in cue.lines)


def test_three_lines_break_after_marks() -> None:
    text = (
        "When the long rain had stopped at last, all of the children ran out together, "
        "and nobody came home before dark."
    )
    words = [Word(word, 100 * i, 100 * i + 90) for i, word in enumerate(text.split())]
    (cue,) = make_cues(group(words), replace(FREE, lines=3, line_length=42))
    assert cue.lines == (
        "When the long rain had stopped at last,",
        "all of the children ran out together,",
        "and nobody came home before dark.",
    )


def test_a_cue_starts_with_its_first_word() -> None:
    words = [Word("Hello", 1_234, 1_500), Word("there.", 1_600, 1_900), Word("Bye.", 9_000, 9_300)]
    assert [cue.start_ms for cue in make_cues(group(words))] == [1_234, 9_000]


def test_a_short_cue_stays_long_enough_to_be_read() -> None:
    (cue,) = make_cues(group([Word("No.", 1_000, 1_100)]))
    assert cue.end_ms - cue.start_ms == NETFLIX.shortest_ms


def test_a_mark_for_a_missing_stretch_is_a_cue_of_its_whole_time() -> None:
    (cue,) = make_cues([Utterance("[missing 00:01:00-00:03:00]", 60_000, 180_000)])
    assert (cue.start_ms, cue.end_ms, cue.lines) == (60_000, 180_000, ("[missing 00:01:00-00:03:00]",))


def test_lines_are_balanced_and_break_after_marks() -> None:
    text = "When the rain had stopped, they all went out together again."
    words = [Word(word, 100 * i, 100 * i + 90) for i, word in enumerate(text.split())]
    (cue,) = make_cues(group(words))
    assert cue.lines == ("When the rain had stopped,", "they all went out together again.")


@st.composite
def _slow_words(draw: st.DrawFn) -> list[Word]:
    """Words that can be read as fast as they are spoken, in runs long enough for a cue."""
    words, position = [], 0
    for size in draw(st.lists(st.integers(3, 40), max_size=6)):
        for text in draw(st.lists(_marked, min_size=size, max_size=size)):
            length_ms = 60 * len(text) + draw(st.integers(60, 300))
            words.append(Word(text, position, position + length_ms))
            position += length_ms + draw(st.sampled_from([0, 0, 20, 150]))
        position += draw(st.integers(1_500, 9_000))
    return words


@given(words=_slow_words(), rules=st.sampled_from([NETFLIX, FREE]))
def test_rules_are_kept_whenever_they_can_be(words: list[Word], rules: CueRules) -> None:
    assert list(breaches(make_cues(group(words), rules), rules)) == []


def test_words_too_fast_to_be_read_are_shown_all_the_same_and_counted() -> None:
    words = [Word("incomprehensible", 100 * i, 100 * i + 100) for i in range(30)]
    cues = make_cues(group(words))
    assert sum(len(line.split()) for cue in cues for line in cue.lines) == 30
    assert {breach for breach, _ in breaches(cues, NETFLIX)} >= {Breach.FAST}


def test_a_short_answer_is_shown_with_what_follows_it_rather_than_too_briefly() -> None:
    texts = ["Yes.", "I", "think", "so", "too."]
    words = [Word(text, 300 * i, 300 * i + 280) for i, text in enumerate(texts)]
    (cue,) = make_cues(group(words))
    assert cue.lines == ("Yes. I think so too.",)


def test_a_cue_never_crosses_a_change_of_speaker() -> None:
    one = Utterance("Yes.", 0, 280, (Word("Yes.", 0, 280),), "Anna")
    other = Utterance("No.", 300, 580, (Word("No.", 300, 580),), "Robert")
    assert [(cue.lines, cue.speaker) for cue in make_cues([one, other])] == [
        (("Yes.",), "Anna"),
        (("No.",), "Robert"),
    ]


@st.composite
def _turns(draw: st.DrawFn) -> list[Utterance]:
    """Utterances of several speakers, at times over one another, with stretches that are missing."""
    turns, position = [], 0
    for number in range(draw(st.integers(1, 12))):
        words = draw(_words())[:12]
        shift = position - (words[0].start_ms if words else 0)
        moved = tuple(Word(w.text, w.start_ms + shift, w.end_ms + shift) for w in words)
        end_ms = moved[-1].end_ms if moved else position + 5_000
        speaker = draw(st.sampled_from([None, "Anna", "Ben", "Prof. Dr. Annegret Schulze-Kowalski"]))
        text = " ".join(w.text for w in moved) if moved else f"[missing {number}]"
        turns.append(Utterance(text, position, end_ms, moved, speaker if moved else None))
        position = end_ms - draw(st.sampled_from([-2_000, -100, 0, 0, 400]))
    return turns


@given(_turns(), st.sampled_from([NETFLIX, BBC, FREE]))
def test_no_cue_is_of_two_speakers_and_each_holds_its_own_words(
    turns: list[Utterance], rules: CueRules
) -> None:
    cues = make_cues(turns, rules)
    said = [(w.text, turn.speaker) for turn in turns for w in turn.words]
    assert [(w.text, cue.speaker) for cue in cues for line in cue.words for w in line] == said
    for cue in cues:
        assert [join_words(w.text for w in line) for line in cue.words] == (
            [] if cue.is_mark else [*cue.lines]
        )
        spoken = [word for line in cue.words for word in line]
        assert all(two.start_ms - one.end_ms <= rules.pause_ms for one, two in pairwise(spoken))


@given(_turns(), st.sampled_from([NETFLIX, BBC]))
def test_names_stand_where_speakers_change_and_lines_are_no_longer_for_it(
    turns: list[Utterance], rules: CueRules
) -> None:
    cues = make_cues(list(labelled(turns, rules)), rules)
    several = len({turn.speaker for turn in turns if turn.words}) > 1
    before = None
    for cue in cues:
        is_turn = several and cue.speaker is not None and cue.speaker != before
        name, colon, _ = cue.lines[0].partition(": ")
        assert bool(colon) is is_turn
        assert not is_turn or str(cue.speaker).startswith(name.removesuffix("…"))
        assert all(columns(line) <= rules.line_length for line in cue.lines)
        before = None if cue.is_mark else cue.speaker
    assert list(labelled(turns, rules)) == turns or several


def test_a_name_leaves_room_for_the_first_word() -> None:
    def first_line(name: str, word: str) -> str:
        turns = [Utterance(word, 0, 900, (Word(word, 0, 900),), name), Utterance("b", 0, 9, (), None)]
        turns.append(Utterance("Yes.", 900, 1_500, (Word("Yes.", 900, 1_500),), "Ben"))
        return make_cues(list(labelled(turns, NETFLIX)))[0].lines[0]

    assert first_line("Anna", "Hello") == "Anna: Hello"
    assert first_line("Annegret Maria Schulze-Kowalski", "Hello") == "Annegret Maria Schul…: Hello"
    assert first_line("Annegret", "x" * 36) == f"Ann…: {'x' * 36}"
    assert first_line("Annegret", "x" * 40) == "x" * 40


def test_lines_do_not_end_in_an_article_or_before_its_noun() -> None:
    text = "Everybody who came to the meeting had read the minutes of the last one"
    words = [Word(word, 200 * i, 200 * i + 190) for i, word in enumerate(text.split())]
    for cue in make_cues(group(words)):
        for line in cue.lines:
            assert line.split()[-1] not in {"the", "of", "to"}


def test_wide_characters_take_two_columns() -> None:
    words = [Word("議", 105 * i, 105 * i + 105) for i in range(84)]
    cues = make_cues(group(words))
    assert max(columns(line) for cue in cues for line in cue.lines) <= 42
    assert max(len(line) for cue in cues for line in cue.lines) == 21
    assert columns("e\u0301") == 1


def test_each_breach_is_found() -> None:
    def found(*cues: tuple[int, int, str], rules: CueRules = NETFLIX) -> set[str]:
        made = [Cue(start, end, tuple(text.split("/"))) for start, end, text in cues]
        return {breach.value for breach, _ in breaches(made, rules)}

    assert found((0, 2_000, "Fine.")) == set()
    assert found((0, 500, "Ha.")) == {"short"}
    assert found((0, 8_000, "Slow.")) == {"long"}
    assert found((0, 1_000, "x" * 21)) == {"fast"}
    assert found((0, 5_000, "x" * 43)) == {"wide"}
    assert found((0, 5_000, "a/b/c")) == {"lines"}
    assert found((0, 2_000, "One."), (2_050, 4_000, "Two.")) == {"gap"}
    assert found((0, 2_000, "One."), (2_300, 4_000, "Two.")) == {"open_gap"}
    assert found((0, 2_000, "One."), (3_000, 5_000, "Two."), rules=BBC) == {"open_gap"}
    mark = Cue(0, 90_000, ("[missing]",), is_mark=True)
    assert list(breaches([mark], NETFLIX)) == []
