"""The ways a call can fail, and what each means for money and for the others.

stenoflow.tasks.errors.ApiError
└── CallError                     charged     scope
    ├── UnreachableError          no          retry      nothing was sent
    ├── UploadCutError            no          retry      the upload did not arrive whole
    ├── RateLimitedError          no          retry      429: wait as told
    ├── CertificateError          no          provider
    ├── KeyRefusedError           no          provider   401, 403
    ├── ModelNotFoundError        no          provider   404
    ├── WrongAddressError         no          provider   3xx, 405, a page with status 200
    ├── BillingStoppedError       no          provider   402, 429 with a code of billing
    ├── NotTranslatedError        no          segment    404 where translations are asked for
    ├── SegmentRefusedError       no          segment    400, 415, 422
    │   ├── FormatRefusedError    no          segment    ... about response_format, also as a 500
    │   │   └── WordsRefusedError no          segment    ... about timestamp_granularities
    │   ├── LanguageRefusedError  no          segment    ... about language
    │   ├── VoicesRefusedError    no          segment    ... about known_speaker_references
    │   ├── SegmentTooLargeError  no          segment    413
    │   └── ContextExceededError  no          segment    ... about a chat model's context
    └── DoubtfulError             possible    retry      at most twice
        ├── UnknownOutcomeError                          no answer, or 5xx
        └── BadAnswerError                               a 200 that is no good
"""

from __future__ import annotations

from typing import ClassVar, Literal

from stenoflow.tasks.errors import ApiError

Charged = Literal["no", "possible"]
ErrorScope = Literal["segment", "provider", "retry"]


class CallError(ApiError):
    """A call to the audio API that gave no result.

    Args:
        message: one line: what happened, to which model at which provider.
        hint: one line: what the user can do.
        status: the HTTP status, where there was one.
        retry_after_s: how long the API asks to wait, in seconds, where it said so.

    Attributes:
        charged: whether the provider may have charged for it.
        scope: what it concerns: this "segment" only; the whole "provider", so that no other call makes
            sense; or nothing in particular: "retry".
    """

    charged: ClassVar[Charged] = "no"
    scope: ClassVar[ErrorScope] = "segment"

    def __init__(
        self, message: str, hint: str = "", status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, status, retry_after_s)
        self.status = status
        self.retry_after_s = retry_after_s


class UnreachableError(CallError):
    """No connection came about: nothing was sent."""

    kind = "api-unreachable"
    scope = "retry"


class UploadCutError(CallError):
    """The connection ended before the upload was whole, so there was nothing to transcribe."""

    kind = "api-unreachable"
    scope = "retry"


class RateLimitedError(CallError):
    """The API asks for fewer calls."""

    kind = "api-rate-limit"
    scope = "retry"


class CertificateError(CallError):
    """The server's certificate is not to be trusted."""

    kind = "api-certificate"
    scope = "provider"


class KeyRefusedError(CallError):
    """The API key is missing, wrong, or not allowed to do this."""

    kind = "api-key"
    scope = "provider"


class ModelNotFoundError(CallError):
    """There is no such model, or no API at this address."""

    kind = "api-model"
    scope = "provider"


class WrongAddressError(CallError):
    """Something answers, but not the API."""

    kind = "api-address"
    scope = "provider"


class NotTranslatedError(CallError):
    """The API has no translations, or not by this model; it may transcribe all the same."""

    kind = "api-not-translated"


class BillingStoppedError(CallError):
    """The account has no credit, or has reached its limit: there is nothing to wait for."""

    kind = "api-billing"
    scope = "provider"


class SegmentRefusedError(CallError):
    """The API will not take this segment as it is."""

    kind = "api-refused"
    lies_in_recording = True


class FormatRefusedError(SegmentRefusedError):
    """The API refused the answer's format, not the audio."""


class WordsRefusedError(FormatRefusedError):
    """The API does not give the times that were asked for: not of words, or not by name."""


class LanguageRefusedError(SegmentRefusedError):
    """The API does not take the language that it was told."""


class VoicesRefusedError(SegmentRefusedError):
    """The API does not take the clips of known speakers."""


class SegmentTooLargeError(SegmentRefusedError):
    """The segment is larger than the API takes."""

    kind = "api-too-large"


class ContextExceededError(SegmentRefusedError):
    """The question is longer than the chat model's context."""

    kind = "api-context"


class DoubtfulError(CallError):
    """No result, and the provider may have charged for it all the same."""

    charged = "possible"
    scope = "retry"


class UnknownOutcomeError(DoubtfulError):
    """The upload went out and no answer came back, or one that says nothing about the outcome."""

    kind = "api-unknown-outcome"


class BadAnswerError(DoubtfulError):
    """The API said 200 and its answer cannot be used."""

    kind = "api-bad-answer"
    lies_in_recording = True
