"""What is rendered: a transcript, with what formats need beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.speech.cue_rules import NETFLIX, Breach, Cue, CueRules, breaches
from tasks.speech.cues import make_cues
from tasks.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Speaking:
    """How it is told who speaks.

    Attributes:
        by: channels, model or turns; None: not at all.
        labels: what the speakers are called by us, in order of appearance.
        names: what people call them, by label; those without a name keep their label.
        throughout: each label is one person in the whole recording.
    """

    by: str | None = None
    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    throughout: bool = True

    @property
    def shown(self) -> list[str]:
        """What the speakers are called in the artifacts, each once, in order of appearance."""
        return list(dict.fromkeys(self.names.get(label, label) for label in self.labels))


@dataclass(frozen=True)
class Document:
    """A transcript to be published.

    Attributes:
        name: the recording's, for people.
        rules: which its subtitles keep.
        source: the recording's address (``file:///…``, ``s3://…``).
        speaking: how it is told who speaks.
    """

    transcript: Transcript
    name: str = ""
    rules: CueRules = NETFLIX
    source: str = ""
    speaking: Speaking = field(default_factory=Speaking)

    @cached_property
    def cues(self) -> list[Cue]:
        """The subtitles; made once for all formats."""
        return make_cues(self.transcript.utterances, self.rules)

    @cached_property
    def breaches(self) -> dict[Breach, int]:
        """How often each rule is not kept; those that are kept throughout are left out."""
        return dict(Counter(breach for breach, _ in breaches(self.cues, self.rules)))
