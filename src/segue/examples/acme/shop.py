"""The shop's database: items, orders, refunds and escalations, in SQLite.
Four of its methods are the tools of the shop's agents. That an order is refunded once at most, and that a call refunds one order
at most, however often it is made, is kept by the table itself.
"""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segue import Context

SCHEMA = """
create table if not exists items (
    id text primary key, name text not null unique collate nocase, description text not null, price integer not null);
create table if not exists orders (
    id integer primary key, item_id text not null references items, price integer not null);
create table if not exists refunds (
    id integer primary key, order_id integer not null unique references orders, key text not null unique, reason text not null);
create table if not exists escalations (
    id integer primary key, summary text not null);
"""

ITEMS = [
    ("item_204417001", "Black Desert Boots", "leather boots, black, grips on mesas and cliffs", 89),
    ("item_204417002", "Rocket Skates", "roller skates with two solid-fuel rockets", 899),
    ("item_204417003", "Giant Magnet", "horseshoe magnet, attracts iron bird seed and trains", 349),
    ("item_204417004", "Portable Hole", "a round hole, black, sticks to any wall", 199),
    ("item_204417005", "Earthquake Pills", "jar of pills, one shakes a canyon", 59),
    ("item_204417006", "Spring-Loaded Boulder", "boulder on a steel spring, aim not included", 420),
    ("item_204417007", "Iron Bird Seed", "sack of bird seed with iron filings", 25),
    ("item_204417008", "Brown Desert Boots", "leather boots, brown, grips on most things", 85),
]
ORDERED = ["item_204417001", "item_204417002", "item_204417005", "item_204417007"]
WORTHLESS = frozenset(["a", "an", "and", "i", "in", "is", "it", "my", "of", "on", "one", "or", "that", "the", "to", "two", "with"])


class Shop:
    """A shop over one SQLite database, in memory or in a file; it may be used from several threads."""

    def __init__(self, path: str | Path = ":memory:") -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._database.execute("pragma foreign_keys = on")
        self._database.executescript(SCHEMA)
        with self._writing() as database:
            if database.execute("select count(*) from items").fetchone() == (0,):
                database.executemany("insert into items values (?, ?, ?, ?)", ITEMS)
                for item in ORDERED:
                    database.execute("insert into orders (item_id, price) select id, price from items where id = ?", (item,))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def look_up_item(self, search_query: str) -> str:
        """Use to find an item's id: describe the item or name some of its words.

        Args:
            search_query: A description or keywords.
        """
        wanted = _words(search_query)
        rows = self._read("select id, name, description from items order by id")
        # A word of the name says more than a word of the description.
        fits = [(2 * len(wanted & _words(f"{item} {name}")) + len(wanted & _words(about)), item, name) for item, name, about in rows]
        best = max((fit for fit, _, _ in fits), default=0)
        if not best:
            return "nothing found"
        return "\n".join(f"{item}: {name}" for fit, item, name in fits if fit == best)

    def execute_refund(self, item_id: str, ctx: Context[Any], reason: str = "not provided") -> str:
        """Use to give the customer the money back for one item.

        Args:
            item_id: The id that `look_up_item` found.
            ctx: Has the key of the call; the model does not see it.
            reason: Why the customer wants the money back.
        """
        with self._writing() as database:
            orders = database.execute(
                "select orders.id, price, key from orders left join refunds on order_id = orders.id where item_id = ? order by orders.id",
                (item_id,),
            ).fetchall()
            if not orders:
                return f"refused: {item_id} was never ordered"
            # A call that died before it could answer is made again, with the same key: what it has refunded is found, and told.
            found = [row for row in orders if row[2] == ctx.key] or [row for row in orders if row[2] is None]
            if not found:
                return f"refused: {item_id} was refunded already"
            order, price, key = found[0]
            if key is None:
                database.execute("insert into refunds (order_id, key, reason) values (?, ?, ?)", (order, ctx.key, reason))
            return f"success: refunded ${price} for {item_id} (order {order})"

    def at_stake(self, item_id: str) -> int:
        """Say how many dollars a refund of an item can cost: the price of its dearest order that is not refunded; 0 if there is none."""
        query = "select max(price) from orders where item_id = ? and id not in (select order_id from refunds)"
        return self._read(query, item_id)[0][0] or 0

    def execute_order(self, product: str, price: int) -> str:
        """Use to sell a product, once the customer has said yes to the price.

        Args:
            product: The product's name.
            price: The price in whole US dollars.
        """
        product = " ".join(product.split())
        if not product or price <= 0:
            return "refused: an order needs a product and a price above zero"
        with self._writing() as database:
            known = database.execute("select id from items where name = ?", (product,)).fetchone()
            item = known[0] if known else _next_id(database)
            if not known:
                database.execute("insert into items values (?, ?, 'made to order', ?)", (item, product, price))
            order = database.execute("insert into orders (item_id, price) values (?, ?)", (item, price)).lastrowid
        return f"success: order {order}, {product} ({item}) for ${price}"

    def escalate_to_human(self, summary: str) -> str:
        """Use only where the customer asks for a person.

        Args:
            summary: What the customer wants and what was done so far.
        """
        with self._writing() as database:
            ticket = database.execute("insert into escalations (summary) values (?)", (summary,)).lastrowid
        return f"success: ticket {ticket}, a person will take it from here"

    def refunds(self) -> list[tuple[int, str, int, str]]:
        """List the refunds: order, item, dollars, reason."""
        return self._read(
            "select orders.id, items.name, orders.price, refunds.reason from refunds"
            " join orders on orders.id = refunds.order_id join items on items.id = orders.item_id order by refunds.id"
        )

    def orders(self) -> list[tuple[int, str, int]]:
        """List the orders: number, item, dollars."""
        return self._read("select orders.id, items.name, orders.price from orders join items on items.id = item_id order by orders.id")

    def escalations(self) -> list[tuple[int, str]]:
        """List what was handed to a person: ticket, summary."""
        return self._read("select id, summary from escalations order by id")

    def _read(self, query: str, *values: str) -> list[Any]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the database for one transaction: begun at once, so that nobody else writes between a look and a change."""
        with self._lock, self._database:
            self._database.execute("begin immediate")
            yield self._database


def _next_id(database: sqlite3.Connection) -> str:
    (last,) = database.execute("select max(id) from items").fetchone()
    return f"item_{int(last.removeprefix('item_')) + 1}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - WORTHLESS
