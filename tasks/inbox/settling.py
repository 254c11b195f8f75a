"""Which recordings of an inbox are complete: whole at once, or unchanged for a number of looks."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.inbox.entry import Entry, Growth, Look


@dataclass(slots=True)
class Settling:
    """Remembers how many looks in a row have found a file as it is.

    Attributes:
        looks: how many must, at least 1.
    """

    looks: int
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    def complete(self, look: Look) -> list[Entry]:
        """Take note of a look; returns what is complete, in its order."""
        self._seen = {entry.path: (entry.mark, self._times(entry)) for entry in look.entries}
        return [entry for entry in look.entries if self._is_complete(entry)]

    def _times(self, entry: Entry) -> int:
        if entry.growth is Growth.OPEN:
            return 0
        mark, times = self._seen.get(entry.path, (entry.mark, 0))
        return times + 1 if mark == entry.mark else 1

    def _is_complete(self, entry: Entry) -> bool:
        return entry.growth is Growth.WHOLE or self._seen[entry.path][1] >= self.looks
