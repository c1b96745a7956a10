import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from segue import Context
from segue.examples.acme import Shop

BOOTS = "item_204417001"


def call(place="1.0"):
    """A call of a tool; another place is another call."""
    return Context(conversation="c", place=place)


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("black boots", f"{BOOTS}: Black Desert Boots"),
        ("The ROCKET skates, please", "item_204417002: Rocket Skates"),
        ("something that shakes a canyon", "item_204417005: Earthquake Pills"),
        (BOOTS, f"{BOOTS}: Black Desert Boots"),
        ("boots", f"{BOOTS}: Black Desert Boots\nitem_204417008: Brown Desert Boots"),
        ("a teapot", "nothing found"),
        ("", "nothing found"),
        ("%' or 1=1 --", "nothing found"),
    ],
)
def test_the_items_whose_words_fit_best_are_found(shop, query, found):
    assert shop.look_up_item(query) == found


def test_a_refund_is_written_with_its_reason(shop):
    assert shop.execute_refund(BOOTS, call(), "fell apart") == f"success: refunded $89 for {BOOTS} (order 1)"
    assert shop.refunds() == [(1, "Black Desert Boots", 89, "fell apart")]


def test_what_was_refunded_already_is_refused(shop):
    shop.execute_refund(BOOTS, call("1.0"))
    assert shop.execute_refund(BOOTS, call("2.0")) == f"refused: {BOOTS} was refunded already"
    assert shop.refunds() == [(1, "Black Desert Boots", 89, "not provided")]


@pytest.mark.parametrize("item", ["item_204417003", "item_0", "", "' or ''='"])
def test_what_was_never_ordered_is_refused(shop, item):
    assert shop.execute_refund(item, call()) == f"refused: {item} was never ordered"
    assert shop.refunds() == []


def test_what_was_ordered_twice_is_refunded_twice_and_no_more(shop):
    shop.execute_order("black desert boots", 100)
    said = [shop.execute_refund(BOOTS, call(str(number))).split(":")[0] for number in range(3)]
    assert said == ["success", "success", "refused"]
    assert [(order, price) for order, _, price, _ in shop.refunds()] == [(1, 89), (5, 100)]


def test_an_order_of_something_made_up_makes_the_item(shop):
    assert shop.execute_order("  Invisible   Paint ", 12) == "success: order 5, Invisible Paint (item_204417009) for $12"
    assert shop.look_up_item("paint") == "item_204417009: Invisible Paint"
    assert shop.orders()[-1] == (5, "Invisible Paint", 12)


@pytest.mark.parametrize(("product", "price"), [("", 5), ("   ", 5), ("Paint", 0), ("Paint", -5)])
def test_an_order_without_a_product_or_a_price_is_refused(shop, product, price):
    before = shop.orders()
    assert shop.execute_order(product, price).startswith("refused: ")
    assert shop.orders() == before


def test_an_escalation_is_a_ticket(shop):
    assert shop.escalate_to_human("wants a person").startswith("success: ticket 1")
    assert shop.escalations() == [(1, "wants a person")]


def test_many_threads_that_refund_the_same_item_refund_it_once(shop):
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda number: shop.execute_refund(BOOTS, call(str(number))), range(64)))
    assert sum(text.startswith("success") for text in said) == 1
    assert len(shop.refunds()) == 1


def test_many_threads_that_order_lose_no_order_and_make_no_item_twice(shop):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda place: shop.execute_order(f"Thing {place % 4}", 5), range(64)))
    assert len(shop.orders()) == 4 + 64
    assert all(shop.look_up_item(f"thing {place}").count("item_") == 1 for place in range(4))


def test_two_shops_on_one_file_refund_once_between_them(tmp_path):
    one, other = Shop(tmp_path / "acme.db"), Shop(tmp_path / "acme.db")
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda shop, number: shop.execute_refund(BOOTS, call(str(number))), [one, other] * 8, range(16)))
    assert sum(text.startswith("success") for text in said) == 1
    assert one.refunds() == other.refunds()
    assert len(one.orders()) == 4
    one.close()
    other.close()


def test_a_shop_in_a_file_remembers_across_openings(tmp_path):
    shop = Shop(tmp_path / "acme.db")
    shop.execute_refund(BOOTS, call("1.0"))
    shop.close()
    again = Shop(tmp_path / "acme.db")
    assert again.execute_refund(BOOTS, call("2.0")).startswith("refused")
    again.close()


def test_a_call_that_is_made_again_refunds_nothing_more_and_is_told_what_it_did(tmp_path):
    said = []
    for _ in range(3):
        shop = Shop(tmp_path / "acme.db")
        shop.execute_order("black desert boots", 100)  # so that there is always another order to refund
        said.append(shop.execute_refund(BOOTS, call()))
        rows = shop.refunds()
        shop.close()
    assert said == [f"success: refunded $89 for {BOOTS} (order 1)"] * 3
    assert rows == [(1, "Black Desert Boots", 89, "not provided")]


def test_many_threads_that_make_the_same_call_refund_one_order(shop):
    shop.execute_order("black desert boots", 100)
    with ThreadPoolExecutor(16) as pool:
        said = set(pool.map(lambda _: shop.execute_refund(BOOTS, call()), range(64)))
    assert said == {f"success: refunded $89 for {BOOTS} (order 1)"}
    assert len(shop.refunds()) == 1


def test_at_stake_is_the_dearest_order_that_is_not_refunded(shop):
    assert [shop.at_stake(item) for item in (BOOTS, "item_204417007", "item_204417003", "item_0")] == [89, 25, 0, 0]
    shop.execute_order("black desert boots", 100)
    assert shop.at_stake(BOOTS) == 100
    shop.execute_refund(BOOTS, call("1.0"))
    assert shop.at_stake(BOOTS) == 100
    shop.execute_refund(BOOTS, call("2.0"))
    assert shop.at_stake(BOOTS) == 0


def test_the_table_itself_keeps_an_order_from_being_refunded_twice_and_a_key_from_refunding_two(tmp_path):
    shop = Shop(tmp_path / "acme.db")
    shop.execute_refund(BOOTS, call())
    database = sqlite3.connect(tmp_path / "acme.db")
    with pytest.raises(sqlite3.IntegrityError, match=r"refunds\.order_id"):
        database.execute("insert into refunds (order_id, key, reason) values (1, 'another', 'again')")
    with pytest.raises(sqlite3.IntegrityError, match=r"refunds\.key"):
        database.execute("insert into refunds (order_id, key, reason) values (2, ?, 'again')", (call().key,))
    database.close()
    shop.close()
