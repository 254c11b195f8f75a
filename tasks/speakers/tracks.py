"""How many tracks a recording is heard as: one, or one a channel where each is a speaker."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import RefusedError
from tasks.job_settings import JobSettings, Speakers
from tasks.media.probe import AudioStream
from tasks.speech.channels import channel_name

# Of each channel a segment is held in memory, 20 MB.
_MOST_CHANNELS = 16


class ChannelsError(RefusedError):
    """A recording's channels cannot be taken for its speakers."""

    kind = "channels"


class NamesError(RefusedError):
    """A name is given to a speaker that there is not."""

    kind = "speakers"


def tracks_of(settings: JobSettings, stream: AudioStream) -> int:
    """Return how many tracks of a stream are transcribed."""
    return stream.channels if settings.speakers == Speakers.CHANNELS else 1


def check_speakers(settings: JobSettings, names: Iterable[str], stream: AudioStream, recording: str) -> None:
    """Refuse what cannot be had, before anything is spent on it.

    Raises:
        ChannelsError: a speaker a channel is asked for, and there is one channel, or there are too many.
        NamesError: one of the names is given to a channel that there is not.
    """
    if settings.speakers != Speakers.CHANNELS:
        return
    if stream.channels < 2:
        raise ChannelsError(
            f"{recording} has one channel, so its speakers cannot be told apart by channels",
            "leave out --speakers channels; a model or an RTTM file can tell them apart",
        )
    if stream.channels > _MOST_CHANNELS:
        raise ChannelsError(
            f"{recording} has {stream.channels} channels; {_MOST_CHANNELS} at most can be told apart",
            "extract those with speakers into a file of their own",
        )
    known = [channel_name(channel) for channel in range(stream.channels)]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise NamesError(f"{recording}: no speaker is called {unknown!r}", f"there are {', '.join(known)}")
