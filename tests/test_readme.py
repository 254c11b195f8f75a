from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.readme_models import table

_ROOT = Path(__file__).parents[1]
_ROOMS = ("flows", "flows/cli", "tasks", "storage", "tests")
_PAGES = [
    _ROOT / "README.md",
    *(_ROOT / room / "README.md" for room in _ROOMS),
    *sorted((_ROOT / ".github").glob("*.md")),
]


def test_the_table_of_models_is_what_the_table_and_the_price_book_say() -> None:
    readme = _ROOT / "tasks/README.md"
    assert table() in readme.read_text("utf-8"), f"it should be:\n{table()}"


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((_ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(_ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        file = (page.parent / name if name else page).resolve()
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
