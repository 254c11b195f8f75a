"""What a chat model is asked in a conversation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tasks.audio_api.chat import Message
from tasks.minutes.lines import size

INSTRUCTIONS = (
    "You are talking with somebody, and your answer is read aloud. Answer what they say in their language, "
    "in a few plain spoken sentences: no lists, no headings, no markup, no links."
)
"""What a model is told unless the user says something else."""


def conversation(
    instructions: str | None, turns: Sequence[tuple[str, str]], said: str, room: int
) -> tuple[Message, ...]:
    """Return the messages of a question.

    Args:
        instructions: to the model; None: the usual ones.
        turns: (role, text) of what was said before; the oldest are left out where there is no room.
        said: now.
        room: how many tokens all may be, as `tasks.minutes.lines.size` counts.
    """
    told = Message("system", instructions or INSTRUCTIONS)
    now = Message("user", said)
    left = room - size(told.text) - size(now.text)
    kept: list[Message] = []
    for role, text in reversed(turns):
        left -= size(text)
        if left < 0:
            break
        kept.append(Message(_role(role), text))
    # An answer without its question says nothing.
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return (told, *reversed(kept), now)


def _role(role: str) -> Literal["user", "assistant"]:
    return "assistant" if role == "assistant" else "user"
