"""The work keys of a recording's segments, in order: what some depend on is the answers to others."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.database.catalog import CutSegment
from tasks.job_settings import JobSettings, Speakers
from tasks.speech.voices import OPENING_SEGMENTS


@dataclass(slots=True)
class WorkKeys:
    """Gives each segment its key; they must come in the order of their numbers, from the first.

    Where the model tells voices apart, clips of who speaks in the first segments go along with the others.
    Which clips these are follows from the first segments' answers, and those are never asked for again: so
    the keys of the first ones stand for them, and a rerun finds all answers.
    """

    settings: JobSettings
    sha256: str
    _opening: list[str] = field(default_factory=list)

    def of(self, cut: CutSegment) -> str:
        """Return the key of the next segment."""
        key = self.settings.work_key(
            self.sha256, cut.spans, channel=cut.channel, after=tuple(self._opening), gain_db=cut.gain_db
        )
        if (
            self.settings.speakers == Speakers.MODEL
            and not cut.is_silent
            and len(self._opening) < OPENING_SEGMENTS
        ):
            self._opening.append(key)
        return key
