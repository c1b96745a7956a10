"""Approvals that are decided days later: the process is gone, and the code may have changed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segue import clock
from segue.core.conversation import Status
from segue.core.events import ApprovalAsked, ApprovalDecided, DriveStarted
from segue.core.fold import replay
from segue.errors import ApprovalError, CodeChanged, ConversationParked
from segue.journal.base import fold
from segue.journal.sqlite import SqliteJournal
from tests.counter import Counter
from tests.scale import scaled

TWO_DAYS, EIGHT_DAYS = 48 * 3600.0, 8 * 24 * 3600.0


class Time:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch):
    made = Time()
    monkeypatch.setattr(clock, "now", made)
    return made


class Office:
    """A journal file, and a new Runner for whatever is done on it: nothing is kept in between."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "segue.db")
        self.ledger = folder / "ledger"

    async def does(self, method: str, *args: Any, changed: str = "", on_change: str = "adopt", **options: Any) -> Any:
        runner = Counter(self.ledger, changed=changed).runner(self.file, on_change=on_change)
        try:
            return await getattr(runner, method)(*args, **options)
        finally:
            await runner.aclose()

    @property
    def signed(self) -> list[str]:
        return [line.split()[1] for line in Counter(self.ledger).done if line.startswith("sign")]

    async def events(self, name: str = "c") -> list[Any]:
        journal = SqliteJournal(self.file)
        try:
            await Counter(self.ledger).checked(journal, name, over=False)
            return [row.event for row in await journal.read(name)]
        finally:
            await journal.aclose()


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


async def asked(office: Office, name: str = "c") -> Any:
    response = await office.does("run", "sign alone", conversation=name)
    assert response.status == "waiting"
    return response.waiting_for[0].approval


@pytest.mark.parametrize("changed", ["", "instructions"])
async def test_a_call_is_made_when_it_is_approved_two_days_later_though_other_code_has_changed(office, time, changed):
    approval = await asked(office)
    time.now += TWO_DAYS
    response = await office.does("approve", "c", approval.id, approval.digest, by="ann", changed=changed)
    assert response.output == "Signed, or not."
    assert office.signed == ["c"]
    fingerprints = [event.fingerprint for event in await office.events() if isinstance(event, DriveStarted)]
    assert bool(fingerprints[1]) is bool(changed)


async def test_where_the_tool_has_changed_meanwhile_the_call_is_put_to_a_person_again(office, time):
    approval = await asked(office)
    time.now += TWO_DAYS
    response = await office.does("approve", "c", approval.id, approval.digest, changed="tool")
    assert response.status == "waiting"
    assert office.signed == []
    again = response.waiting_for[0].approval
    assert (again.id, again.fingerprint) != (approval.id, approval.fingerprint)
    assert again.expires == time.now + 7 * 24 * 3600
    with pytest.raises(ApprovalError):
        await office.does("approve", "c", approval.id, approval.digest, changed="tool")
    response = await office.does("approve", "c", again.id, again.digest, changed="tool")
    assert response.output == "Signed, or not."
    assert office.signed == ["c"]


async def test_where_the_tool_is_gone_the_conversation_is_parked_and_goes_on_when_it_is_back(office, time):
    approval = await asked(office)
    time.now += TWO_DAYS
    with pytest.raises(ConversationParked, match="no tool sign any more"):
        await office.does("approve", "c", approval.id, approval.digest, changed="gone")
    response = await office.does("resume", "c")
    assert response.output == "Signed, or not."
    assert office.signed == ["c"]


async def test_where_changed_code_is_refused_nothing_is_decided_and_the_old_code_may_still_do_it(office, time):
    approval = await asked(office)
    time.now += TWO_DAYS
    with pytest.raises(CodeChanged, match="its instructions have changed"):
        await office.does("approve", "c", approval.id, approval.digest, changed="instructions", on_change="refuse")
    assert office.signed == []
    assert (await office.does("approve", "c", approval.id, approval.digest, on_change="refuse")).output == "Signed, or not."
    assert office.signed == ["c"]


async def test_where_changed_code_is_asked_about_the_decision_is_kept_until_somebody_agrees(office, time):
    approval = await asked(office)
    time.now += TWO_DAYS
    with pytest.raises(ConversationParked, match="its instructions have changed"):
        await office.does("approve", "c", approval.id, approval.digest, changed="instructions", on_change="ask")
    assert office.signed == []
    response = await office.does("resume", "c", changed="instructions", on_change="ask")
    assert response.output == "Signed, or not."
    assert office.signed == ["c"]


@pytest.mark.parametrize("finds", ["approve", "deny", "resume", "run", "drive"])
async def test_what_has_expired_is_never_called_and_whoever_looks_next_writes_it_down(office, time, finds):
    approval = await asked(office)
    time.now += EIGHT_DAYS
    match finds:
        case "approve" | "deny":
            with pytest.raises(ApprovalError) as late:
                await office.does(finds, "c", approval.id, approval.digest)
            assert late.value.reason == "expired"
        case "run":
            assert (await office.does("run", "look", conversation="c", busy="queue")).status == "done"
        case _:
            await office.does(finds, "c")
    assert office.signed == []
    decisions = [event for event in await office.events() if isinstance(event, ApprovalDecided)]
    assert [decision.decision for decision in decisions] == ["expired"]
    assert replay(await office.events()).status is Status.IDLE


async def many(office: Office, time: Time, count: int) -> None:
    """As many conversations as that wait for two days or eight; then each is decided, by a Runner that never saw it, and all end."""
    ways = ["approve", "deny", "tool", "instructions", "expired", "resume first"]
    names = {f"c{number}": ways[number % len(ways)] for number in range(count)}
    approvals = {}
    late = [name for name, way in names.items() if way == "expired"]
    for name in late:
        approvals[name] = await asked(office, name)
    time.now += EIGHT_DAYS - TWO_DAYS
    for name in names.keys() - set(late):
        approvals[name] = await asked(office, name)
    time.now += TWO_DAYS
    for name, way in names.items():
        approval = approvals[name]
        match way:
            case "deny":
                response = await office.does("deny", name, approval.id, approval.digest, reason="no")
            case "tool":
                response = await office.does("approve", name, approval.id, approval.digest, changed="tool")
                again = response.waiting_for[0].approval
                response = await office.does("approve", name, again.id, again.digest, changed="tool")
            case "expired":
                with pytest.raises(ApprovalError, match="expired"):
                    await office.does("approve", name, approval.id, approval.digest)
                response = await office.does("resume", name)
            case "resume first":
                assert (await office.does("resume", name)).status == "waiting"
                response = await office.does("approve", name, approval.id, approval.digest)
            case _:
                response = await office.does("approve", name, approval.id, approval.digest, changed=way if way == "instructions" else "")
        assert response.output == "Signed, or not.", (name, way)
    made = [name for name, way in names.items() if way not in ("deny", "expired")]
    assert sorted(office.signed) == sorted(made)
    journal = SqliteJournal(office.file)
    for name in names:
        rows = await journal.read(name)
        assert fold(rows).status is Status.IDLE
        assert any(isinstance(row.event, ApprovalAsked) for row in rows)
    await journal.aclose()


async def test_of_many_conversations_that_wait_for_days_none_is_lost(office, time):
    await many(office, time, 30)


@pytest.mark.slow
async def test_of_a_thousand_conversations_that_wait_for_days_none_is_lost(office, time):
    await many(office, time, scaled(1000))


def in_a_process(office: Office, method: str, *args: str, ahead: float = 0.0, changed: str = "", **options: str) -> dict[str, Any]:
    spec = {"journal": office.file, "ledger": str(office.ledger), "method": method, "args": args, "options": options}
    words = [sys.executable, "-m", "tests.otherwise", "do", json.dumps({**spec, "ahead": ahead, "changed": changed})]
    ran = subprocess.run(words, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
    came: dict[str, Any] = json.loads(ran.stdout)
    return came


@pytest.mark.parametrize("changed", ["", "instructions", "tool"])
def test_each_act_may_be_a_process_of_its_own_with_days_in_between(office, changed):
    first = in_a_process(office, "run", "sign alone", conversation="c")
    assert first["status"] == "waiting"
    came = in_a_process(office, "approve", "c", *first["waiting"][0], ahead=TWO_DAYS, changed=changed)
    if changed == "tool":
        assert came["status"] == "waiting"
        assert office.signed == []
        came = in_a_process(office, "approve", "c", *came["waiting"][0], ahead=TWO_DAYS + TWO_DAYS, changed=changed)
    assert came["text"] == "Signed, or not."
    assert office.signed == ["c"]
    late = in_a_process(office, "approve", "c", *first["waiting"][0], ahead=EIGHT_DAYS)
    assert late["error"] == "ApprovalError"
    assert office.signed == ["c"]
