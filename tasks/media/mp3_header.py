"""Reading what an MP3's first frame declares about the whole (the Xing, LAME or "Info" header)."""

from __future__ import annotations

# The header stands behind the frame header (4 bytes) and the side information (9 for mono at 16 kHz,
# up to 32 otherwise).
_SEARCHED_BYTES = 64
_TAGS = (b"Info", b"Xing")
_HAS_FRAMES_BYTES_AND_TOC = 0x7
_LAME_PART = 120
# MPEG-2 layer III, which is what 16 kHz takes.
_FRAME_SAMPLES = 576


def samples_declared(content: bytes) -> int | None:
    """Say to how many samples a 16 kHz MP3 decodes, encoder delay and padding taken off.

    Returns:
        None where the header is missing or counts other bytes than there are: the encoder writes it
        last, so a file that was cut off has none that fits.
    """
    at = max(content.find(tag, 0, _SEARCHED_BYTES) for tag in _TAGS)
    if at < 0 or len(content) < at + _LAME_PART + 24:
        return None
    flags, frames, size = (_big_endian(content, at + offset, 4) for offset in (4, 8, 12))
    if flags & _HAS_FRAMES_BYTES_AND_TOC != _HAS_FRAMES_BYTES_AND_TOC or size != len(content):
        return None
    trims = _big_endian(content, at + _LAME_PART + 21, 3)
    delay, padding = trims >> 12, trims & 0xFFF
    return frames * _FRAME_SAMPLES - delay - padding


def _big_endian(content: bytes, offset: int, size: int) -> int:
    return int.from_bytes(content[offset : offset + size], "big")
