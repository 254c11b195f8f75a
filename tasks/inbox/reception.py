"""Looking into a drop folder for what is new and complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.database.arrivals import arrival_id
from storage.errors import StenoflowError
from tasks.errors import RefusedError
from tasks.hearing import Wanted, job_settings
from tasks.inbox.entry import Entry
from tasks.inbox.opening import Inbox
from tasks.inbox.options import Options, OptionsError, Priority, options_of
from tasks.inbox.settling import Settling
from tasks.intake import Wish
from tasks.money.amounts import to_micro
from tasks.workshop import Workshop

_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A recording that is to be taken.

    Attributes:
        options: what was said of it; those of all where that cannot be used.
        refused: why it is refused at once; None: it is not.
    """

    entry: Entry
    options: Options
    wish: Wish
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
class Reception:
    """Looks into an inbox again and again.

    Attributes:
        given: options that are said of all recordings.
        settling: tells what is complete.
        growing: paths of what the last look found new and not complete.
        in_hand: addresses of what is being taken in now; nothing is read of those.
    """

    workshop: Workshop
    inbox: Inbox
    given: Mapping[str, Any]
    settling: Settling
    growing: list[str] = field(default_factory=list)
    in_hand: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)

    def look(self) -> list[Arrived]:
        """Return what is new and complete, the more urgent first.

        Raises:
            RefusedError: the inbox cannot be looked into.
        """
        look = self.inbox.look()
        complete = {entry.path for entry in self.settling.complete(look)}
        self._ended &= {id_of(entry) for entry in look.entries}
        new = self._new(look.entries)
        self.growing = [entry.path for entry in new if entry.path not in complete]
        arrived = self._without_ended([self.describe(entry) for entry in new if entry.path in complete])
        return sorted(arrived, key=lambda each: _RANKS[each.options.priority])

    def announced(self, entries: Sequence[Entry]) -> list[Arrived]:
        """Return what is new of recordings that somebody else says are complete."""
        return self._without_ended([self.describe(entry) for entry in self._new(entries)])

    def describe(self, entry: Entry) -> Arrived:
        """Read what is said of a recording."""
        try:
            options = options_of(entry.path, self.inbox.read, self.given)
            return Arrived(entry, options, wish_of(self.workshop, options))
        except StenoflowError as error:
            refused = error if isinstance(error, RefusedError) else OptionsError(error.message, error.hint)
            options = Options.model_validate(dict(self.given))
            return Arrived(entry, options, wish_of(self.workshop, options), refused)

    def _without_ended(self, arrived: list[Arrived]) -> list[Arrived]:
        """Leave out what was refused for its options before, and has them still."""
        refused = [each.id for each in arrived if each.refused is not None]
        ended = self.workshop.arrivals.ended(refused)
        return [each for each in arrived if each.id not in ended]

    def _new(self, entries: Sequence[Entry]) -> list[Entry]:
        free = (entry for entry in entries if entry.source.uri not in self.in_hand)
        unsure = [entry for entry in free if id_of(entry) not in self._ended]
        self._ended |= self.workshop.arrivals.ended([id_of(entry) for entry in unsure])
        return [entry for entry in unsure if id_of(entry) not in self._ended]


def wish_of(workshop: Workshop, options: Options) -> Wish:
    """Return what is asked of a job. Raises SettingsError for what nobody can do."""
    wanted = Wanted(
        options.model,
        language=options.language,
        segment_seconds=options.segment_seconds,
        stream=options.stream,
    )
    budget_micro = None if options.budget is None else to_micro(options.budget)
    digest = workshop.settings.digest if options.digest is None else options.digest
    settings = job_settings(workshop.settings, workshop.models, wanted)
    return Wish(settings, options.tag, budget_micro, digest=digest)


def id_of(entry: Entry) -> str:
    """Return the id of a content at an address."""
    return arrival_id(entry.source.uri, entry.mark)
