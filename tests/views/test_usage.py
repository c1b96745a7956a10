from segue.core.events import DriveStarted, InputGiven, ModelReplied, Started
from segue.core.messages import Reply, Usage, User
from segue.views.usage import Used, render, total, usage
from tests.views.telling import second_by_second


def replied(agent, model, used, seconds, cost=0.0):
    return ModelReplied(agent, Reply("Hi.", finish="stop", usage=used, model=model), seconds=seconds, cost=cost)


ROWS = second_by_second(
    [
        Started("c", "A"),
        InputGiven("r", (User("Hi"),)),
        DriveStarted("d"),
        replied("A", "m", Usage(10, 2), 0.5, 0.25),
        replied("B", "m", Usage(20, 3, cached=5), 1.0),
        replied("A", "m", Usage(30, 4), 0.5, 0.25),
        replied("A", "n", Usage(), 0.5),
    ]
)


def test_use_is_counted_by_agent_and_model():
    assert usage(ROWS) == [
        Used("A", "m", 2, Usage(40, 6), 1.0, 0.5),
        Used("B", "m", 1, Usage(20, 3, cached=5), 1.0),
        Used("A", "n", 1, Usage(), 0.5),
    ]
    assert total(usage(ROWS)) == Used("all", "", 4, Usage(60, 9, cached=5), 2.5, 0.5)


def test_the_text_ends_with_the_sum():
    assert render(usage(ROWS)).splitlines() == [
        "A (m)  2 replies · 40 tokens in, 6 out · 1.0 s · 0.5000",
        "B (m)  1 reply · 20 tokens in (5 cached), 3 out · 1.0 s",
        "A (n)  1 reply · no tokens counted · 0.5 s",
        "all    4 replies · 60 tokens in (5 cached), 9 out · 2.5 s · 0.5000",
    ]


def test_one_line_needs_no_sum_and_nothing_has_a_text():
    assert len(render(usage(ROWS[:4])).splitlines()) == 1
    assert render([]) == "Nothing was used yet."
