"""Scan a drop folder for what is new and complete."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stenoflow.storage.database.arrivals import EndedArrival, arrival_id
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.chosen_models import transcription_model
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest, request_of
from stenoflow.tasks.jobs.transcribe.speakers import MOST_BYTES, NoTurnsError, parsed_rttm, with_turns
from stenoflow.tasks.media.safe_open import opened
from stenoflow.tasks.media.truncation import is_unfinished as lacks_its_end
from stenoflow.tasks.sources import local_path
from stenoflow.tasks.sources.attendees import clean_names, invited
from stenoflow.tasks.sources.file_names import is_unfinished, remark_on_others, shown
from stenoflow.tasks.sources.inbox import Inbox, prefix_of
from stenoflow.tasks.sources.inbox.entry import (
    Entry,
    InboxSnapshot,
    Read,
    StabilityTracker,
    WriteState,
    beside,
)
from stenoflow.tasks.sources.inbox.moving import SIDECARS
from stenoflow.tasks.sources.inbox.options import (
    FOLDER_FILE,
    InboxRules,
    OptionsError,
    Priority,
    RecordingOptions,
    options_of,
)
from stenoflow.tasks.sources.local import unreadable_folder
from stenoflow.tasks.transcript.speakers import Rttm

# What was seen to grow, or was taken too early once, must be found unchanged so many times as often.
_LONGER = 3
# What ends without its end, and was not written to for so long, is damaged rather than being written.
_ABANDONED_S = 600.0
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
    request: TranscribeRequest
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
        rules: the options that are said of all recordings, and which of them others may change.
        stability: tells what is complete.
        growing: paths of what the last look found new and not complete.
        in_hand: addresses of what is being transcribed now; nothing is read of those.
        notices: what else the looks found, to be told once; whoever tells it takes it away.
        ended_before: what others ended and left in the inbox; whoever moves it takes it away.
        is_single: it looks for one command only: what an earlier one put off is taken, and not again in this
            one. Otherwise, what was put off is taken when it is due.
    """

    context: AppContext
    inbox: Inbox
    rules: InboxRules
    stability: StabilityTracker
    growing: list[str] = field(default_factory=list)
    in_hand: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)
    ended_before: list[tuple[Entry, EndedArrival]] = field(default_factory=list)
    is_single: bool = False
    _ended: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _marks: dict[str, str] = field(default_factory=dict)
    _grown: set[str] = field(default_factory=set)
    _longer: StabilityTracker = field(init=False)

    def __post_init__(self) -> None:
        self._longer = StabilityTracker(_LONGER * self.stability.looks)

    @property
    def looks(self) -> int:
        """How many looks it takes to know what is complete of what there is now."""
        return (self._longer if self._grown.intersection(self.growing) else self.stability).looks

    def look(self) -> list[ScannedRecording]:
        """Return what is new and complete, the more urgent first.

        Raises:
            RefusedError: the inbox cannot be looked into.
        """
        look = self.inbox.look()
        self._tell_of(look)
        self._ended &= {id_of(entry) for entry in look.entries}
        new = self._new(look.entries)
        complete = self._complete(look, new)
        self.growing = [entry.path for entry in new if entry.path not in complete]
        read = _read_once(self.inbox.read, look.others)
        described = [self.describe(entry, read) for entry in new if entry.path in complete]
        scanned = self._without_ended(described)
        self.context.inboxes.looked(prefix_of(self.inbox.address))
        return sorted(scanned, key=lambda each: _RANKS[each.options.priority])

    def _complete(self, look: InboxSnapshot, new: Sequence[Entry]) -> set[str]:
        """Return the paths of what is complete; what was seen to grow must rest for longer."""
        settled = {entry.path for entry in self.stability.complete(look)}
        settled_longer = {entry.path for entry in self._longer.complete(look)}
        for entry in look.entries:
            if self._marks.setdefault(entry.path, entry.mark) != entry.mark:
                self._grown.add(entry.path)
        self._marks = {entry.path: entry.mark for entry in look.entries}
        # Another content was there when it was taken: a file that is written to again and again.
        before = self.context.arrivals.taken_before({entry.source.uri: entry.mark for entry in new})
        self._grown |= {entry.path for entry in new if entry.source.uri in before}
        whole = {entry.path for entry in new if entry.write_state is WriteState.WHOLE}
        settled = (settled - self._grown) | settled_longer | whole
        return {entry.path for entry in new if entry.path in settled and not _lacks_its_end(entry)}

    def announced(self, entries: Sequence[Entry]) -> list[ScannedRecording]:
        """Return what is new of recordings that somebody else says are complete."""
        return self._without_ended([self.describe(entry) for entry in self._new(entries)])

    def describe(self, entry: Entry, read: Read | None = None) -> ScannedRecording:
        """Read what is said of a recording; ``read``: None reads the inbox as it is now."""
        read = read or self.inbox.read
        learned = self.context.inboxes.terms(prefix_of(self.inbox.address))
        try:
            options = _with_terms(options_of(entry.path, read, self.rules), learned)
            options = _with_attendees(options, invited(entry.path, read))
            request = request_of(self.context, options)
            if options.speakers is None:
                request = self._with_turns(entry, request, read)
            return ScannedRecording(entry, options, request)
        except StenoflowError as error:
            refused = error if isinstance(error, RefusedError) else OptionsError(error.message, error.hint)
            options = RecordingOptions.model_validate(dict(self.rules.given))
            return ScannedRecording(entry, options, request_of(self.context, options), refused)

    def _with_turns(self, entry: Entry, request: TranscribeRequest, read: Read) -> TranscribeRequest:
        """Add a diariser's turns that lie beside a recording."""
        rttm = turns_of(entry.path, read)
        if rttm is None:
            return request
        try:
            return with_turns(self.context, request, rttm, entry.source.name, alone=True)
        except NoTurnsError as error:
            raise OptionsError(error.message, error.hint) from error

    def _without_ended(self, scanned: list[ScannedRecording]) -> list[ScannedRecording]:
        """Leave out what was refused for its options before, and has them still."""
        refused = {each.id: each.entry for each in scanned if each.refused is not None}
        ended = self._ended_of(refused)
        return [each for each in scanned if each.id not in ended]

    def _new(self, entries: Sequence[Entry]) -> list[Entry]:
        free = (entry for entry in entries if entry.source.uri not in self.in_hand)
        unsure = {id_of(entry): entry for entry in free if id_of(entry) not in self._ended}
        self._ended |= self._ended_of(unsure)
        new = {id_: entry for id_, entry in unsure.items() if id_ not in self._ended}
        now, mine = datetime.now(UTC), self.context.run_id
        put_off = self.context.arrivals.put_off_before(list(new))
        resting = {
            id_
            for id_, last in put_off.items()
            if (last.run_id == mine if self.is_single else now < last.due_at)
        }
        return [entry for id_, entry in new.items() if id_ not in resting]

    def _ended_of(self, entries: Mapping[str, Entry]) -> set[str]:
        """Return the ids of what has come to its end, and note what others ended."""
        ended = self.context.arrivals.ended(list(entries))
        for id_, arrival in self.context.arrivals.ended_by_others(list(ended)).items():
            self.ended_before.append((entries[id_], arrival))
        return ended

    def _tell_of(self, look: InboxSnapshot) -> None:
        """Note what a look passed over, each once."""
        told = [path for path in look.others if path not in self._told and not _belongs(path)]
        remark = remark_on_others(self.inbox.address, sorted(set(told).difference(look.linked)))
        new = [*(() if remark is None else (remark,)), *_other_remarks(look)]
        self.notices += [each for each in new if each not in self._told]
        self._told.update(told, new)


def _with_terms(options: RecordingOptions, terms: tuple[str, ...]) -> RecordingOptions:
    """Return options with more terms behind those of their glossary."""
    if not terms:
        return options
    return options.model_copy(update={"glossary": tuple(dict.fromkeys([*(options.glossary or ()), *terms]))})


def _with_attendees(options: RecordingOptions, invited: tuple[str, ...]) -> RecordingOptions:
    """Return options with more people behind their attendees."""
    if not invited:
        return options
    return options.model_copy(update={"attendees": clean_names([*options.attendees, *invited])})


def rules_of(context: AppContext, given: Mapping[str, Any], allow: Collection[str]) -> InboxRules:
    """Return the rules of an inbox, under the settings of this process."""
    settings = context.settings
    usual = {
        "model": transcription_model(settings),
        "digest": settings.digest,
        "budget": settings.budgets.run,
    }
    return InboxRules(given, allow, usual)


def _other_remarks(look: InboxSnapshot) -> Iterator[str]:
    yield from (f"{shown(path)} is a link to a folder, and is not looked into" for path in look.linked)
    yield from map(unreadable_folder, look.unreadable)


def _belongs(path: str) -> bool:
    """Tell whether a file is there for a recording's sake, or will be one."""
    name = path.rpartition("/")[2]
    return name in {"", FOLDER_FILE} or name.lower().endswith(SIDECARS) or is_unfinished(path)


def _lacks_its_end(entry: Entry) -> bool:
    """Tell whether a file visibly lacks its end, and was written to lately; nobody said that it is whole."""
    path = None if entry.write_state is WriteState.WHOLE else local_path(entry.source)
    if path is None:
        return False
    try:
        with opened(path) as file:
            age_s = time.time() - file.stamp[1] / 1e9
            return abs(age_s) < _ABANDONED_S and lacks_its_end(file)
    except (StenoflowError, OSError):
        return False  # what is wrong with it, taking it says


def id_of(entry: Entry) -> str:
    """Return the id of a content at an address."""
    return arrival_id(entry.source.uri, entry.mark)


def _read_once(read: Read, there: Collection[str]) -> Read:
    """Return what reads each file once, and only options that a look has found: each is a request to S3."""
    found: dict[tuple[str, int], bytes | None] = {}

    def read_listed(path: str, most_bytes: int) -> bytes | None:
        if path not in there and _belongs(path):
            return None
        if (path, most_bytes) not in found:
            found[path, most_bytes] = read(path, most_bytes)
        return found[path, most_bytes]

    return read_listed


def turns_of(path: str, read: Read) -> Rttm | None:
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
