"""Scan a drop folder for what is new and complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stenoflow.storage.database.arrivals import arrival_id
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest, request_of
from stenoflow.tasks.jobs.transcribe.speakers import MOST_BYTES, NoTurnsError, parsed_rttm, with_turns
from stenoflow.tasks.sources.inbox import Inbox
from stenoflow.tasks.sources.inbox.entry import Entry, StabilityTracker, beside
from stenoflow.tasks.sources.inbox.options import OptionsError, Priority, RecordingOptions, options_of
from stenoflow.tasks.sources.source import shown
from stenoflow.tasks.transcript.speakers import Rttm

_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class ScannedRecording:
    """A recording that is to be taken.

    Attributes:
        options: what was said of it; those of all where that cannot be used.
        refused: why it is refused at once; None: it is not.
    """

    entry: Entry
    options: RecordingOptions
    wish: TranscribeRequest
    refused: RefusedError | None = None

    @property
    def mark(self) -> str:
        """Of its content; where its options are at fault, of that fault: mended, it is new."""
        is_mendable = isinstance(self.refused, OptionsError)
        return f"{self.entry.mark} {self.refused}" if is_mendable else self.entry.mark

    @property
    def id(self) -> str:
        """Of its content at its address."""
        return arrival_id(self.entry.source.uri, self.mark)


@dataclass(slots=True)
class InboxScanner:
    """Looks into an inbox again and again.

    Attributes:
        given: options that are said of all recordings.
        settling: tells what is complete.
        growing: paths of what the last look found new and not complete.
        in_hand: addresses of what is being transcribed now; nothing is read of those.
        unheard: what else the looks found, to be told once; whoever tells it takes it away.
        refused_before: what others refused and left in the inbox, with the reason; whoever moves it takes it
            away.
    """

    context: AppContext
    inbox: Inbox
    given: Mapping[str, Any]
    settling: StabilityTracker
    growing: list[str] = field(default_factory=list)
    in_hand: set[str] = field(default_factory=set)
    unheard: list[str] = field(default_factory=list)
    refused_before: list[tuple[Entry, str]] = field(default_factory=list)
    _ended: set[str] = field(default_factory=set)
    _linked: set[str] = field(default_factory=set)

    def look(self) -> list[ScannedRecording]:
        """Return what is new and complete, the more urgent first.

        Raises:
            RefusedError: the inbox cannot be looked into.
        """
        look = self.inbox.look()
        self._tell_of(look.linked)
        complete = {entry.path for entry in self.settling.complete(look)}
        self._ended &= {id_of(entry) for entry in look.entries}
        new = self._new(look.entries)
        self.growing = [entry.path for entry in new if entry.path not in complete]
        arrived = self._without_ended([self.describe(entry) for entry in new if entry.path in complete])
        return sorted(arrived, key=lambda each: _RANKS[each.options.priority])

    def announced(self, entries: Sequence[Entry]) -> list[ScannedRecording]:
        """Return what is new of recordings that somebody else says are complete."""
        return self._without_ended([self.describe(entry) for entry in self._new(entries)])

    def describe(self, entry: Entry) -> ScannedRecording:
        """Read what is said of a recording."""
        try:
            options = options_of(entry.path, self.inbox.read, self.given)
            wish = request_of(self.context, options)
            return ScannedRecording(
                entry, options, self._with_turns(entry, wish) if options.speakers is None else wish
            )
        except StenoflowError as error:
            refused = error if isinstance(error, RefusedError) else OptionsError(error.message, error.hint)
            options = RecordingOptions.model_validate(dict(self.given))
            return ScannedRecording(entry, options, request_of(self.context, options), refused)

    def _with_turns(self, entry: Entry, wish: TranscribeRequest) -> TranscribeRequest:
        """Add a diariser's turns that lie beside a recording."""
        rttm = turns_of(entry.path, self.inbox.read)
        if rttm is None:
            return wish
        try:
            return with_turns(self.context, wish, rttm, entry.source.name, alone=True)
        except NoTurnsError as error:
            raise OptionsError(error.message, error.hint) from error

    def _without_ended(self, arrived: list[ScannedRecording]) -> list[ScannedRecording]:
        """Leave out what was refused for its options before, and has them still."""
        refused = {each.id: each.entry for each in arrived if each.refused is not None}
        ended = self._ended_of(refused)
        return [each for each in arrived if each.id not in ended]

    def _new(self, entries: Sequence[Entry]) -> list[Entry]:
        free = (entry for entry in entries if entry.source.uri not in self.in_hand)
        unsure = {id_of(entry): entry for entry in free if id_of(entry) not in self._ended}
        self._ended |= self._ended_of(unsure)
        return [entry for id_, entry in unsure.items() if id_ not in self._ended]

    def _ended_of(self, entries: Mapping[str, Entry]) -> set[str]:
        """Return the ids of what has come to its end, and note what others refused."""
        ended = self.context.arrivals.ended(list(entries))
        for id_, reason in self.context.arrivals.refused_by_others(list(ended)).items():
            self.refused_before.append((entries[id_], reason))
        return ended

    def _tell_of(self, linked: Sequence[str]) -> None:
        new = [path for path in linked if path not in self._linked]
        self._linked.update(new)
        self.unheard += [f"{shown(path)} is a link to a folder, and is not looked into" for path in new]


def id_of(entry: Entry) -> str:
    """Return the id of a content at an address."""
    return arrival_id(entry.source.uri, entry.mark)


def turns_of(path: str, read: Callable[[str, int], bytes | None]) -> Rttm | None:
    """Return a diariser's turns that lie beside a recording, as ``NAME.rttm``; None where there are none.

    Raises:
        OptionsError: they cannot be read.
    """
    for place in reversed(beside(path, ".rttm")):
        try:
            found = read(place, MOST_BYTES + 1)
            if found is not None:
                return parsed_rttm(found, shown(place))
        except (StenoflowError, OSError) as error:
            raise OptionsError(f"{shown(place)} cannot be read: {error}") from error
    return None
