"""One player's month, verified: its chains one by one, and what the hub's journal says of the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.api import Fact, Played
from plugins.videotron.proofs.check import ChainCheck, KeysAt
from plugins.videotron.proofs.findings import Findings, Period, plays
from plugins.videotron.proofs.keeper import journal_key
from plugins.videotron.proofs.reading import Chain, Proofs

# The facts that the hub's journal has from one key to another, by key.
Journal = Callable[[str, str], Iterator[tuple[str, Fact]]]
LAST = 10**16 - 1


def period_of(month: str, zone: ZoneInfo) -> Period:
    """The month `yyyy-mm` as people count it. Raises: ValueError."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=zone)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Period(start=start, end=following)


def verify_month(player: str, period: Period, *, proofs: Proofs, keys: KeysAt, journal: Journal) -> Findings:
    """Everything that can be checked without asking the player. Blocks."""
    found = Findings()
    chains = proofs.chains(player)
    for before, chain in zip([None, *chains], chains, strict=False):
        _verify_chain(player, chain, period, proofs, keys, journal, found)
        if before is not None and period.holds(chain.since):
            text = f"a new record was begun; chain {before.id} was not continued after entry {before.seq}"
            found.problems.append(f"chain {chain.id}: {text}")
    for fork in proofs.forks(player, period.start, period.end):
        text = f"a fork: entry {fork.seq} came once more on {fork.found_at:%Y-%m-%d}, and not the same"
        found.problems.append(f"chain {fork.chain}: {text}")
    _find_unproved(player, {chain.id for chain in chains}, period, journal, found)
    found.finish()
    return found


def _verify_chain(
    player: str,
    chain: Chain,
    period: Period,
    proofs: Proofs,
    keys: KeysAt,
    journal: Journal,
    found: Findings,
) -> None:
    stretch = proofs.stretch(player, chain, period.start, period.end)
    if stretch is None:
        return
    check = ChainCheck(chain, stretch, period, keys=keys, journalled=proofs.journalled(), into=found)
    for envelope in proofs.envelopes(player, chain, stretch):
        check.add(envelope)
    last = LAST if check.until is None else check.until
    facts = journal(journal_key(player, chain.id, check.since), journal_key(player, chain.id, last))
    check.compare(
        ((int(key.rpartition("/")[2]), fact) for key, fact in facts if isinstance(fact, Played)),
        came_meanwhile=lambda seq: proofs.holds(player, chain, seq),
    )
    check.finish()


def _find_unproved(player: str, known: set[str], period: Period, journal: Journal, found: Findings) -> None:
    """Plays in the journal of a record of which nothing is kept."""
    for chain in _chains_in(player, journal):
        if chain in known:
            continue
        facts = journal(f"played/{player}/{chain}/", f"played/{player}/{chain}0")
        count = sum(isinstance(fact, Played) and period.holds(fact.started_at) for _, fact in facts)
        if count:
            found.problems.append(f"chain {chain}: the journal has {plays(count)} that nothing proves")


def _chains_in(player: str, journal: Journal) -> Iterator[str]:
    after, end = f"played/{player}/", f"played/{player}0"  # "0" is what follows "/"
    while entry := next(journal(after, end), None):
        chain = entry[0].split("/")[2]
        yield chain
        after = f"played/{player}/{chain}0"
