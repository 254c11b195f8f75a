from __future__ import annotations

from dataclasses import replace

from tasks.job_settings import JobSettings

_PLAIN = JobSettings("openai", "whisper-1", "verbose_json", 600_000, 60_000)


def test_jobs_of_before_keep_their_ids() -> None:
    """Worked out once by the first release's code."""
    first = {
        name: getattr(_PLAIN, name) for name in ("provider", "model", "format", "target_ms", "window_ms")
    }
    assert _PLAIN.to_dict() == first | {"language": None, "prompt": None, "stream": None}
    assert _PLAIN.settings_hash.startswith("cdb05b7f2c1fa988")


def test_what_is_asked_for_makes_another_job() -> None:
    asked = replace(_PLAIN, language="en")
    assert asked.settings_hash != _PLAIN.settings_hash
    assert JobSettings.from_dict(asked.to_dict()) == asked
