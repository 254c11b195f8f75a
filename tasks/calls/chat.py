"""A question to a chat model, as a paid call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.states import Activity
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.calls.bills import bill_chat, reserve_chat
from stenoflow.tasks.calls.paid_call import Accepted, PaidCall, Suspected, Verdict
from stenoflow.tasks.errors import FailedError

_TIMES = 2
# The second time: a model that is asked the same in the same way says the same.
_SECOND_TEMPERATURE = 0.7


class UnusableAnswerError(FailedError):
    """The model answered twice, and nothing can be made of either; both were paid for and are kept."""

    kind = "unusable-answer"
    lies_in_recording = True


@dataclass(slots=True, kw_only=True)
class ChatCall(PaidCall[ChatAnswer]):
    """Asks a question; asks it once more, otherwise, where the answer cannot be used.

    Attributes:
        is_usable: tells whether an answer can be used.
        on_text: given the answer piece by piece, as it comes; None: it is had as a whole.
        begin: called before each attempt; what it raises keeps that from being made.
    """

    noun: ClassVar[str] = "question"

    activity: Activity = Activity.CHAT
    request: ChatRequest
    is_usable: Callable[[ChatAnswer], bool]
    on_text: Callable[[str], object] | None = None
    begin: Callable[[], object] = lambda: None
    _answers: int = field(default=0, init=False)

    async def before_attempt(self) -> None:
        """Let the caller know that an answer may come from its beginning."""
        self.begin()

    def reserve(self) -> Bill:
        """Reserve the question, and the longest answer."""
        return reserve_chat(self.price, self.request)

    async def send(self, api: AudioApi) -> ChatAnswer:
        """Send the question."""
        model = self.context.chat_models.get(self.request.model)
        request = replace(self.request, effort=model.reasoning_effort)
        if self._answers:
            request = replace(request, temperature=_SECOND_TEMPERATURE)
        if self.on_text is None:
            return await api.chat(request)
        return await api.stream_chat(request, self.on_text, marks_thoughts=model.marks_thoughts)

    def accept(self, answer: ChatAnswer) -> Verdict:
        """Take an answer that can be used; the second that cannot is the last."""
        self._answers += 1
        if self.is_usable(answer):
            return Accepted(answer.raw, "cut-short" if answer.is_cut_short else None)
        if self._answers < _TIMES:
            return Suspected(answer.raw)
        return Suspected(
            answer.raw,
            UnusableAnswerError(
                f"{self.target} answered {_TIMES} times, and not as it was asked to",
                "both answers are kept; try another --model",
            ),
        )

    def bill(self, answer: ChatAnswer) -> Bill:
        """Charge the tokens."""
        return bill_chat(self.price, self.request, answer)
