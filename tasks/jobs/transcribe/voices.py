"""Telling the voices of a job's recording apart: beside its transcription, once, and stored for good."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.database.reconnect import retry_outage
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.acoustics.diarizer import Diarization, Diarizer
from stenoflow.tasks.assembly.assemble import are_speakers_told
from stenoflow.tasks.assembly.diarization import store_diarization
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import StoppedError
from stenoflow.tasks.jobs.transcribe.known_voices import keep_voices
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.jobs.transcribe.request import voice_model
from stenoflow.tasks.media.decode import decode

_log = logging.getLogger(__name__)


class RecordingVoices:
    """The voices of one recording; `run` blocks, `stop` may be called from any thread."""

    def __init__(self, context: AppContext, prepared: PreparedJob) -> None:
        self._context = context
        self._prepared = prepared
        self._stopped = threading.Event()
        self._diarizer: Diarizer | None = None

    def run(self) -> None:
        """Tell who speaks when and store it, where that was not done before.

        What fails is logged and not raised: the transcript is worth having without, and the job is partial,
        so that the next run tries it again.
        """
        try:
            if not retry_outage(are_speakers_told, self._context, self._prepared.settings):
                told = self._told()
                self._store(told)
                retry_outage(keep_voices, self._context, self._prepared.job, told)
        except StoppedError:
            _log.info("job %s: stopped before its voices were told apart", self._prepared.job.id)
        except (StenoflowError, OSError) as error:
            _log.warning("job %s: %s", self._prepared.job.id, error)

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()
        if self._diarizer is not None:
            self._diarizer.stop()

    def _told(self) -> Diarization:
        settings = self._prepared.settings
        self._diarizer = Diarizer(
            voice_model(self._context.settings), settings.min_speakers or 1, settings.max_speakers
        )
        if self._stopped.is_set():
            self._diarizer.stop()
        return self._diarizer.diarize(self._sound())

    def _sound(self) -> Iterator[NDArray[np.int16]]:
        """Yield the recording as its segments are cut from it: so the times are the same."""
        stream, fetched = self._prepared.stream, self._prepared.fetched
        if stream is None:
            raise RuntimeError("a job that is published asks for nothing")
        with decode(fetched.path, stream, ffmpeg=self._context.ffmpeg, stamp=fetched.stamp) as decoding:
            yield from decoding

    def _store(self, told: Diarization) -> None:
        key = self._prepared.settings.turns
        if key is None:
            raise RuntimeError("a job without a place for its turns asks for nobody's voice")
        origin_ms = self._prepared.stream.origin_ms if self._prepared.stream else 0
        turns = [
            replace(
                each,
                turn=replace(
                    each.turn,
                    start_ms=each.turn.start_ms + origin_ms,
                    end_ms=each.turn.end_ms + origin_ms,
                ),
            )
            for each in told.turns
        ]
        retry_outage(store_diarization, self._context.ledger, key, turns)
