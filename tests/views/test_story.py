from segue import Agent, Limits, handoff, tool
from segue.core.arguments import digest
from segue.core.codec import Unknown
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    InputGiven,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.messages import Call, Reply, User
from segue.views.story import (
    Allowed,
    Answered,
    Asked,
    Called,
    Decided,
    Driven,
    Ended,
    HandedOver,
    Newer,
    Opened,
    Replied,
    Story,
    Untold,
    Waits,
    text_of,
)
from tests.views.telling import conversation

NONE, ONE = digest("{}"), digest('{"amount":1}')


def beats(events):
    story = Story()
    return [beat for event in events for beat in story.follow(event)]


def kinds(found):
    return [type(beat).__name__ for beat in found]


def begun(*calls):
    """A conversation whose first reply makes these calls."""
    made = tuple(Call(f"c{at}", name, arguments) for at, (name, arguments) in enumerate(calls))
    return [
        Started("c", "A"),
        InputGiven("r", (User("Hi"),), by="Ann"),
        DriveStarted("d"),
        ModelReplied("A", Reply(None, made, "tool_calls")),
    ]


def look_up(query: str) -> str:
    """Look up."""
    return f"found {query}"


async def test_a_run_is_told_from_the_question_to_the_answer_with_function_handoffs_between():
    def to_b() -> Agent:
        """Hand over."""
        return b

    b = Agent("B", tools=[look_up])
    a = Agent("A", tools=[to_b])
    rows = await conversation(a, [{"to_b": {}}, {"look_up": {"query": "x"}}, "Done."], "Hi")
    found = beats(row.event for row in rows)
    assert kinds(found[:3]) == ["Opened", "Asked", "Driven"]
    assert kinds(found[3:]) == ["Replied", "Called", "Answered", "HandedOver", "Replied", "Called", "Answered", "Replied"]
    assert found[1][1:] == ("Hi", "")
    assert found[4] == Called("A", "1.0", "to_b", "{}")
    assert found[6] == HandedOver("A", "B", "transfer")
    assert found[9][:5] == ("B", "2.0", "look_up", "returned", "found x")
    assert isinstance(found[10], Replied)
    assert (found[10].agent, found[10].reply.text) == ("B", "Done.")


async def test_a_generated_handoff_is_a_call_too_and_only_the_first_of_two_hands_over():
    a = Agent("A", handoffs=[Agent("B"), Agent("C")])
    rows = await conversation(a, [[{"transfer_to_b": {}}, {"transfer_to_c": {}}], "Here."], "Hi")
    found = beats(row.event for row in rows)
    assert [beat for beat in found if isinstance(beat, HandedOver)] == [HandedOver("A", "B")]
    assert [beat.name for beat in found if isinstance(beat, Called)] == ["transfer_to_b", "transfer_to_c"]


async def test_a_callee_gets_the_floor_and_gives_it_back():
    expert = Agent("Expert")
    a = Agent("A", handoffs=[handoff(expert, kind="call")])
    rows = await conversation(a, [{"call_expert": {}}, {"return_to_a": {"value": "42"}}, "It is 42."], "Hi")
    switches = [beat for beat in beats(row.event for row in rows) if isinstance(beat, HandedOver)]
    assert switches == [HandedOver("A", "Expert", "call"), HandedOver("Expert", "A", "return")]


async def test_a_call_that_was_never_made_is_told_with_the_reason():
    rows = await conversation(Agent("A", tools=[look_up]), [[{"look_up": {}}, {"nothing": {}}], "Sorry."], "Hi")
    found = beats(row.event for row in rows)
    assert {(beat.name, beat.how) for beat in found if isinstance(beat, Answered)} == {
        ("look_up", "arguments"),
        ("nothing", "unknown_tool"),
    }
    assert sum(isinstance(beat, Called) for beat in found) == 2


async def test_the_end_of_a_run_without_an_answer_is_told():
    rows = await conversation(Agent("A", tools=[look_up]), [{"look_up": {"query": "x"}}] * 2, "Hi", limits=Limits(turns=1))
    assert beats(row.event for row in rows)[-1][:2] == ("limited", "turns")


async def test_an_approval_is_asked_for_decided_and_then_the_call_is_told_once():
    ask = ApprovalAsked("p", "1.0", "A", "pay", "{}", NONE, expires=7.0)
    yes = ApprovalDecided("p", NONE, "approve", by="Ann")
    found = beats([*begun(("pay", "{}")), ask, yes, ToolStarted("1.0", "pay", "{}", approval="p"), ToolReturned("1.0", "paid")])
    assert found[4:] == [
        Waits("A", "1.0", "pay", "{}", "p", NONE, 7.0),
        Decided("approve", "Ann", "", "1.0", "pay", "p"),
        Called("A", "1.0", "pay", "{}"),
        Answered("A", "1.0", "pay", "returned", "paid"),
    ]


def test_a_decision_about_edited_arguments_is_told_with_the_call_it_is_about():
    ask = ApprovalAsked("p", "1.0", "A", "pay", "{}", NONE)
    new = ApprovalAsked("p-2", "1.0", "A", "pay", '{"amount":1}', ONE, edited=True)
    found = beats(
        [*begun(("pay", "{}")), ask, ApprovalDecided("p", NONE, "superseded", "Ann"), new, ApprovalDecided("p-2", ONE, "approve")]
    )
    assert found[5] == Decided("superseded", "Ann", "", "1.0", "pay", "p")
    assert (found[6].edited, found[6].arguments) == (True, '{"amount":1}')
    assert found[7][3:] == ("1.0", "pay", "p-2")


def test_a_denial_is_an_outcome_though_it_is_no_event_of_its_own():
    ask = ApprovalAsked("p", "1.0", "A", "pay", "{}", NONE)
    found = beats([*begun(("pay", "{}")), ask, ApprovalDecided("p", NONE, "deny", reason="too much")])
    assert isinstance(found[-1], Answered)
    assert (found[-1].name, found[-1].how) == ("pay", "denied")
    assert "too much" in found[-1].text


def test_what_an_interruption_gave_up_is_told_before_the_interruption():
    script = begun(("pay", "{}"), ("to_b", "{}"))
    found = beats([*script, InputGiven("r2", (User("Stop!"),), busy="interrupt")])
    assert [beat.how for beat in found if isinstance(beat, Answered)] == ["superseded", "superseded"]
    assert found[-1] == Asked("r2", "Stop!")


def test_an_unknown_outcome_that_is_settled_and_a_late_one_are_told_by_name():
    unknown = ToolUnknown("1.0", "nobody knows", ask=True)
    script = [*begun(("pay", "{}")), ToolStarted("1.0", "pay", "{}"), unknown, ToolSettled("1.0", "it was paid", "Ann")]
    found = beats([*script, ToolLate("1.0", "pay", "paid")])
    assert [(beat.name, beat.how, beat.by, beat.asks) for beat in found if isinstance(beat, Answered)] == [
        ("pay", "unknown", "", True),
        ("pay", "settled", "Ann", False),
        ("pay", "late", "", False),
    ]


def test_a_story_can_be_taken_up_in_the_middle():
    script = begun(("pay", "{}"))
    first = Story()
    for event in script[:-1]:
        first.follow(event)
    second = Story(first.conversation)
    assert kinds(second.follow(script[-1])) == ["Replied"]
    assert second.follow(ToolStarted("1.0", "pay", "{}")) == [Called("A", "1.0", "pay", "{}")]
    third = Story(second.conversation)
    assert third.follow(ToolReturned("1.0", "paid")) == [Answered("A", "1.0", "pay", "returned", "paid")]


def test_content_parts_become_text():
    assert text_of([{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {}}]) == "See [image_url]"


async def test_what_only_the_machine_needs_is_not_told():
    @tool(effect="read")
    def quiet() -> str:
        """Say nothing."""
        return ""

    rows = await conversation(Agent("A", tools=[quiet]), ["Hello."], "Hi")
    assert kinds(beats(row.event for row in rows)) == ["Opened", "Asked", "Driven", "Replied"]


def test_a_drive_that_goes_on_where_another_had_not_ended_is_told_apart_and_a_repeated_call_is_told_twice():
    start = ToolStarted("1.0", "pay", "{}", "keyed", "k")
    found = beats([*begun(("pay", "{}")), start, DriveStarted("e"), start, ToolReturned("1.0", "paid")])
    assert [beat for beat in found if isinstance(beat, Driven)] == [Driven("d"), Driven("e", again=True)]
    assert sum(isinstance(beat, Called) for beat in found) == 2


def test_a_drive_after_a_decision_a_limit_or_an_answer_is_no_takeover():
    ask, yes = ApprovalAsked("p", "1.0", "A", "pay", "{}", NONE), ApprovalDecided("p", NONE, "approve")
    made = [*begun(("pay", "{}")), ask, yes, DriveStarted("e"), ToolFailed("1.0", "raised", "no"), RunEnded("limited", "turns")]
    found = beats([*made, AllowanceGiven({"turns": 2}, "Ann"), DriveStarted("f"), ModelReplied("A", Reply("So be it.")), *begun()[1:3]])
    assert [beat.again for beat in found if isinstance(beat, Driven)] == [False] * 4
    assert Allowed({"turns": 2}, "Ann") in found


def test_a_fork_and_what_was_said_elsewhere_are_told_with_the_beginning():
    assert beats([Started("c", "A", messages=(User("Before."),), origin="b@7")]) == [Opened("A", "b@7", 1)]


def test_every_kind_of_end_is_a_beat():
    assert Ended("failed", "provider", "words").kind == "failed"


def test_who_looks_on_is_told_of_an_event_of_a_newer_version_and_stands_where_the_events_still_fitted():
    story = Story()
    events = [*begun(("pay", "{}")), Unknown("ToolStarted", 2), ModelReplied("A", Reply("Paid.")), ToolStarted("1.0", "pay", "{}")]
    found = [beat for event in events for beat in story.skim(event)]
    assert found[-3:] == [Newer("ToolStarted", 2), Untold("ModelReplied", first=True), Untold("ToolStarted")]
    assert story.conversation.seq == 4
