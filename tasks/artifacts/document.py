"""What is rendered: a transcript, with what formats need beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from tasks.minutes.writing import MinutesDocument
from tasks.speech.cue_rules import NETFLIX, Breach, Cue, CueRules, breaches
from tasks.speech.cues import make_cues
from tasks.speech.transcript import Transcript


@dataclass(frozen=True)
class Document:
    """A transcript to be published.

    Attributes:
        name: the recording's, for people.
        rules: which its subtitles keep.
        source: the recording's address (``file:///…``, ``s3://…``).
        minutes: of the meeting, for the page; None where there are none.
    """

    transcript: Transcript
    name: str = ""
    rules: CueRules = NETFLIX
    source: str = ""
    minutes: MinutesDocument | None = None

    @cached_property
    def cues(self) -> list[Cue]:
        """The subtitles; made once for all formats."""
        return make_cues(self.transcript.utterances, self.rules)

    @cached_property
    def breaches(self) -> dict[Breach, int]:
        """How often each rule is not kept; those that are kept throughout are left out."""
        return dict(Counter(breach for breach, _ in breaches(self.cues, self.rules)))
