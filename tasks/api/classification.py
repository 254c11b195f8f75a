"""Classify an answer or a broken connection as an error: pure, one place."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Iterator
from datetime import datetime

import httpx

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api import errors
from stenoflow.tasks.api.error_body import Complaint, hint_for, one_line, read_complaint
from stenoflow.tasks.api.retry import retry_after_s
from stenoflow.tasks.api.types import Reply, Target

_BILLING_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
_MODEL_CODES = frozenset({"model_not_found", "model_decommissioned", "model_not_active"})
_BY_STATUS: dict[int, type[errors.CallError]] = {
    401: errors.KeyRefusedError,
    402: errors.BillingStoppedError,
    403: errors.KeyRefusedError,
    404: errors.ModelNotFoundError,
    405: errors.WrongAddressError,
    408: errors.UploadCutError,
    413: errors.SegmentTooLargeError,
    429: errors.RateLimitedError,
}
# What a refusal is about, the likeliest meaning of an ambiguous one first.
_ABOUT: tuple[tuple[re.Pattern[str], type[errors.SegmentRefusedError]], ...] = (
    (re.compile(r"known_speaker", re.IGNORECASE), errors.VoicesRefusedError),
    (
        re.compile(r"granularit|word[- _](level[- _])?time ?stamp", re.IGNORECASE),
        errors.WordsRefusedError,
    ),
    (
        re.compile(r"response[_ ]format|verbose_json|does not support the format", re.IGNORECASE),
        errors.FormatRefusedError,
    ),
    (
        re.compile(
            r"context_length_exceeded|maximum context length|context (window|size)|n_ctx", re.IGNORECASE
        ),
        errors.ContextExceededError,
    ),
    (re.compile(r"language(?! model)", re.IGNORECASE), errors.LanguageRefusedError),
)
# A proxy passes a refusal on as its own failure, and says so in the words of its client library.
_WRAPPED = re.compile(r"\bError code: (4\d\d)\b|\b(?:litellm|openai)\.(\w+)Error\b")
_WRAPPED_STATUS = {
    "BadRequest": 400,
    "UnsupportedParams": 400,
    "ContextWindowExceeded": 400,
    "ContentPolicyViolation": 400,
    "Authentication": 401,
    "PermissionDenied": 403,
    "NotFound": 404,
    "UnprocessableEntity": 422,
    "RateLimit": 429,
}
# Else only one that says so in these words was free.
_REFUSES = re.compile(
    r"support|invalid|bad ?request|not allowed|compatible|unknown|unrecognized|must be|should be",
    re.IGNORECASE,
)
_ASKED_OTHERWISE = (errors.FormatRefusedError, errors.VoicesRefusedError, errors.LanguageRefusedError)
# httpx raises these before the first byte of a request is out.
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


# Who asks for less is waited for, and fewer calls help.
_LONG_WAIT_S = 60.0


def error_of_reply(reply: Reply, target: Target, now: datetime) -> errors.CallError:
    """Say what an answer other than 2xx means.

    Args:
        reply: its body may be cut short.
        target: whom it came from.
        now: with its timezone, for ``Retry-After`` with a date.
    """
    complaint = read_complaint(reply.body)
    kind = _kind(reply.status, complaint)
    said = f": {complaint.text}" if complaint.text else ""
    wait_s = retry_after_s(reply.headers, now)
    hint = hint_for(kind, target)
    if kind is errors.RateLimitedError and wait_s is not None and wait_s >= _LONG_WAIT_S:
        hint = f"it asks to wait {_spelled(wait_s)}; resume then"
    return kind(f"{target} answered {reply.status}{said}", hint, reply.status, wait_s)


def _spelled(wait_s: float) -> str:
    """Write how long a wait is: ``1 day``, ``90 minutes``; rounded up."""
    whole = math.ceil(wait_s)
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if whole % size == 0 or whole >= 2 * size:
            number = math.ceil(whole / size)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{whole} s"


def _kind(status: int, complaint: Complaint) -> type[errors.CallError]:
    if status >= 500:
        wrapped = _wrapped_status(complaint.text)
        return _kind_of_failure_told(complaint) if wrapped is None else _kind(wrapped, complaint)
    if complaint.code in _BILLING_CODES:
        return errors.BillingStoppedError
    if complaint.code in _MODEL_CODES:
        return errors.ModelNotFoundError
    return _BY_STATUS.get(status) or _kind_of_refusal(status, complaint)


def _wrapped_status(text: str) -> int | None:
    """Return the status of the refusal that a proxy tells of; None where it tells of none."""
    for found in _WRAPPED.finditer(text):
        status = int(found[1]) if found[1] else _WRAPPED_STATUS.get(found[2])
        if status is not None:
            return status
    return None


def _kind_of_refusal(status: int, complaint: Complaint) -> type[errors.CallError]:
    if status < 400:
        return errors.WrongAddressError
    # The field that is named says more than a text in which others are mentioned.
    for told in (complaint.param, complaint.code, complaint.text):
        for pattern, kind in _ABOUT:
            if pattern.search(told):
                return kind
    return errors.SegmentRefusedError


def _kind_of_failure_told(complaint: Complaint) -> type[errors.CallError]:
    kind = _kind_of_refusal(400, complaint)
    is_refusal = issubclass(kind, _ASKED_OTHERWISE) and _REFUSES.search(complaint.text)
    return kind if is_refusal else errors.UnknownOutcomeError


def error_of_page(target: Target, status: int) -> errors.CallError:
    """Say what a web page means that comes in place of an answer: nothing there transcribes or charges."""
    kind = errors.WrongAddressError
    return kind(f"{target} answered {status} with a web page", hint_for(kind, target), status)


def is_page(content_type: str) -> bool:
    """Tell whether an answer is labelled as a web page."""
    return content_type.lower().startswith(("text/html", "application/xhtml"))


def error_of_failure(failure: Exception, target: Target, *, upload_whole: bool) -> errors.CallError:
    """Say what a call that broke off means.

    Args:
        failure: from httpx, or the TimeoutError of the total deadline.
        target: whom the call went to.
        upload_whole: False only where it is certain that the body was not sent to its end.
    """
    kind = _kind_of_failure(failure, upload_whole=upload_whole)
    return kind(_message(kind, failure, target), hint_for(kind, target))


def _kind_of_failure(failure: Exception, *, upload_whole: bool) -> type[errors.CallError]:
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(failure)):
        return errors.CertificateError
    if isinstance(failure, _NOTHING_SENT):
        return errors.UnreachableError
    if isinstance(failure, httpx.DecodingError):
        return errors.BadAnswerError
    return errors.UnknownOutcomeError if upload_whole else errors.UploadCutError


def _message(kind: type[errors.CallError], failure: Exception, target: Target) -> str:
    reason = one_line(plain_reason(failure))
    if kind is errors.BadAnswerError:
        return f"{target} sent an answer that cannot be decoded: {reason}"
    if kind is errors.UploadCutError:
        return f"{target} took only part of the upload: {reason}"
    if kind is not errors.UnknownOutcomeError:
        return f"no connection to {target.address or target.provider}: {reason}"
    if isinstance(failure, (TimeoutError, httpx.TimeoutException)):
        return f"{target} did not answer in time"
    return f"the connection to {target} broke before the answer was whole: {reason}"


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__
