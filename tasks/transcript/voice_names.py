"""Names for voices: who is known again clearly, who perhaps, and who not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNSURE = "?"
"""Behind a name that nobody has confirmed yet: ``Anna?``."""


@dataclass(frozen=True, slots=True)
class NamingRule:
    """How alike voices must be, from 0 to 1.

    Attributes:
        clear: from here on it is the same person.
        perhaps: from here on it may be.
        ahead: by so much, the next one of another name must be less alike, or it is not clear.
    """

    clear: float
    perhaps: float
    ahead: float = 0.05


def known_again(likeness: Mapping[str, Mapping[str, float]], rule: NamingRule) -> dict[str, str]:
    """Name the speakers of a recording who are known from others.

    Each name is given once: to whoever is most like it. Where that is not clear, a question mark follows.

    Args:
        likeness: by our labels of the speakers, how alike each is to the voice of each name.
        rule: how alike they must be.

    Returns:
        Names by labels; who is like nobody is not in it.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    pairs = sorted(
        ((alike, label, name) for label, names in likeness.items() for name, alike in names.items()),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    for alike, label, name in pairs:
        if alike < rule.perhaps or label in found or name in taken:
            continue
        others = [other for each, other in likeness[label].items() if each != name]
        is_clear = alike >= rule.clear and alike - max(others, default=-1.0) >= rule.ahead
        found[label] = name if is_clear else f"{name}{UNSURE}"
        taken.add(name)
    return found
