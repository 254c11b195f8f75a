from __future__ import annotations

import json
import pickle

import pytest

from stenoflow.storage.errors import StenoflowError, lies_in_recording
from stenoflow.tasks.api.error_body import hint_for, read_complaint
from stenoflow.tasks.api.errors import CallError, ModelNotFoundError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.errors import ApiError


def below(kind: type[CallError]) -> list[type[CallError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in below(child))]


# Those of other rooms are there, too, where something has imported them.
KINDS = [kind for kind in below(CallError) if kind.__module__ == CallError.__module__]
MONEY = {kind.__name__: (kind.charged, kind.scope) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling_whole(kind: type[CallError]) -> None:
    error = kind("it broke", "mend it", 429, 1.5)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is kind
    assert (copy.message, copy.hint, copy.status, copy.retry_after_s) == ("it broke", "mend it", 429, 1.5)
    assert str(copy) == "it broke (mend it)"


def test_what_each_error_means_for_money_and_for_the_others() -> None:
    assert MONEY == {
        "CallError": ("no", "segment"),
        "UnreachableError": ("no", "retry"),
        "UploadCutError": ("no", "retry"),
        "RateLimitedError": ("no", "retry"),
        "CertificateError": ("no", "provider"),
        "KeyRefusedError": ("no", "provider"),
        "ModelNotFoundError": ("no", "provider"),
        "WrongAddressError": ("no", "provider"),
        "NotTranslatedError": ("no", "segment"),
        "BillingStoppedError": ("no", "provider"),
        "SegmentRefusedError": ("no", "segment"),
        "FormatRefusedError": ("no", "segment"),
        "WordsRefusedError": ("no", "segment"),
        "LanguageRefusedError": ("no", "segment"),
        "VoicesRefusedError": ("no", "segment"),
        "SegmentTooLargeError": ("no", "segment"),
        "ContextExceededError": ("no", "segment"),
        "DoubtfulError": ("possible", "retry"),
        "UnknownOutcomeError": ("possible", "retry"),
        "BadAnswerError": ("possible", "retry"),
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.__subclasses__()])
def test_every_error_that_is_raised_says_what_to_do(kind: type[CallError]) -> None:
    assert kind is not ModelNotFoundError or not hint_for(kind, Target("embedded", "whisper-9"))
    hint = hint_for(kind, Target("openai", "whisper-9", "https://example.invalid"))

    assert hint
    assert "{" not in hint
    assert issubclass(kind, ApiError)


def test_what_a_server_says_tells_nobody_how_to_get_in() -> None:
    said = {"error": {"message": "no access to https://me:pw@bucket.example/a.mp3?X-Amz-Signature=abc now"}}
    assert read_complaint(json.dumps(said).encode()).text == "no access to https://bucket.example/a.mp3 now"


def test_classes_of_one_kind_agree_whether_another_try_helps() -> None:
    said: dict[str, set[bool]] = {}
    classes: list[type[StenoflowError]] = [StenoflowError]
    for each in classes:
        classes += each.__subclasses__()
        said.setdefault(each.kind, set()).add(each.lies_in_recording)
    assert {kind for kind, several in said.items() if len(several) > 1} == set()
    finals = ("not-audio", "too-long", "api-refused", "api-bad-answer", "media")
    assert all(map(lies_in_recording, finals))
    again = ("budget", "api-key", "api-unreachable", "out-of-reach", "disk-full", "unexpected", "new", None)
    assert not any(map(lies_in_recording, again))
