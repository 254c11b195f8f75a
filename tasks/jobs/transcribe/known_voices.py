"""Voices that are known again in later recordings, where that is switched on (``[voices] keep = true``).

A voice is kept in the database alone, encrypted if there is a key. It is never in an artifact, a log, or what
the store has of a job.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.database.tables import Job
from stenoflow.storage.database.voiceprints import NewVoiceprint
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.acoustics.diarizer import Diarization
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers, is_experimental
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.transcript.voice_names import UNSURE, NamingRule, known_again

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

# Begins what is stored encrypted.
_ENCRYPTED = "fernet:"
# Who says less is neither kept nor known again.
_LEAST_MS = 5_000
# Measured for the encoder that is built in, see tasks/README.md; sherpa-onnx's scatter more.
_BUILT_IN, _SHERPA = NamingRule(clear=0.85, perhaps=0.75), NamingRule(clear=0.65, perhaps=0.5)


def keep_voices(context: AppContext, job: Job, told: Diarization) -> None:
    """Keep the voices of a recording, and name those that are known from others.

    What fails is logged and not raised: who speaks when is told all the same.

    Args:
        context: the tools.
        job: whose speakers were told by their voices.
        told: who speaks when, and the embedding of each turn.
    """
    if not context.settings.voices.keep:
        return
    settings = JobSettings.from_dict(job.settings)
    try:
        voices = _voices_of(told)
        cipher = encrypt_kept(context)
        inbox = _inbox_of(context, job)
        kept = [NewVoiceprint(label, ms, _written(vector, cipher)) for label, (vector, ms) in voices.items()]
        model, key = settings.diarizer or "", settings.turns or ""
        context.voiceprints.add(job.recording_id, key, model, inbox, kept)
        scope = None if context.settings.voices.across_inboxes else inbox
        named = _named(context, model.rpartition("/")[0], scope, job.recording_id, cipher)
        likeness = {
            label: {
                name: max((float(vector @ each) for each in those if each.size == vector.size), default=0.0)
                for name, those in named.items()
            }
            for label, (vector, _) in voices.items()
        }
        found = known_again(likeness, _BUILT_IN if is_experimental(settings) else _SHERPA)
        given = context.catalog.job(job.id).speakers or {}
        names = {
            label: name for label, name in found.items() if label not in given and name not in given.values()
        }
        context.catalog.name_speakers(job.id, names)
        remember_names(context, job, given)
    except StenoflowError as error:
        _log.warning("job %s: its voices are not kept: %s", job.id, error)


def remember_names(context: AppContext, job: Job, names: Mapping[str, str]) -> None:
    """Give the voices of a job's recording the names that somebody gave its speakers, where voices are kept.

    Args:
        context: the tools.
        job: the job.
        names: by our labels of the speakers.
    """
    settings = JobSettings.from_dict(job.settings)
    if not context.settings.voices.keep or settings.speakers != Speakers.VOICES or settings.turns is None:
        return
    sure = {label: name for label, name in names.items() if not name.endswith(UNSURE)}
    for name in context.voiceprints.name(job.recording_id, settings.turns, sure):
        _log.warning(
            "job %s: %s will not be known again: the voice was told apart before [voices] keep = true,"
            " or is heard for less than %d s",
            job.id,
            name,
            _LEAST_MS // 1000,
        )


def cipher_of(settings: Settings) -> Fernet | None:
    """Return what encrypts voices; None: there is no key.

    Raises:
        SettingsError: the key cannot be used, or the library that encrypts is not installed.
    """
    if settings.voices_key is None:
        return None
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - for those who have a key
    except ImportError as error:
        raise SettingsError(
            "STENOFLOW_VOICES_KEY is set, and what encrypts is not installed", "pip install cryptography"
        ) from error
    try:
        return Fernet(settings.voices_key.get_secret_value())
    except ValueError as error:
        raise SettingsError(
            "STENOFLOW_VOICES_KEY is not 32 bytes in URL-safe base64",
            "make one: openssl rand -base64 32 | tr '+/' '-_'",
        ) from error


def encrypt_kept(context: AppContext) -> Fernet | None:
    """Encrypt the voices that were kept before there was a key; returns what encrypts, None without a key.

    Raises:
        SettingsError: the key cannot be used.
    """
    cipher = cipher_of(context.settings)
    if cipher is not None:
        context.voiceprints.rewrite(_ENCRYPTED, lambda stored: _encrypted(_plain(stored), cipher))
    return cipher


def _voices_of(told: Diarization) -> dict[str, tuple[Floats, int]]:
    """Return the voice of each speaker and how long it is heard, of those who speak long enough."""
    sums: dict[str, Floats] = {}
    spoken: dict[str, int] = {}
    for scored, vector in zip(told.turns, told.voices, strict=True):
        turn = scored.turn
        length_ms = turn.end_ms - turn.start_ms
        sums[turn.speaker] = sums.get(turn.speaker, np.zeros_like(vector)) + vector * length_ms
        spoken[turn.speaker] = spoken.get(turn.speaker, 0) + length_ms
    return {
        label: ((total / max(1e-9, float(np.linalg.norm(total)))).astype(np.float32), spoken[label])
        for label, total in sums.items()
        if spoken[label] >= _LEAST_MS
    }


def _named(
    context: AppContext, model: str, inbox: str | None, beside: str, cipher: Fernet | None
) -> dict[str, list[Floats]]:
    named: dict[str, list[Floats]] = {}
    for each in context.voiceprints.named(model, inbox, beside):
        vector = _read(each.vector, cipher)
        if vector is not None:
            named.setdefault(each.name, []).append(vector)
    return named


def _written(vector: Floats, cipher: Fernet | None) -> str:
    data = vector.astype("<f4").tobytes()
    return base64.b64encode(data).decode() if cipher is None else _encrypted(data, cipher)


def _encrypted(data: bytes, cipher: Fernet) -> str:
    return f"{_ENCRYPTED}{cipher.encrypt(data).decode()}"


def _plain(stored: str) -> bytes:
    """Return what is stored without encryption; what is damaged stays so."""
    try:
        return base64.b64decode(stored)
    except ValueError:
        return b""


def _read(stored: str, cipher: Fernet | None) -> Floats | None:
    """Return a stored voice; None where it is encrypted by a key that is not the one that is set."""
    try:
        if not stored.startswith(_ENCRYPTED):
            return _numbers(base64.b64decode(stored))
        if cipher is None:
            return None
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as above

        with suppress(InvalidToken):
            return _numbers(cipher.decrypt(stored.removeprefix(_ENCRYPTED)))
    except ValueError:
        _log.warning("a voice that is kept is damaged, and passed over")
    return None


def _numbers(data: bytes) -> Floats | None:
    found = np.frombuffer(data, "<f4").astype(np.float32)
    return found if np.isfinite(found).all() else None


def _inbox_of(context: AppContext, job: Job) -> str:
    """Return the name of the inbox that a job's recording came into; empty: none that the settings have."""
    source = context.catalog.recording(job.recording_id).source
    for each in context.settings.inboxes:
        with suppress(StenoflowError):
            if source.startswith(f"{open_inbox(each.address, context.s3).address.rstrip('/')}/"):
                return each.name
    return ""
