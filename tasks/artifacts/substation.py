"""`transcript.ass` (Advanced SubStation), written by pysubs2."""

from __future__ import annotations

import io

import pysubs2
from pysubs2.formats.substation import SubstationFormat

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.sanitize import for_ass

# As wide as the picture that nearly all players take it for, so that a line of 42 columns fits.
_WIDTH, _HEIGHT = 1280, 720
_STYLE = pysubs2.SSAStyle(
    fontname="Arial", fontsize=44, outline=2.5, shadow=0, marginl=60, marginr=60, marginv=40
)


def render(document: Document) -> str:
    """Render Advanced SubStation: who speaks stands in the field for that, not in the text."""
    file = pysubs2.SSAFile()
    file.info.update(
        {"PlayResX": str(_WIDTH), "PlayResY": str(_HEIGHT), "ScaledBorderAndShadow": "yes", "WrapStyle": "0"}
    )
    file.styles["Default"] = _STYLE
    for cue in document.unnamed_cues:
        text = "\\N".join(map(for_ass, cue.lines))
        # Fields are parted by commas, and only the last may hold one.
        name = (cue.speaker or "").replace(",", " ")
        file.append(pysubs2.SSAEvent(start=cue.start_ms, end=cue.end_ms, text=text, name=name))
    written = io.StringIO()
    _LongSubstation.to_file(file, written, "ass", header_notice="Written by Stenoflow")
    return written.getvalue()


class _LongSubstation(SubstationFormat):
    """The format without pysubs2's cap: hours have one digit by the letter, and players read more."""

    @staticmethod
    def ms_to_timestamp(requested_ms: int) -> str:
        """Write hours, minutes, seconds and hundredths."""
        hundredths = (requested_ms + 5) // 10
        seconds = hundredths // 100
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{hundredths % 100:02d}"
