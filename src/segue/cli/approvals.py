"""`segue approvals`: the calls that wait for a person's decision, and the decisions."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import click

from segue import clock, openings, outside
from segue.cli import following
from segue.cli.answer import print_run
from segue.cli.asking import SHOWN, Verdict, show
from segue.cli.choose import Choice
from segue.cli.safe import json_text, json_visible, visible
from segue.cli.screen import FAINT, NOTE, TOOL, Screen
from segue.cli.stage import prepared, staged
from segue.cli.store import by_option, conversation_named, journal_option, json_option, opened, where
from segue.cli.target import Target
from segue.core.arguments import canonical, parse
from segue.core.conversation import Conversation
from segue.core.events import ApprovalAsked
from segue.errors import ApprovalError, ArgumentsRefused, JournalDamaged, JournalNewer, UsageError
from segue.journal.base import Journal, every_line, fold, summary_of
from segue.prepare import checked_arguments
from segue.team import Team
from segue.views.words import age, counted, moment


class Pending(NamedTuple):
    """A call that waits for a decision, and since when."""

    conversation: str
    asked: ApprovalAsked
    at: float


@click.group()
def approvals() -> None:
    """List calls that wait for a person, and approve or deny them."""


async def pending(journal: Journal, conversation: str | None = None) -> list[Pending]:
    """Every call that waits for a decision, or those of one conversation; the longest waiting first.

    What an agent used as a tool asks for is listed where the one that uses it asks for it, and not a second time.
    """
    names = [conversation] if conversation else [line.conversation async for line in every_line(journal, status=("waiting", "running"))]
    found: list[Pending] = []
    for name in names:
        try:
            rows = await journal.read(name)
            slots = fold(rows).waiting
        except (JournalDamaged, JournalNewer) as error:
            click.echo(f"segue: {visible(name)} cannot be looked into: {visible(str(error))}", err=True)
            continue
        times = {row.event.id: row.at for row in rows if isinstance(row.event, ApprovalAsked)}
        asked = [slot.approval for slot in slots if slot.doubt is None and slot.approval is not None]
        found += [Pending(name, one, times[one.id]) for one in asked]
    inner = {one.asked.inner for one in found}
    return sorted((one for one in found if one.conversation not in inner), key=lambda one: one.at)


async def let_expire(journal: Journal, found: Sequence[Pending], now: float) -> list[Pending]:
    """Write down what has waited for too long, as whoever looks next must; those that still wait."""
    late = [one for one in found if one.asked.expires is not None and one.asked.expires <= now]
    for name in {one.conversation for one in late}:
        await outside.tell(journal, name, lambda c: openings.expired(c, now), at=now)
    return [one for one in found if one not in late]


@approvals.command()
@journal_option
@json_option
def ls(journal: str | None, json: bool) -> None:
    """List every call that waits for a decision, with its exact arguments.

    What has waited longer than it may is written down as expired.
    """
    now = clock.now()
    found, late = asyncio.run(_listed(where(journal), now))
    screen = Screen(sys.stdout)
    for one in found:
        if json:
            click.echo(json_text(_as_json(one)))
        else:
            _show(screen, one, now)
    if late:
        click.echo(f"segue: {counted(len(late), 'approval')} had expired.", err=True)
    for name in dict.fromkeys(one.conversation for one in late):
        click.echo(f"segue: {following.going_on(name)}", err=True)
    if not found:
        click.echo("segue: No call waits for a decision.", err=True)


async def _listed(place: str, now: float) -> tuple[list[Pending], list[Pending]]:
    """Those that wait, and those that have just expired."""
    async with opened(place) as store:
        found = await pending(store)
        waiting = await let_expire(store, found, now)
    return waiting, [one for one in found if one not in waiting]


def _as_json(one: Pending) -> dict[str, Any]:
    asked = one.asked
    return {
        "approval": asked.id,
        "digest": asked.digest,
        "conversation": one.conversation,
        "place": asked.place,
        "agent": asked.agent,
        "tool": asked.name,
        "arguments": asked.arguments,
        "asked": one.at,
        "expires": asked.expires,
        "inner": asked.inner or None,
    }


def _show(screen: Screen, one: Pending, now: float) -> None:
    asked = one.asked
    screen.line(f"{asked.agent} wants to call {asked.name}", TOOL)
    screen.line(f"    {json_visible(asked.arguments)}")
    until = f" · until {moment(asked.expires)}" if asked.expires is not None else ""
    screen.line(f"    asked {age(now - one.at)} ago in conversation {one.conversation}{until}", FAINT)
    screen.line(f"    {following.command('approvals', 'approve', asked.id, '--digest', asked.digest[:SHOWN])}")


# ---- decisions -------------------------------------------------------------


def _decision_options(command: Any) -> Any:
    """What `approve` and `deny` have in common."""
    options = [
        click.argument("approval", metavar="ID"),
        click.option("--digest", metavar="D", help=f"The digest of the arguments, or its first {SHOWN} letters; asked for without it."),
        click.option("-c", "--conversation", metavar="ID", help="Where to look; all that wait, by default."),
        click.option("-t", "--target", metavar="TARGET", help="Go on with the conversation and print the answer."),
        click.option("-m", "--model", metavar="PROVIDER:MODEL", help="With --target: replaces every agent's model."),
        by_option,
        journal_option,
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


class Wish(NamedTuple):
    """A decision, as a command says it: about which approval, by whom, and what was decided."""

    approval: str
    digest: str | None
    conversation: str | None
    by: str
    verdict: Verdict


@approvals.command()
@_decision_options
@click.option("--arguments", metavar="JSON", help="Make the call with these arguments instead.")
@click.option("--reason", default="", help="Why; it is written down.")
def approve(arguments: str | None, reason: str, **options: Any) -> None:
    """Approve one exact call, once.

    The call is named by its approval's id and the digest of its arguments; on a terminal, without --digest, it is shown and you
    are asked. With --target the conversation goes on here; else `segue resume`, or a worker on PostgreSQL, goes on with it.
    """
    _decide(Verdict(True, reason, parse(arguments) if arguments is not None else None), **options)


@approvals.command()
@_decision_options
@click.option("--reason", default="", help="Why; the model reads it.")
def deny(reason: str, **options: Any) -> None:
    """Deny one exact call; the model is told, with the reason.

    The call is named as for `approve`.
    """
    _decide(Verdict(False, reason), **options)


def _decide(
    verdict: Verdict,
    *,
    approval: str,
    digest: str | None,
    conversation: str | None,
    by: str,
    target: str | None,
    model: str | None,
    journal: str | None,
    json: bool,
) -> None:
    if digest is None and not sys.stdin.isatty():
        raise UsageError(f"Say which arguments you mean: --digest D, as `{following.command('approvals', 'ls')}` shows it.")
    if digest is not None and len(digest) < SHOWN:
        raise UsageError(f"The digest {digest!r} is too short: give its first {SHOWN} letters at least.")
    wish = Wish(approval, digest, conversation, by, verdict)
    if target is None:
        asyncio.run(_written(wish, where(journal), json=json))
    else:
        asyncio.run(_driven_on(wish, *prepared(target, model), journal, json=json))


async def _written(wish: Wish, place: str, *, json: bool) -> None:
    """Write a decision down, and leave the rest to others."""
    async with opened(place) as store:
        one, c = await _told(store, wish)
    word = "approved" if wish.verdict.approve else "denied"
    if json:
        click.echo(json_text({**_as_json(one), "decision": word, "by": wish.by, "status": summary_of(c).status}))
    else:
        text = one.asked.arguments if wish.verdict.arguments is None else canonical(wish.verdict.arguments)
        click.echo(f"{word}: {visible(one.asked.name)} {json_visible(text)}")
    if c.running:
        click.echo(f"segue: {following.going_on(one.conversation)}", err=True)


async def _driven_on(wish: Wish, found: Target, choice: Choice, journal: str | None, *, json: bool) -> None:
    """Write a decision down, go on with the conversation, and print what comes of it."""
    async with staged(found, choice, journal, stored=True) as runner:
        one, _ = await _told(runner.journal, wish, runner.team)
        await print_run(runner.resuming(one.conversation), runner.journal, choice, json=json)


async def _told(store: Journal, wish: Wish, team: Team | None = None) -> tuple[Pending, Conversation]:
    """Find the call that is meant and decide about it. Raises `ApprovalError` where that cannot be.

    Where the team is at hand, arguments that do not fit its tool are an `ArgumentsRefused`, and decide nothing.
    """
    one = await _found(store, wish)
    asked, verdict = one.asked, wish.verdict
    if team is not None and verdict.arguments is not None:
        try:
            edited = checked_arguments(team, fold(await store.read(one.conversation)), asked.id, verdict.arguments)
        except ArgumentsRefused as error:
            raise ArgumentsRefused(f"Nothing was decided, and the question stays open. {error}", fields=error.fields) from error
        verdict = verdict._replace(arguments=edited)
    if wish.digest is None and not _agreed(asked, verdict):
        raise ApprovalError("Nothing was decided.", conversation=one.conversation, approval=asked.id)
    digest = asked.digest if wish.digest is None or asked.digest.startswith(wish.digest) else wish.digest
    decision: Literal["approve", "deny"] = "approve" if verdict.approve else "deny"
    c = await outside.decide(
        store,
        one.conversation,
        asked.id,
        digest,
        decision,
        by=wish.by,
        reason=verdict.reason,
        arguments=verdict.arguments,
        at=clock.now(),
    )
    return one, c


async def _found(store: Journal, wish: Wish) -> Pending:
    """The pending call that is meant: by its approval's id, or the beginning of it that no other has."""
    name = await conversation_named(store, wish.conversation) if wish.conversation else None
    waiting = [one for one in await pending(store, name) if one.asked.id.startswith(wish.approval)]
    exact = [one for one in waiting if one.asked.id == wish.approval]
    if len(exact or waiting) == 1:
        return (exact or waiting)[0]
    if waiting:
        raise UsageError(f"{wish.approval!r} begins the ids of {len(waiting)} approvals. Give more of it.")
    error = ApprovalError(
        f"No call waits under the approval {wish.approval}: it was decided, or was never asked for. "
        f"`{following.command('approvals', 'ls')}` lists those "
        "that wait; --conversation ID tells what became of one.",
        reason="unknown",
        approval=wish.approval,
        conversation=name,
    )
    raise openings.past(error, [row.event for row in await store.read(name)] if name else ())


def _agreed(asked: ApprovalAsked, verdict: Verdict) -> bool:
    """Show a call to the person at the terminal and ask whether it is the one that is meant."""
    screen = Screen(sys.stderr)
    show(asked, screen)
    if verdict.arguments is not None:
        screen.line("  with these arguments instead:", NOTE)
        screen.line(f"  {json_visible(canonical(verdict.arguments))}")
    return click.confirm("  Approve this call?" if verdict.approve else "  Deny this call?", err=True)
