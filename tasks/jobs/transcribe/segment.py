"""Cutting a recording into encoded segments, each handed over the moment that it is whole.

Every cut is stored before its segment is used. Cuts that are stored (by a run that was broken off, or by
another job with the same audio and rule) are used again as they are; a segment whose answer is stored is
neither encoded nor sent.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stenoflow.storage.database.catalog import SegmentPlan, plan_of_segment
from stenoflow.storage.database.reconnect import retry_outage
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.private import make_folder
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.job_settings import CacheKeys, Speakers
from stenoflow.tasks.assembly.review import open_reviews
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import StoppedError
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.media.channels import Tracks, levels_of, loudest, own_levels
from stenoflow.tasks.media.decode import Decoding, decode
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.levels import TOO_MUCH, LevelMeter, amplified, gain_db, speech_levels
from stenoflow.tasks.media.probe import AudioStream
from stenoflow.tasks.media.segmenter import SegmentAudio, Segmenter
from stenoflow.tasks.media.undecodable import Zeros, find_gaps
from stenoflow.tasks.transcript.coverage import Integrity
from stenoflow.tasks.transcript.planning import Cut
from stenoflow.tasks.transcript.regions import Excerpt, LevelHistogram, find_regions, stretches_to_send
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Region

_ENCODERS = 2
# Segments whose sound is held while they are encoded, beside the one that is being read: 20 MB each.
_SEGMENTS_HELD = 2
# Encoders pad by less than this; a decode that is shorter by more is missing something.
_PADDING_MS = 500
_WAIT_S = 1.0


class RecordingSegmenter:
    """One recording being cut; `run` blocks, the rest may be called from any thread."""

    def __init__(self, context: AppContext, prepared: PreparedJob, ahead: int) -> None:
        """Prepare.

        Args:
            context: the tools.
            prepared: what is cut.
            ahead: how many segments may lie encoded and unfinished, so that disk use is bounded.
        """
        self._context = context
        self._prepared = prepared
        self._folder = context.settings.work / "segments" / f"{prepared.job.id}.{os.getpid()}"
        self._room = threading.Semaphore(ahead)
        self._memory = threading.Semaphore(_SEGMENTS_HELD)
        self._stopped = threading.Event()
        self._apart = prepared.settings.speakers == Speakers.CHANNELS
        self._listened: defaultdict[int | None, LevelHistogram] = defaultdict(LevelHistogram)
        self._zeros = Zeros()
        self._keys = CacheKeys(prepared.settings, prepared.recording.sha256)
        self._decoding: Decoding | None = None
        self._untranslated: set[str] = set()
        self._unreviewed: set[str] = set()

    def run(self, hand_over: Callable[[int], None]) -> None:
        """Cut the whole recording; ``hand_over`` gets the index of each segment that is to be transcribed.

        It is called from threads of this object, in order of readiness.

        Raises:
            MediaError, DiskFullError, DatabaseError: it broke off; what was handed over is whole.
            StoppedError: `stop` was called.
        """
        stored = self._stored()
        for segment in stored:
            self._keys.of(plan_of_segment(segment))
        self._untranslated = self._find_untranslated(stored)
        self._unreviewed = self._find_unreviewed(stored)
        waiting = [segment for segment in stored if self._is_waiting(segment)]
        answered = retry_outage(self._context.ledger.answered, [segment.cache_key for segment in waiting])
        without_sound = answered - self._translated_by_sound - self._unreviewed
        handed = {segment.index for segment in waiting if segment.cache_key in without_sound}
        for index in sorted(handed):
            hand_over(index)
        planned = bool(stored) and retry_outage(self._context.catalog.job, self._prepared.job.id).planned
        if planned and len(handed) == len(waiting):
            return
        _remove_leftovers(self._folder)
        make_folder(self._folder)
        self._decode(stored, handed, hand_over, planned=planned)

    def path(self, index: int) -> Path:
        """Return where a segment's sound lies once it was handed over."""
        return self._folder / f"{index:05d}.mp3"

    def release(self, index: int) -> None:
        """Delete a segment's sound, which is not needed any more, and make room for another."""
        path = self.path(index)
        if path.exists():
            path.unlink(missing_ok=True)
            self._room.release()

    def stop(self) -> None:
        """End soon; `run` raises StoppedError."""
        self._stopped.set()
        if self._decoding is not None:
            self._decoding.stop()

    def close(self) -> None:
        """Delete what is left of the segments' sound."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stored(self) -> Sequence[Segment]:
        """Return the cuts that are stored; adopts those of another job where it has them all."""
        catalog, job = self._context.catalog, self._prepared.job
        stored = retry_outage(catalog.segments, job.id)
        if stored:
            return stored
        plan = retry_outage(catalog.find_plan, self._prepared.recording.sha256, job.plan_hash)
        if plan is None:
            return []
        keys = CacheKeys(self._prepared.settings, self._prepared.recording.sha256)
        for cut in plan.segments:
            retry_outage(catalog.add_segment, job.id, cut, keys.of(cut))
        retry_outage(catalog.finish_plan, job.id, plan.samples, plan.lost_ms, plan.damage)
        return retry_outage(catalog.segments, job.id)

    def _decode(
        self, stored: Sequence[Segment], handed: set[int], hand_over: Callable[[int], None], *, planned: bool
    ) -> None:
        stream, fetched = self._stream(), self._prepared.fetched
        known = {
            channel: deque(segment for segment in stored if segment.channel == channel)
            for channel in (range(stream.channels) if self._apart else [None])
        }
        tracks = Tracks(
            {channel: self._new_segmenter(cuts, planned=planned) for channel, cuts in known.items()}
        )
        following = len(stored)
        with (
            ThreadPoolExecutor(_ENCODERS) as encoders,
            decode(
                fetched.path, stream, ffmpeg=self._context.ffmpeg, stamp=fetched.stamp, apart=self._apart
            ) as decoding,
        ):
            self._decoding = decoding
            encodes: list[Future[None]] = []
            for channel, piece in self._slices(decoding, tracks):
                if known[channel]:
                    segment = known[channel].popleft()
                    index = segment.index
                else:
                    index, following = following, following + 1
                    segment = self._store(index, channel, piece, tracks)
                if not self._is_waiting(segment) or index in handed:
                    continue
                if self._needs_sound(segment):
                    self._take(self._room, encodes)
                    self._take(self._memory, encodes)
                    encodes.append(encoders.submit(self._encode, segment, piece, hand_over))
                else:
                    # Answered meanwhile, for another job with the same audio.
                    hand_over(index)
                # Its sound is the encoder's now; held here too, it would stay until the next one is whole.
                del piece
            for encode in encodes:
                encode.result()
            if not planned:
                damage = self._damage(stream, decoding)
                retry_outage(
                    self._context.catalog.finish_plan,
                    self._prepared.job.id,
                    decoding.samples,
                    damage.lost_ms,
                    damage.to_dict(),
                )

    def _new_segmenter(self, stored: Iterable[Segment], *, planned: bool) -> Segmenter:
        """Make what cuts where it is decided already, then where the rule says."""
        cuts = [Cut(samples_to_ms(segment.end_sample), segment.forced) for segment in stored]
        return Segmenter(self._prepared.settings.rule, deque(cuts[:-1] if planned else cuts))

    def _slices(self, decoding: Decoding, tracks: Tracks) -> Iterator[tuple[int | None, SegmentAudio]]:
        meter = LevelMeter()
        for block in decoding:
            self._check_stopped()
            if self._apart:
                self._zeros.add(meter.add(loudest(block)).tolist())
            yield from self._seen(decoding, tracks.add(block))
        self._check_stopped()
        yield from self._seen(decoding, tracks.finish())

    def _seen(
        self, decoding: Decoding, pieces: Iterable[tuple[int | None, SegmentAudio]]
    ) -> Iterator[tuple[int | None, SegmentAudio]]:
        """Note how much is loud, and where a track that is all there is holds nothing but zeros."""
        for channel, piece in pieces:
            decoding.clipping.add_levels(own_levels(piece, piece.levels), channel)
            if channel is None:
                self._zeros.add(own_levels(piece, piece.levels))
            yield channel, piece

    def _store(self, index: int, channel: int | None, piece: SegmentAudio, tracks: Tracks) -> Segment:
        listened = self._listened[channel]
        audible, spoken = self._levels(channel, piece, tracks, listened)
        sent = Excerpt.of_regions(
            stretches_to_send(audible, listened.loudness()), piece.sound_start, piece.sound_end
        )
        if sent.is_too_short:
            sent = Excerpt(())
        speech = sent.clipped(find_regions(spoken), piece.sound_start)
        cut = SegmentPlan(
            index,
            piece.start_sample,
            piece.end_sample,
            piece.forced,
            tuple(self._speech(speech, piece)),
            sent.spans,
            channel,
            gain_db=gain_db(piece.levels_in(speech), piece.sounds(sent.spans)),
        )
        catalog, job_id = self._context.catalog, self._prepared.job.id
        return retry_outage(catalog.add_segment, job_id, cut, self._keys.of(cut))

    @staticmethod
    def _levels(
        channel: int | None, piece: SegmentAudio, tracks: Tracks, listened: LevelHistogram
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Return the levels by which a slice is silent, and those by which somebody speaks in it.

        ``listened`` takes note of the former.
        """
        if channel is None:
            audible: list[float] = speech_levels(piece.sound).tolist()
            listened.add(own_levels(piece, audible))
            return audible, piece.levels
        listened.add(own_levels(piece, piece.levels))
        own = tracks.own(channel, piece, listened)
        return own, own

    def _speech(self, regions: Iterable[Region], piece: SegmentAudio) -> Iterator[tuple[int, ...]]:
        """Yield what is kept of regions of speech (ms from its sound), of a channel with levels."""
        before_ms = samples_to_ms(piece.start_sample - piece.sound_start)
        for region in regions:
            levels = levels_of(piece.levels, region.start_ms, region.end_ms) if self._apart else ()
            yield region.start_ms - before_ms, region.end_ms - before_ms, *levels

    def _damage(self, stream: AudioStream, decoding: Decoding) -> Integrity:
        """Hold what was decoded against what was declared or demuxed."""
        undecoded_ms = stream.demuxed_end_ms - stream.origin_ms - samples_to_ms(decoding.samples)
        lost_ms = stream.missing_ms + (undecoded_ms if undecoded_ms > _PADDING_MS else 0)
        complaints, zeros = decoding.decoded.complaints, self._zeros.finish()
        gaps = find_gaps(self._prepared.fetched.path, stream, zeros) if complaints and zeros else ()
        # More than was ever demuxed is either invented in repair, or its times were not believed.
        cut_off = stream.cut_off or decoding.decoded.capped
        clipped = round(decoding.clipping.share(), 4)
        return Integrity(lost_ms, gaps, cut_off, complaints, clipped if clipped > TOO_MUCH else 0.0)

    def _is_waiting(self, segment: Segment) -> bool:
        return (
            segment.state == SegmentState.CUT
            or segment.cache_key in self._untranslated
            or segment.cache_key in self._unreviewed
        )

    def _needs_sound(self, segment: Segment) -> bool:
        if not retry_outage(self._context.ledger.answered, [segment.cache_key]):
            return True
        if self._prepared.settings.translator is None and self._find_untranslated([segment]):
            return True
        return bool(self._find_unreviewed([segment]))

    @property
    def _translated_by_sound(self) -> set[str]:
        """The cache keys of what was transcribed, and is to be sent again to be translated."""
        return self._untranslated if self._prepared.settings.translator is None else set()

    def _find_untranslated(self, segments: Sequence[Segment]) -> set[str]:
        """Return the cache keys of those that were transcribed and are yet to be translated."""
        keys = [segment.cache_key for segment in segments if segment.state != SegmentState.SILENT]
        return retry_outage(untranslated, self._context, self._prepared.settings, keys)

    def _find_unreviewed(self, segments: Sequence[Segment]) -> set[str]:
        """Return the cache keys of those whose answers are still to be listened to."""
        keys = [segment.cache_key for segment in segments if segment.state != SegmentState.SILENT]
        return retry_outage(open_reviews, self._context, self._prepared.settings, keys)

    def _take(self, room: threading.Semaphore, encodes: Sequence[Future[None]]) -> None:
        while not room.acquire(timeout=_WAIT_S):
            self._check_stopped()
            for encode in encodes:
                if encode.done():
                    encode.result()

    def _encode(self, segment: Segment, piece: SegmentAudio, hand_over: Callable[[int], None]) -> None:
        try:
            sound = amplified(piece.played(segment.spans), segment.gain_db)
            encode_mp3(sound, self.path(segment.index), ffmpeg=self._context.ffmpeg)
        finally:
            self._memory.release()
        hand_over(segment.index)

    def _stream(self) -> AudioStream:
        if self._prepared.stream is None:
            raise RuntimeError("a job that is published needs no cutting")
        return self._prepared.stream

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise StoppedError(f"{self._prepared.recording.name} was not read to its end")


def _remove_leftovers(folder: Path) -> None:
    """Delete what runs of the same job left behind whose processes are gone."""
    for leftover in folder.parent.glob(f"{folder.stem}.*"):
        try:
            os.kill(int(leftover.suffix[1:]), 0)
        except ProcessLookupError:
            shutil.rmtree(leftover, ignore_errors=True)
        except (ValueError, PermissionError):
            continue
