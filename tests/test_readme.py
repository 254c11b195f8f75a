from __future__ import annotations

from pathlib import Path

from tests.readme_prices import table


def test_the_table_of_costs_is_what_the_price_book_says() -> None:
    readme = Path(__file__).parents[1] / "README.md"
    assert table() in readme.read_text("utf-8"), f"it should be:\n{table()}"
