from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.billing.amounts import from_micro, show, to_micro, to_micro_at_least
from stenoflow.tasks.billing.prices import Price, Tokens, load_book

_READ = {"source": "x", "date": "y"}
_PER_MINUTE = Price("openai", "whisper-1", Decimal("0.006"), "minute", "list", "2026-10-01")


@pytest.mark.parametrize(
    ("quantity_ms", "micro"), [(0, 0), (1, 0), (5, 1), (1_000, 100), (60_000, 6_000), (3_600_000, 360_000)]
)
def test_a_quantity_costs_its_share_halves_rounded_up(quantity_ms: int, micro: int) -> None:
    assert _PER_MINUTE.charge(quantity_ms) == micro


@given(st.integers(0, 10**9), st.decimals(0, 100, places=4))
def test_a_reserve_always_covers_the_charge(quantity: int, amount: Decimal) -> None:
    price = Price("p", "m", amount, "hour", "list", "2026-10-01", least=10_000)
    counted = price.most_counted(quantity)
    assert quantity <= counted < max(10_001, quantity + 1_000)
    assert 0 <= price.reserve(quantity) - price.charge(counted) <= 1
    assert price.charge(quantity) >= price.charge(0)


@pytest.mark.parametrize(("quantity_ms", "micro"), [(1, 100), (1_000, 100), (1_001, 200), (59_001, 6_000)])
def test_a_reserve_is_for_whole_seconds(quantity_ms: int, micro: int) -> None:
    assert _PER_MINUTE.reserve(quantity_ms) == micro


def test_a_reserve_for_characters_is_for_these() -> None:
    price = load_book().find("openai", "tts-1")
    assert price is not None
    assert (price.reserve(1), price.reserve(1_001)) == (15, 15_015)


def test_the_least_quantity_is_charged_for_less() -> None:
    price = load_book().find("groq", "whisper-large-v3")
    assert price is not None
    assert price.charge(1_000) == price.charge(10_000) == 308


def test_prices_belong_to_a_provider_and_fall_back_to_the_makers_list() -> None:
    book = load_book()
    assert book.find("openai", "whisper-1") == book.find("gateway.example", "whisper-1")
    assert book.find("openai", "no-such-model") is None
    assert book.find("groq", "whisper-1") is None


def test_a_users_entry_wins_and_a_bad_one_is_named() -> None:
    book = load_book(
        {"openai": {"whisper-1": {"amount": "0.1", "per": "minute", "source": "x", "date": "y"}}}
    )
    price = book.find("openai", "whisper-1")
    assert price is not None
    assert price.charge(60_000) == 100_000
    with pytest.raises(ValueError, match="my-model at here"):
        load_book({"here": {"my-model": {"amount": "0.1", "per": "fortnight", "source": "x", "date": "y"}}})


@given(st.integers(-(10**12), 10**12))
def test_micro_units_and_decimals_are_the_same_amount(micro: int) -> None:
    assert to_micro(from_micro(micro)) == to_micro_at_least(from_micro(micro)) == micro
    assert to_micro(Decimal(show(micro))) == micro


@pytest.mark.parametrize(
    ("micro", "shown"), [(60_000, "0.0600"), (115, "0.000115"), (12_340, "0.01234"), (0, "0.0000")]
)
def test_amounts_are_written_with_four_decimals_or_as_many_as_they_have(micro: int, shown: str) -> None:
    assert show(micro) == shown


_CHAT = Price("openai", "m", Decimal("0.15"), "million tokens", "list", "2026", output=Decimal("0.60"))


def test_tokens_read_and_written_have_prices_of_their_own() -> None:
    assert _CHAT.charge_tokens(Tokens(20_000, 1_000)) == 3_000 + 600
    assert replace(_CHAT, output=None).charge_tokens(Tokens(20_000, 1_000)) == 3_150
    book = load_book({"here": {"m": {"amount": "1", "output": "2", "per": "million tokens"} | _READ}})
    price = book.find("here", "m")
    assert price is not None
    assert price.output == 2


@pytest.mark.parametrize(("output", "per"), [("-1", "million tokens"), ("1", "minute")])
def test_an_output_price_that_makes_no_sense_is_named(output: str, per: str) -> None:
    with pytest.raises(ValueError, match="my-model at here"):
        load_book({"here": {"my-model": {"amount": "1", "output": output, "per": per} | _READ}})


@given(st.integers(0, 10**7), st.integers(0, 10**6))
def test_what_tokens_may_cost_covers_what_they_cost(read: int, written: int) -> None:
    tokens = Tokens(read, written)
    assert 0 <= _CHAT.reserve_tokens(tokens) - _CHAT.charge_tokens(tokens) <= 1


def test_audio_tokens_are_charged_by_the_length_of_what_was_spoken() -> None:
    price = load_book().find("gateway.example", "gemini-2-5-tts")
    assert price is not None
    # 25 tokens a second: a minute is 1,500 of a million that cost 10 USD.
    assert price.charge(60_000) == 15_000
    assert price.unit == "ms"


@pytest.mark.parametrize("wrong", [{"per": "million audio tokens"}, {"per": "minute", "rate": 25}])
def test_a_rate_belongs_to_audio_tokens(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rate"):
        load_book({"mine": {"voice": {"amount": "1", **_READ, **wrong}}})
