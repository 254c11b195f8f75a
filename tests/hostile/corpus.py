"""The corpus: damaged and hostile files in families, the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tests.hostile import crafted, grafts, lies, playlists
from tests.hostile.baits import Baits
from tests.hostile.corruption import blocks, flips
from tests.hostile.false_times import false_times
from tests.hostile.originals import KINDS, Originals
from tests.hostile.special import make_special
from tests.hostile.truncation import Files, truncations

Family = Callable[[Originals, Baits], Files]


class Damage(Protocol):
    """A way to damage a recording of some kind."""

    def __call__(self, kind: str, whole: bytes, *, few: bool) -> Files:
        """Yield what becomes of it; ``few`` where the kind is seldom seen."""


def whole(originals: Originals, _: Baits) -> Files:
    """The recordings themselves, which nothing is wrong with."""
    for kind, content in originals.items():
        yield f"{kind}.{KINDS[kind].suffix}", content


def _each(damage: Damage) -> Family:
    def made(originals: Originals, _: Baits) -> Files:
        for kind, content in originals.items():
            for label, damaged in damage(kind, content, few=KINDS[kind].seldom):
                yield f"{kind}.{label}.{KINDS[kind].suffix}", damaged

    return made


FAMILIES: dict[str, Family] = {
    "whole": whole,
    "truncated": _each(truncations),
    "flipped": _each(flips),
    "blocks": _each(blocks),
    "swapped-headers": lambda originals, _: grafts.swapped_headers(originals),
    "concatenated": lambda originals, _: grafts.concatenated(originals),
    "mp3-lies": lambda originals, _: lies.mp3_lies(originals),
    "mp4-lies": lambda originals, _: lies.mp4_lies(originals),
    "riff-lies": lambda originals, _: lies.riff_lies(originals),
    "flac-lies": lambda originals, _: lies.flac_lies(originals),
    "matroska-lies": lambda originals, _: lies.matroska_lies(originals),
    "ogg-lies": lambda originals, _: lies.ogg_lies(originals),
    "false-times": lambda originals, _: false_times(originals),
    "plain-lies": lambda originals, _: lies.plain_lies(originals),
    "not-sound": lambda originals, _: crafted.not_sound(originals),
    "heavy": lambda originals, _: crafted.heavy(originals),
    "long-silence": lambda _, __: crafted.long_silence(),
    "playlists": lambda _, baits: playlists.playlists(baits),
    "sessions": lambda _, baits: playlists.session(baits),
    "polyglots": lambda originals, baits: playlists.polyglots(baits, originals),
    "patterns": lambda originals, _: playlists.patterns(originals),
    "references": lambda _, baits: playlists.references(baits),
}
SPECIAL = "special"


def write_corpus(folder: Path, originals: Originals, baits: Baits) -> dict[str, list[Path]]:
    """Write all files; those that name baits lie beside them.

    Returns:
        The files of each family.
    """
    written = {
        name: list(_write(folder, name, family(originals, baits), baits)) for name, family in FAMILIES.items()
    }
    return {**written, SPECIAL: make_special(folder / SPECIAL, originals["wav"])}


def _write(folder: Path, family: str, files: Files, baits: Baits) -> Iterator[Path]:
    names_baits = family in {"playlists", "sessions", "polyglots", "patterns", "references"}
    home = baits.beside if names_baits else folder / family
    home.mkdir(parents=True, exist_ok=True)
    for name, content in files:
        path = home / name
        assert not path.exists(), f"two files are named {path}"
        path.write_bytes(content)
        yield path
