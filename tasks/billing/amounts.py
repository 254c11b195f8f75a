"""Amounts of money: integer micro-units (a millionth of the currency) inside, decimals at the edge."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

MICRO = 1_000_000
LARGEST = Decimal((2**63 - 1) // MICRO)
"""The largest amount whose micro-units a column of the database holds."""


def to_micro(amount: Decimal) -> int:
    """Convert an amount to micro-units, halves rounded up."""
    return int((amount * MICRO).to_integral_value(ROUND_HALF_UP))


def to_micro_at_least(amount: Decimal) -> int:
    """Convert an amount to micro-units, rounded up: for reserves."""
    return int((amount * MICRO).to_integral_value(ROUND_CEILING))


def from_micro(micro: int) -> Decimal:
    """Convert micro-units to an amount, exactly."""
    return Decimal(micro) / MICRO


def show(micro: int) -> str:
    """Write an amount with four decimals, or up to six where it has them ("0.0600", "0.000115")."""
    text = f"{from_micro(micro):.6f}"
    return text[:-2] if text.endswith("00") else text.rstrip("0") if text.endswith("0") else text
