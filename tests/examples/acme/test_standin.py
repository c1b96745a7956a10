import pytest

from segue.examples.acme.standin import ASK_TROUBLE, OTHERWISE, standin
from tests.examples.talk import answer, said

TRIAGE = ["transfer_to_sales_agent", "transfer_to_issues_and_repairs", "escalate_to_human"]
SALES = ["execute_order", "transfer_back_to_triage"]
ISSUES = ["look_up_item", "execute_refund", "transfer_back_to_triage"]

BOOTS = ("look_up_item", {"search_query": "black boots"}, "item_1: Black Desert Boots")
FIX = said("Have you tried walking on your hands while our patented heel paste dries for three days?")


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("The black boots I bought fell apart.", "transfer_to_issues_and_repairs"),
        ("I want my money back", "transfer_to_issues_and_repairs"),
        ("I'd like to buy some skates", "transfer_to_sales_agent"),
        ("Let me speak to a human", "escalate_to_human"),
    ],
)
async def test_triage_sends_the_customer_to_the_right_place(words, call):
    move = await answer(standin, words, tools=TRIAGE)
    assert move[0] == call


async def test_triage_says_that_it_is_a_stand_in_when_greeted_and_when_it_does_not_understand():
    assert "scripted stand-in" in await answer(standin, "Hello", tools=TRIAGE)
    assert await answer(standin, "What is the capital of France?", tools=TRIAGE) == OTHERWISE


async def test_repairs_asks_then_proposes_a_fix_and_refunds_only_when_the_customer_insists():
    asked = await answer(standin, "I want a refund", tools=ISSUES)
    assert "what went wrong" in asked
    fix = await answer(standin, "I want a refund", said(asked), "the black boots, they pinch", tools=ISSUES)
    assert fix.startswith("Have you tried")
    move = await answer(standin, "The black boots fell apart", said(fix), "No, I want my money back", tools=ISSUES)
    assert move == ("look_up_item", {"search_query": "black boots"})


async def test_an_item_that_was_found_is_refunded_with_the_customers_reason():
    move = await answer(standin, "My black boots fell apart", FIX, "I want a refund", BOOTS, tools=ISSUES)
    assert move == ("execute_refund", {"item_id": "item_1", "reason": "My black boots fell apart"})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("success: refunded $89 for item_1 (order 1)", "Your money is on its way: refunded $89 for item_1 (order 1)."),
        ("refused: item_1 was refunded already", "I could not refund that: item_1 was refunded already."),
        ("OperationalError: database is locked", "I could not refund that: OperationalError: database is locked."),
    ],
)
async def test_what_came_of_a_refund_is_told_as_it_is(content, told):
    refund = ("execute_refund", {"item_id": "item_1"}, content)
    assert await answer(standin, "My boots fell apart", FIX, "refund", BOOTS, refund, tools=ISSUES) == told


async def test_when_several_items_fit_the_customer_is_asked_which():
    found = ("look_up_item", {"search_query": "boots"}, "item_1: Black Boots\nitem_2: Brown Boots")
    told = await answer(standin, "My boots fell apart", FIX, "refund", found, tools=ISSUES)
    assert "Black Boots or Brown Boots" in told


async def test_when_nothing_is_found_the_customers_other_words_are_tried_and_then_asked_for():
    lines = ["The skates broke", said("Have you tried turning the rockets round and skating off again?"), "Verily refund"]
    first = ("look_up_item", {"search_query": "verily"}, "nothing found")
    second = ("look_up_item", {"search_query": "skates"}, "nothing found")
    assert await answer(standin, *lines, tools=ISSUES) == first[:2]
    assert await answer(standin, *lines, first, tools=ISSUES) == second[:2]
    assert "no such item" in await answer(standin, *lines, first, second, tools=ISSUES)


async def test_repairs_gives_back_to_triage_what_is_not_its_department():
    for words in ("I want to buy something", "A human, please", "Thanks, bye"):
        assert await answer(standin, words, tools=ISSUES) == ("transfer_back_to_triage", {})


async def test_sales_asks_lets_slip_names_the_price_and_orders_only_after_a_yes():
    lines = ["I want to buy something", said(ASK_TROUBLE), "They are too fast"]
    assert await answer(standin, lines[0], tools=SALES) == ASK_TROUBLE
    slip = await answer(standin, *lines, tools=SALES)
    assert "Rocket Skates" in slip
    assert "$" not in slip
    price = await answer(standin, *lines, said(slip), "How much?", tools=SALES)
    assert "$8999" in price
    lines += [said(slip), "How much?", said(price)]
    assert "Shall I" in await answer(standin, *lines, "Hmm", tools=SALES)
    assert "anything else" in await answer(standin, *lines, "no", tools=SALES)
    order = await answer(standin, *lines, "yes", tools=SALES)
    assert order == ("execute_order", {"product": "Rocket Skates", "price": 8999})
    told = await answer(standin, *lines, "yes", (*order, "success: order 5, Rocket Skates (item_2) for $8999"), tools=SALES)
    assert "order 5" in told
    assert "small print" in told
    assert "did not work" in await answer(standin, *lines, "yes", (*order, "refused: no"), tools=SALES)


async def test_sales_gives_back_to_triage_what_is_not_its_department():
    assert await answer(standin, "My boots fell apart", tools=SALES) == ("transfer_back_to_triage", {})
