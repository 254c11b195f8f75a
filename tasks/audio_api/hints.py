"""What a user can do about each error of the API."""

from __future__ import annotations

from tasks.audio_api import errors
from tasks.audio_api.exchange import Target

_HINTS: dict[type[errors.CallError], str] = {
    errors.UnreachableError: "check the network and OPENAI_BASE_URL",
    errors.UploadCutError: "nothing was charged; try again, on a steadier connection if it comes back",
    errors.RateLimitedError: "lower --concurrency, or resume later",
    errors.CertificateError: "check OPENAI_BASE_URL; for a certificate of your own set SSL_CERT_FILE",
    errors.KeyRefusedError: "check OPENAI_API_KEY, and that the key may use this model",
    errors.ModelNotFoundError: (
        "either {provider} has no model {model}: check --model; or {address} is not the API's address:"
        " OPENAI_BASE_URL usually ends in /v1"
    ),
    errors.WrongAddressError: "{address} is not the API's address: OPENAI_BASE_URL usually ends in /v1",
    errors.NotTranslatedError: "it hears all the same: without --translate there is a transcript",
    errors.BillingStoppedError: "add credit or raise the limit at {provider}, then resume",
    errors.SegmentRefusedError: "the other segments go on; resume tries this one again",
    errors.SegmentTooLargeError: "choose a smaller --segment-seconds",
    errors.ContextExceededError: 'say its context in stenoflow.toml: [chat_models."{model}"] context = …',
    errors.UnknownOutcomeError: "it may have been charged, and is recorded so; resume tries again",
    errors.BadAnswerError: "it was probably charged, and is recorded so; resume tries again",
}


def hint_for(kind: type[errors.CallError], target: Target) -> str:
    """Return the hint of an error class, or of the nearest class above it."""
    text = next((_HINTS[known] for known in kind.__mro__ if known in _HINTS), "")
    return text.format(provider=target.provider, model=target.model or "of that name", address=target.address)
