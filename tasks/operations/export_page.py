"""The page of a job as a file of its own, to be sent to somebody; on demand with the recording in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.database.states import PUBLISHED
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StorageError
from stenoflow.storage.private import make_folder
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.artifacts.own_files import put_in_place, written_beside
from stenoflow.tasks.artifacts.page import write
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError, SettingsError
from stenoflow.tasks.jobs.transcribe.prepare import choose_stream, resolve_again
from stenoflow.tasks.jobs.transcribe.publish import document_of
from stenoflow.tasks.media.decode import Decoding, decode
from stenoflow.tasks.media.encode import encode_opus
from stenoflow.tasks.media.probe import AudioStream, probe
from stenoflow.tasks.sources import fetch
from stenoflow.tasks.transcript.timecode import ms_to_samples


class ChangedError(FailedError):
    """Where the recording was, there is another."""

    kind = "changed"


def write_page(context: AppContext, job: Job, out: Path, *, embed: bool) -> Path:
    """Write a job's page from stored answers; calls nobody.

    Args:
        context: the tools.
        job: one that was published.
        out: where it goes, replacing an earlier page of the recording and nothing else; it appears when it
            is whole.
        embed: put the recording's sound into it, at 24 kbps.

    Returns:
        Where it is: under another name where something else lies.

    Raises:
        SettingsError: there is nothing to show yet, or no such folder.
        RefusedError, MediaError, ChangedError: the recording is gone, cannot be decoded, or is another now.
        StorageError: the file cannot be written.
    """
    if job.state not in PUBLISHED:
        raise SettingsError(
            f"job {job.id} has no transcript yet", f"stenoflow resume {job.id} goes on with it"
        )
    if not out.parent.is_dir():
        raise SettingsError(f"there is no folder {out.parent}")
    document = replace(document_of(context, job, context.catalog.segments(job.id)), linked_formats=())
    with ExitStack() as stack:
        sound = stack.enter_context(_sound(context, job)) if embed else None
        try:
            partial = stack.enter_context(written_beside(out))
            with partial.open("w", encoding="utf-8", errors="replace") as file:
                write(document, file, sound)
            source = context.catalog.recording(job.recording_id).source
            return put_in_place(context, partial, out, out.suffix, job_id=job.id, source=source)
        except OSError as error:
            raise StorageError(f"cannot write {out}: {plain_reason(error)}") from error


@contextmanager
def _sound(context: AppContext, job: Job) -> Iterator[Path]:
    """Encode a job's recording; give the file, for as long as it is needed."""
    recording = context.catalog.recording(job.recording_id)
    # Where what a killed run leaves is found, and erased with the recording.
    work = context.settings.work / "segments"
    make_folder(work)
    (source,) = resolve_again(context, recording)
    fetched = fetch(source, context.settings.work / "sources", context.s3)
    if fetched.sha256 != recording.sha256:
        raise ChangedError(
            f"{recording.name} is not the recording any more that job {job.id} heard",
            "without --embed, the page is made all the same",
        )
    stream = choose_stream(probe(fetched.path), JobSettings.from_dict(job.settings).stream, recording.name)
    with (
        tempfile.TemporaryDirectory(prefix=f"{job.id}.page-", dir=work) as folder,
        decode(fetched.path, stream, ffmpeg=context.ffmpeg, stamp=fetched.stamp) as decoding,
    ):
        sound = Path(folder) / "sound.webm"
        encode_opus(_from_the_beginning(decoding, stream), sound, ffmpeg=context.ffmpeg)
        yield sound


def _from_the_beginning(decoding: Decoding, stream: AudioStream) -> Iterator[NDArray[np.int16]]:
    """Yield the samples from the beginning of the timeline, before which sound may begin late."""
    if stream.origin_ms > 0:
        yield np.zeros(ms_to_samples(stream.origin_ms), np.int16)
    yield from decoding
