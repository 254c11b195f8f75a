"""Speakers of a job: turns of an RTTM file, and clips of voices that go along with later segments."""

from __future__ import annotations

import asyncio
import base64
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.answers import parse_answer
from stenoflow.tasks.api.requests import SpeakerReference
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.diarization import opening_of, store_turns
from stenoflow.tasks.assembly.job_settings import Speakers
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError, SettingsError
from stenoflow.tasks.media.decode import decode
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.segmenter import Samples
from stenoflow.tasks.sources.file_names import shown
from stenoflow.tasks.sources.inbox.options import unknown_speaker
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.speakers import (
    MOST_CLIPS,
    Clip,
    LineError,
    Rttm,
    choose_clips,
    names,
    parse_rttm,
)
from stenoflow.tasks.transcript.timecode import SAMPLES_PER_MS, samples_to_ms
from stenoflow.tasks.transcript.types import Region

if TYPE_CHECKING:
    from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
    from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest


MOST_BYTES = 16 * 1024 * 1024
"""Of an RTTM file: 200,000 turns."""


class NoTurnsError(RefusedError):
    """A diariser's file says nothing of a recording."""

    kind = "turns"
    lies_in_recording = True


def read_rttm(path: Path) -> Rttm:
    """Read a diariser's file.

    Raises:
        SettingsError: it cannot be read, or a line of it is no turn.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--speakers {shown(str(path))} cannot be read: {plain_reason(error)}",
            "give none, channels, model, voices, or an RTTM file",
        ) from error
    return parsed_rttm(data, shown(str(path)))


def parsed_rttm(data: bytes, name: str) -> Rttm:
    """Parse a diariser's file. Raises SettingsError, with the number of the line that is no turn."""
    if len(data) > MOST_BYTES:
        raise SettingsError(f"{name} is larger than {MOST_BYTES >> 20} MB, which no RTTM file is")
    try:
        return parse_rttm(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not UTF-8, so no RTTM file") from None
    except LineError as error:
        hint = "a turn reads: SPEAKER NAME 1 START DURATION <NA> <NA> SPEAKER <NA> <NA>"
        raise SettingsError(f"{name}, {error}", hint) from error


def with_turns(
    context: AppContext, request: TranscribeRequest, rttm: Rttm, recording: str, *, alone: bool
) -> TranscribeRequest:
    """Return a request with a recording's turns, which are stored.

    Args:
        context: the tools.
        request: all else that is asked.
        rttm: the diariser's file.
        recording: the recording's name.
        alone: no other recording has its turns in the same file.

    Raises:
        NoTurnsError: the file says nothing of it.
        SettingsError: one of the names is given to a speaker that there is not.
    """
    turns = rttm.of(PurePosixPath(recording).stem, alone=alone)
    if turns is None:
        there = ", ".join(list(rttm.turns)[:5])
        raise NoTurnsError(f"the RTTM file says nothing of {recording}", f"its turns are of {there}")
    _check_names(request.names, names(turns))
    key = store_turns(context.ledger, turns)
    return replace(request, settings=replace(request.settings, speakers=Speakers.TURNS.value, turns=key))


def _check_names(given: Iterable[str], known: Iterable[str]) -> None:
    there = list(known)
    for name in given:
        if name not in there:
            raise unknown_speaker(name, there)


_log = logging.getLogger(__name__)

Spans = tuple[tuple[int, int], ...]


class SpeakerClips:
    """Who is known to speak in one recording; belongs to one event loop.

    The first segments with speech are waited for, one after the other. What they say is stored, and the
    clips are cut from the recording by it: so a run that goes on later, or another job with the same audio,
    sends the same ones.
    """

    def __init__(self, context: AppContext, prepared: PreparedJob) -> None:
        self._context = context
        self._prepared = prepared
        self._moved = asyncio.Condition()
        self._cut: dict[tuple[str, ...], tuple[SpeakerReference, ...]] = {}
        self._cutting = asyncio.Lock()

    async def before(self, index: int) -> tuple[SpeakerReference, ...]:
        """Wait until the first segments before this one are transcribed, and return who speaks in them.

        There are none of a first segment that could not be transcribed.
        """
        async with self._moved:
            opening = await self._opening(index)
            while any(each.state == SegmentState.CUT for each in opening):
                await self._moved.wait()
                opening = await self._opening(index)
        answered = [each for each in opening if each.state == SegmentState.DONE]
        key = tuple(each.cache_key for each in answered)
        async with self._cutting:
            if key not in self._cut:
                self._cut[key] = await run_blocking(self._voices, answered)
        return self._cut[key]

    async def notify_segment_ended(self) -> None:
        """Say that a segment has come to its end."""
        async with self._moved:
            self._moved.notify_all()

    async def _opening(self, index: int) -> list[Segment]:
        segments = await run_blocking(self._context.catalog.segments, self._prepared.job.id)
        return [each for each in opening_of(segments) if each.index < index]

    def _voices(self, answered: Sequence[Segment]) -> tuple[SpeakerReference, ...]:
        """Cut the clips; where that fails, speakers are told apart in each segment by itself."""
        wanted = [found for segment in answered for found in self._clips(segment)][:MOST_CLIPS]
        if not wanted:
            return ()
        try:
            return tuple(self._sound_of(wanted))
        except (StenoflowError, OSError) as error:
            _log.warning("job %s: no clips of its speakers: %s", self._prepared.job.id, error)
            return ()

    def _clips(self, segment: Segment) -> list[tuple[Clip, Spans]]:
        """Return whose voices a segment's answer offers, with where they are in the recording."""
        answer = self._context.ledger.answers([segment.cache_key]).get(segment.cache_key, "")
        settings, sent = self._prepared.settings, Excerpt(segment.spans)
        said = parse_answer(answer.encode(), Target(settings.provider, settings.model), sent.duration_ms)
        clips = choose_clips(segment.index, said.utterances)
        return [(clip, sent.part(Region(clip.start_ms, clip.end_ms))) for clip in clips]

    def _sound_of(self, wanted: Sequence[tuple[Clip, Spans]]) -> Iterator[SpeakerReference]:
        """Read the recording as far as the clips go: only so is each sample where it was before."""
        end = max(spans[-1][1] for _, spans in wanted)
        kept = [(first, last) for _, spans in wanted for first, last in spans]
        sound = self._read(kept, end)
        with tempfile.TemporaryDirectory(prefix="stenoflow-voices.") as folder:
            path = Path(folder) / "voice.mp3"
            for clip, spans in wanted:
                encode_mp3([sound[span] for span in spans], path, ffmpeg=self._context.ffmpeg)
                data = base64.b64encode(path.read_bytes()).decode()
                yield SpeakerReference(clip.key, f"data:audio/mpeg;base64,{data}")

    def _read(self, spans: Sequence[tuple[int, int]], end: int) -> dict[tuple[int, int], Samples]:
        stream, fetched = self._prepared.stream, self._prepared.fetched
        if stream is None:
            raise RuntimeError("a job that is published asks for nothing")
        parts: dict[tuple[int, int], list[Samples]] = {span: [] for span in spans}
        cap_ms = samples_to_ms(end + SAMPLES_PER_MS)
        with decode(
            fetched.path, stream, ffmpeg=self._context.ffmpeg, stamp=fetched.stamp, cap_ms=cap_ms
        ) as decoding:
            for block in decoding:
                start = decoding.samples - block.size
                for (first, last), held in parts.items():
                    held.append(block[max(0, first - start) : max(0, last - start)].copy())
        return {span: np.concatenate(held) for span, held in parts.items()}
