from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime

import httpx
import pytest

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.classification import error_of_failure, error_of_reply
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.types import Reply, Target
from tests.servers.audio_api_modes import BILLING_CODES

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
TARGET = Target("openai", "whisper-9", "https://api.openai.com/v1")


def reply(status: int, message: str = "No.", **details: str) -> Reply:
    return Reply(status, json.dumps({"error": {"message": message, **details}}).encode())


def judge(answer: Reply) -> CallError:
    return error_of_reply(answer, TARGET, NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.WrongAddressError),
        (400, errors.SegmentRefusedError),
        (401, errors.KeyRefusedError),
        (402, errors.BillingStoppedError),
        (403, errors.KeyRefusedError),
        (404, errors.ModelNotFoundError),
        (405, errors.WrongAddressError),
        (408, errors.UploadCutError),
        (409, errors.SegmentRefusedError),
        (413, errors.SegmentTooLargeError),
        (415, errors.SegmentRefusedError),
        (422, errors.SegmentRefusedError),
        (429, errors.RateLimitedError),
        *((status, errors.UnknownOutcomeError) for status in (500, 501, 502, 503, 504, 529)),
        *((status, errors.UnknownOutcomeError) for status in range(520, 525)),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[CallError]) -> None:
    error = judge(reply(status))

    assert type(error) is kind
    assert error.status == status
    assert error.message == f"whisper-9 at openai answered {status}: No."


@pytest.mark.parametrize("code", BILLING_CODES)
def test_a_code_of_billing_stops_whatever_the_text_says(code: str) -> None:
    assert type(judge(reply(429, "Please retry later.", code=code))) is errors.BillingStoppedError


def test_the_text_alone_does_not_stop() -> None:
    assert type(judge(reply(429, "You exceeded your current quota."))) is errors.RateLimitedError


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_code_about_the_model_goes_before_the_status(status: int) -> None:
    assert type(judge(reply(status, code="model_not_found"))) is errors.ModelNotFoundError


def test_a_404_says_both_that_it_may_mean() -> None:
    hint = judge(Reply(404, b"<html>Not Found</html>")).hint

    assert "no model whisper-9" in hint
    assert "https://api.openai.com/v1 is not the API's address" in hint


@pytest.mark.parametrize(
    "answer",
    [
        reply(400, param="response_format"),
        reply(400, "response_format 'verbose_json' is not compatible with model 'x'."),
        reply(400, "This model does not support the format you provided."),
    ],
)
def test_a_refused_format_is_told_from_refused_audio(answer: Reply) -> None:
    assert type(judge(answer)) is errors.FormatRefusedError


_AT = b'{"detail": [{"loc": ["body", "%s"], "msg": "Input should be \'x\'", "type": "enum"}]}'


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(422, "Unsupported timestamp_granularities"), errors.WordsRefusedError),
        (reply(400, "Word-level timestamps are not available"), errors.WordsRefusedError),
        (reply(400, "needs response_format", param="timestamp_granularities"), errors.WordsRefusedError),
        (Reply(422, _AT % b"timestamp_granularities[]"), errors.WordsRefusedError),
        (Reply(422, _AT % b"response_format"), errors.FormatRefusedError),
        (Reply(422, _AT % b"language"), errors.LanguageRefusedError),
        (Reply(422, _AT % b"file"), errors.SegmentRefusedError),
        (reply(400, "Unsupported language: jw"), errors.LanguageRefusedError),
        (
            Reply(400, b'{"message": {"detail": [{"loc": ["body", "language"], "msg": "no"}]}}'),
            errors.LanguageRefusedError,
        ),
        (reply(400, "this language model's maximum context length is 9"), errors.ContextExceededError),
    ],
)
def test_what_is_refused_is_told_by_the_field(answer: Reply, kind: type[errors.CallError]) -> None:
    assert type(judge(answer)) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("litellm.BadRequestError: only support response_format text or json", errors.FormatRefusedError),
        ("BadRequestError: invalid language 'jw'", errors.LanguageRefusedError),
        ("failed to write the verbose_json", errors.UnknownOutcomeError),
        ("Error code: 400 - this file is not supported", errors.SegmentRefusedError),
        ("litellm.BadRequestError: OpenAIException - Invalid file format.", errors.SegmentRefusedError),
        ("litellm.APIConnectionError: XException - Error code: 413 - too large", errors.SegmentTooLargeError),
        ("litellm.NotFoundError: no such model", errors.ModelNotFoundError),
        ("litellm.RateLimitError: slow down", errors.RateLimitedError),
        ("litellm.InternalServerError: OpenAIException - Error code: 500", errors.UnknownOutcomeError),
        ("litellm.Timeout: no answer in 600 s", errors.UnknownOutcomeError),
        ("FileNotFoundError: /tmp/x", errors.UnknownOutcomeError),
    ],
)
def test_a_refusal_that_a_proxy_wraps_was_free(said: str, kind: type[errors.CallError]) -> None:
    assert type(judge(reply(500, said))) is kind


def test_retry_after_is_carried_along() -> None:
    assert judge(Reply(429, b"", {"retry-after": "7"})).retry_after_s == 7
    assert judge(Reply(503, b"", {"retry-after": "7"})).retry_after_s == 7


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("7", "lower --concurrency, or resume later"),
        ("86400", "it asks to wait 1 day; resume then"),
        ("5400", "it asks to wait 90 minutes; resume then"),
        ("7000.5", "it asks to wait 117 minutes; resume then"),
    ],
)
def test_a_long_wait_that_is_asked_for_is_said(told: str, said: str) -> None:
    assert judge(Reply(429, b"", {"retry-after": told})).hint == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "Not Found"}', ": Not Found"),
        (b'{"detail": [{"msg": "field required"}]}', ": field required"),
        (b'{"error": "no such thing"}', ": no such thing"),
        (b'{"message": "over there"}', ": over there"),
        (b'{"error": {"message": {"deep": 1}}}', ""),
        (b'{"error": {"message": "two\\nlines \\u001b[31m"}}', ": two lines [31m"),
        (b"<html>", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_apis_own_words_in_whatever_shape(body: bytes, said: str) -> None:
    assert judge(Reply(400, body)).message == f"whisper-9 at openai answered 400{said}"


def test_a_long_complaint_is_cut() -> None:
    assert len(judge(reply(400, "blah " * 10_000)).message) < 400


def untrusted() -> httpx.ConnectError:
    failure = httpx.ConnectError("certificate verify failed")
    failure.__cause__ = OSError("inner")
    failure.__cause__.__context__ = ssl.SSLCertVerificationError("self-signed certificate")
    return failure


@pytest.mark.parametrize(
    ("failure", "upload_whole", "kind"),
    [
        (httpx.ConnectError("refused"), False, errors.UnreachableError),
        (httpx.ConnectTimeout(""), False, errors.UnreachableError),
        (httpx.PoolTimeout(""), True, errors.UnreachableError),
        (httpx.ProxyError("407"), True, errors.UnreachableError),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER]"), False, errors.UnreachableError),
        (untrusted(), False, errors.CertificateError),
        (httpx.WriteTimeout(""), False, errors.UploadCutError),
        (httpx.ReadError(""), False, errors.UploadCutError),
        (TimeoutError(), False, errors.UploadCutError),
        (httpx.ReadTimeout(""), True, errors.UnknownOutcomeError),
        (httpx.ReadError(""), True, errors.UnknownOutcomeError),
        (httpx.RemoteProtocolError("peer closed"), True, errors.UnknownOutcomeError),
        (TimeoutError(), True, errors.UnknownOutcomeError),
        (httpx.DecodingError("bad gzip"), True, errors.BadAnswerError),
    ],
)
def test_each_way_a_call_breaks_off(failure: Exception, upload_whole: bool, kind: type[CallError]) -> None:
    error = error_of_failure(failure, TARGET, upload_whole=upload_whole)

    assert type(error) is kind
    assert "openai" in error.message
