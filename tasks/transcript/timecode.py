"""Integer milliseconds and samples, and how people and files write them."""

from __future__ import annotations

SAMPLE_RATE = 16_000
"""Samples a second, everywhere sound is cut."""

SAMPLES_PER_MS = SAMPLE_RATE // 1000


def samples_to_ms(samples: int) -> int:
    """Convert a sample position to the nearest millisecond."""
    return (samples * 2 + SAMPLES_PER_MS) // (2 * SAMPLES_PER_MS)


def ms_to_samples(milliseconds: int) -> int:
    """Convert milliseconds to samples, exactly."""
    return milliseconds * SAMPLES_PER_MS


def seconds(milliseconds: int) -> float:
    """Convert to seconds for JSON; three decimals, exactly what the integer says."""
    return milliseconds / 1000


def clock(milliseconds: int) -> str:
    """Write whole seconds as ``HH:MM:SS``, rounding down; hours may pass 99."""
    whole = milliseconds // 1000
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
