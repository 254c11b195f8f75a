"""Whatever a file holds: no crash, no hang, one clear outcome, and nothing else is read."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stenoflow.tasks.errors import NotAudioError, RefusedError
from stenoflow.tasks.media import worker
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.processes import command_line, descendants
from tests.hostile.baits import Watch, watched_baits
from tests.hostile.corpus import FAMILIES, SPECIAL, write_corpus
from tests.hostile.originals import KINDS, WHOLE_MS, make_originals
from tests.hostile.trial import MAX_HOURS, Outcome, try_out

pytestmark = pytest.mark.slow

# An encoder's delay and padding are in the end where nothing tells them apart from sound.
_PADDING_MS = 130
# Less than this is not told from a last packet that is shorter.
_UNNOTICED_MS = 300
_MOST_MEMORY_BYTES = 2 << 30


class Corpus:
    """The files, and what came of those that were tried."""

    def __init__(self, families: dict[str, list[Path]], watch: Watch) -> None:
        self.families = families
        self.watch = watch
        self._tried: dict[str, dict[str, Outcome]] = {}

    def outcomes(self, family: str) -> dict[str, Outcome]:
        """Try the files of a family, once, and return what came of each by its name."""
        if family not in self._tried:
            ffmpeg = find_ffmpeg()
            # To decode 5 GB shows no more than to read through them.
            max_hours = 0.25 if family == SPECIAL else MAX_HOURS
            tried = (try_out(path, ffmpeg, max_hours) for path in self.families[family])
            self._tried[family] = {outcome.path.name: outcome for outcome in tried}
        return self._tried[family]

    def refusals(self, family: str) -> dict[str, str]:
        """Return the names of those that were refused, with why."""
        outcomes = self.outcomes(family).items()
        return {name: str(each.error) for name, each in outcomes if isinstance(each.error, RefusedError)}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "originals").mkdir()
    originals = make_originals(folder / "originals")
    with watched_baits(folder / "outside", folder / "beside") as (baits, watch):
        families = write_corpus(folder, originals, baits)
        watch.taken()
        yield Corpus(families, watch)


def children() -> set[int]:
    """The processes that this one has started and that still run, but for the server of the workers."""
    return {pid for pid in descendants(os.getpid()) if "_worker_server" not in command_line(pid)}


def test_there_are_many_and_all_differ(corpus: Corpus) -> None:
    paths = [path for paths in corpus.families.values() for path in paths]
    assert len(set(paths)) == len(paths)
    assert len(paths) - len(corpus.families["whole"]) >= 1000


@pytest.mark.parametrize("family", [*FAMILIES, SPECIAL])
def test_each_has_a_clear_outcome_and_touches_nothing_else(corpus: Corpus, family: str) -> None:
    before = children()
    outcomes = corpus.outcomes(family)
    assert [f"{name}: {problem}" for name, each in outcomes.items() for problem in each.problems] == []
    assert corpus.watch.taken() == []
    assert children() <= before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of another process")
def test_none_takes_more_memory_than_it_may(corpus: Corpus) -> None:
    for family in corpus.families:
        corpus.outcomes(family)
    worker.end_server()  # what its workers took is counted once it has ended
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert most < _MOST_MEMORY_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_recording_is_decoded_whole(corpus: Corpus, kind: str) -> None:
    outcome = corpus.outcomes("whole")[f"{kind}.{KINDS[kind].suffix}"]
    assert outcome.known.missing_ms == 0
    assert not outcome.known.default_stream.cut_off
    assert outcome.known.demuxed_end_ms == pytest.approx(WHOLE_MS, abs=_PADDING_MS)
    assert outcome.decoded_ms == pytest.approx(WHOLE_MS, abs=_PADDING_MS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].says_its_length])
@pytest.mark.parametrize("share", ["25.0%", "50.0%", "90.0%"])
def test_what_is_cut_off_says_how_much_is_missing(corpus: Corpus, kind: str, share: str) -> None:
    outcome = corpus.outcomes("truncated")[f"{kind}.cut-at-{share}.{KINDS[kind].suffix}"]
    lost_ms = WHOLE_MS - outcome.decoded_ms
    assert lost_ms > _UNNOTICED_MS
    assert outcome.known.missing_ms == pytest.approx(lost_ms, abs=_UNNOTICED_MS)


@pytest.mark.parametrize("kind", ["ogg", "opus", "ogg-flac"])
@pytest.mark.parametrize("part", ["at-25.0%", "at-90.0%", "before-last-OggS", "without-its-last-byte"])
def test_what_is_cut_off_before_its_mark_of_the_end_says_so(corpus: Corpus, kind: str, part: str) -> None:
    outcome = corpus.outcomes("truncated")[f"{kind}.cut-{part}.{KINDS[kind].suffix}"]
    assert outcome.known.default_stream.cut_off


@pytest.mark.parametrize("kind", ["m4a", "flac", "ogg", "opus", "webm", "mpegts", "flv"])
def test_a_block_that_is_overwritten_is_a_gap(corpus: Corpus, kind: str) -> None:
    for block in ("zeros", "noise"):
        outcome = corpus.outcomes("blocks")[f"{kind}.block-of-{block}.{KINDS[kind].suffix}"]
        # An eighth of the file, and in Ogg and WebM the pages and clusters that it touches.
        assert 1_400 < outcome.gaps_ms < 6_500


@pytest.mark.parametrize("family", ["playlists", "sessions", SPECIAL])
def test_what_names_others_or_is_no_file_is_refused(corpus: Corpus, family: str) -> None:
    sound = {"5-gb.wav", "zeros-behind.wav"}
    assert (
        corpus.outcomes(family).keys() - corpus.refusals(family).keys()
        == sound & corpus.outcomes(family).keys()
    )


def test_what_is_no_sound_is_refused(corpus: Corpus) -> None:
    # The frames of an MP3 are found in whatever does not compress them.
    wrapped = {"zip-stored.mp3", "zip-deflated.mp3", "tar.mp3"}
    outcomes = corpus.outcomes("not-sound")
    heard = {name for name, each in outcomes.items() if not isinstance(each.error, NotAudioError)}
    assert heard <= wrapped


def test_how_long_it_is_does_not_depend_on_how_small(corpus: Corpus) -> None:
    outcomes = corpus.outcomes("long-silence")
    assert outcomes["an-hour-in-6-kb.flac"].decoded_ms == 3_600_000
    for name in ("25-hours.flac", "100-years.flac"):
        assert outcomes[name].known.demuxed_end_ms > MAX_HOURS * 3_600_000
