"""What has changed in a team since a conversation was driven last (R31): compared by fingerprints, told in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from segue.core.conversation import Conversation
from segue.core.events import RunEnded
from segue.core.messages import Json
from segue.errors import UsageError
from segue.team import Team

OnChange = Literal["adopt", "refuse", "ask"]

AGAIN = "Bring it back into the code, then resume the conversation."
AGREED = "Resume the conversation to go on under the new code."


def checked_change(policy: Any) -> OnChange:
    """The policy, if it is one."""
    if policy not in ("adopt", "refuse", "ask"):
        raise UsageError(f'on_change={policy!r}: give "adopt", "refuse" or "ask".')
    return policy  # type: ignore[no-any-return]


def differences(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """What differs between two fingerprints of a team, in words; nothing where there was none before."""
    if not before or before == now:
        return []
    words = [f"the agent {name} is new" for name in now if name not in before]
    words += [f"the agent {name} is gone" for name in before if name not in now]
    for name in now:
        if name in before:
            words += [f"{name}: {change}" for change in _changes(before[name], now[name])]
    return words


def _changes(before: Any, now: Any) -> Sequence[str]:
    if not isinstance(before, dict) or before == now:
        return []
    words = ["its instructions have changed"] if before.get("instructions") != now.get("instructions") else []
    old, new = before.get("tools") or {}, now.get("tools") or {}
    words += [f"its tool {name} is new" for name in new if name not in old]
    words += [f"its tool {name} is gone" for name in old if name not in new]
    words += [f"its tool {name} has changed" for name in new if name in old and new[name] != old[name]]
    if before.get("handoffs") != now.get("handoffs"):
        ways = [", ".join(made.get("handoffs") or []) or "nobody" for made in (before, now)]
        words.append(f"it hands off to {ways[1]}, and not to {ways[0]}")
    if before.get("model") != now.get("model"):
        words.append(f"its model is {now.get('model') or 'not set'}, and was {before.get('model') or 'not set'}")
    return words


def missing(c: Conversation, team: Team) -> RunEnded | None:
    """The end that parks a conversation whose agents, or a tool of an open call, this team lacks; `None` if it lacks none."""
    for frame in c.stack:
        if frame.agent not in team:
            return _parked("missing agent", f"the agent {frame.agent} is not in the team any more", AGAIN)
    if c.turn is None:
        return None
    had: Any = c.fingerprint.get(c.turn.agent)
    table = team.member(c.turn.agent).table
    for slot in c.turn.slots:
        name = slot.call.name
        known = isinstance(had, dict) and name in (had.get("tools") or {})
        if slot.outcome is None and name not in table and (known or slot.started is not None or slot.approval is not None):
            return _parked("missing tool", f"{c.turn.agent} has no tool {name} any more, and a call of it is open", AGAIN)
    return None


def parked_for(changes: Sequence[str]) -> RunEnded:
    """The end that parks a conversation until a person agrees that it goes on under changed code."""
    return _parked("changed", f"the code has changed since it was driven last: {'; '.join(changes)}", AGREED)


def _parked(reason: str, what: str, mend: str) -> RunEnded:
    return RunEnded("parked", reason, f"Parked: {what}. {mend}", "ConversationParked", {"reason": reason})
