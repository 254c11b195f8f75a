"""A diariser's turns that lie beside a recording in a drop folder."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import StenoflowError
from tasks.inbox.entry import beside
from tasks.inbox.options import OptionsError
from tasks.sources.naming import shown
from tasks.speakers.diarised import MOST_BYTES, parsed_rttm
from tasks.speech.rttm import Rttm


def turns_of(path: str, read: Callable[[str, int], bytes | None]) -> Rttm | None:
    """Return a diariser's turns that lie beside a recording, as ``NAME.rttm``; None where there are none.

    Raises:
        OptionsError: they cannot be read.
    """
    for place in reversed(beside(path, ".rttm")):
        try:
            found = read(place, MOST_BYTES + 1)
            if found is not None:
                return parsed_rttm(found, shown(place))
        except (StenoflowError, OSError) as error:
            raise OptionsError(f"{shown(place)} cannot be read: {error}") from error
    return None
