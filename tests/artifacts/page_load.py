"""Measure how a long page loads and scrolls in Chromium: ``python -m tests.artifacts.page_load [WORDS]``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from stenoflow.tasks.artifacts.page import render
from tests.artifacts.chromium import chromium
from tests.artifacts.talk import talk

_TIMING = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_SCROLL = """async () => {
  const frames = [];
  for (let at = 0, last = performance.now(); at < 200; at++) {
    scrollBy(0, 200);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  frames.sort((one, two) => one - two);
  return [frames[100], frames[190]];
}"""

# Measured inside, as Playwright's own looks take seconds at a page of this length.
_SEARCH = """() => new Promise(done => {
  const began = performance.now();
  const [query, count] = [document.querySelector("#query"), document.querySelector("#count")];
  new MutationObserver(() => done([performance.now() - began, count.textContent]))
    .observe(count, { childList: true });
  query.value = "website";
  query.dispatchEvent(new Event("input"));
})"""


def main() -> None:
    """Print the figures."""
    words = int(sys.argv[1]) if len(sys.argv) > 1 else 90_000
    made = talk(words)
    began = time.perf_counter()
    written = render(made).encode()
    _say(f"{words} words: {len(written)} bytes, rendered in {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder, "transcript.html")
        path.write_bytes(written)
        for _ in range(3):
            page = browser.new_page()
            page.goto(path.as_uri())
            _print_figures(page)
            page.close()


def _print_figures(page: Page) -> None:
    median, slow = page.evaluate(_SCROLL)
    found, count = page.evaluate(_SEARCH)
    _say(
        f"  painted at {page.evaluate(_PAINT):.0f} ms, loaded at {page.evaluate(_TIMING):.0f} ms;"
        f" a frame of scrolling {median:.0f} ms, 19 of 20 within {slow:.0f} ms;"
        f" search {found:.0f} ms ({count})"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
