"""Messages from elsewhere, made fit to stand in front of a conversation.
Ids are made unique and answers are put in call order (R2, R8); what was said is not changed."""

from collections.abc import Iterable

from segue.core.log import Names
from segue.core.messages import Assistant, Call, Message, System, ToolAnswer
from segue.core.turns import sendable, unique
from segue.errors import IllegalEvent


def adopt(messages: Iterable[Message]) -> tuple[tuple[Message, ...], Names]:
    """The messages as views may hold them, and the ids of their calls.

    Raises `IllegalEvent` for instructions among them, for a call without an answer and for an answer without a call.
    """
    adopted: list[Message] = []
    ids = Names()
    owed: list[tuple[str, Call]] = []
    answers: dict[str, ToolAnswer] = {}
    for place, message in enumerate(messages):
        if isinstance(message, ToolAnswer):
            call = next((call for came, call in owed if came == message.call_id and call.id not in answers), None)
            if call is None:
                raise IllegalEvent(f"Earlier message {place} answers a call that was not made, or was answered before.")
            answers[call.id] = ToolAnswer(call.id, call.name, message.content or "")
            if len(answers) == len(owed):
                adopted.extend(answers[call.id] for _, call in owed)
                owed, answers = [], {}
            continue
        if owed:
            raise IllegalEvent(f"Earlier message {place} comes before all calls are answered.")
        if isinstance(message, System):
            raise IllegalEvent("Instructions are the active agent's; they are no part of a conversation.")
        if isinstance(message, Assistant):
            for index, call in enumerate(message.calls):
                fit = unique(sendable(call), f"call_0_{place}_{index}", ids)
                ids = ids.add(fit.id)
                owed.append((call.id, fit))
            message = message._replace(calls=tuple(call for _, call in owed))
            if not message.calls and not message.text:
                continue
        elif not message.content:
            continue
        adopted.append(message)
    if owed:
        raise IllegalEvent(f"The earlier call of {owed[0][1].name} is not answered.")
    return tuple(adopted), ids
