"""How each screen is, in words: what its player tells, what the hub finds out, and what to do about it.

Off on order (a blackout) and outside an item's hours is no fault: a player that shows its fallback then is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.api import Clock, Translate
from plugins.videotron.player.troubles import spoken
from plugins.videotron.protocol import Manifest, PlayerState, Trouble
from plugins.videotron.protocol.schedule import stale_at
from plugins.videotron.screens.remedies import remedy, spoken_remedy
from plugins.videotron.screens.roster import Roster
from plugins.videotron.settings import ScreenSettings

CLOCK_OFF = timedelta(minutes=2)
STEP_WITHIN = timedelta(minutes=1)
REJECTED_LATELY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What the hub asks of one player now."""

    manifest: Manifest | None = None
    keyset: int = 0
    override: int = 0  # counter of the one in force; 0 = none
    command: int = 0  # counter of the last one sent
    titles: Mapping[str, str] | None = None  # of items that an override shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the last screenshot said; `alarm` names what is wrong since two of them said so."""

    at: datetime
    verdict: str
    alarm: str = ""  # "wrong picture", "black picture"
    picture: str = ""  # paths
    approved: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What follows from a manifest, worked out once."""

    manifest: Manifest
    wanted: frozenset[str]
    titles: Mapping[str, str]
    until: datetime | None


class Conditions:
    """Rows for people, sentences for health. `duties` and `truths` are given at each call: nothing here is stored."""

    def __init__(self, roster: Roster, *, translate: Translate, clock: Clock) -> None:
        self._roster = roster
        self._translate = translate
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def faults(self, player: str, duty: Duty, truth: Truth | None = None) -> list[Fault]:
        """All that is wrong with this screen, the gravest first."""
        seen = self._roster.seen(player)
        found = [Fault(code=truth.alarm, text=truth.text)] if truth and truth.alarm else []
        if seen.last_seen is None:
            return [*found, Fault(code="never heard")]
        if not self._roster.online(player):
            found.append(Fault(code="not heard", text=f"for {spoken(self._clock.now() - seen.last_seen)}"))
        if seen.state is not None:
            found += [Fault(code=one.code, text=one.text) for one in seen.state.problems]
        if self._roster.online(player):
            found += self._found_out(player, duty, {fault.code for fault in found})
        return found

    def rows(
        self,
        duties: Mapping[str, Duty],
        *,
        progress: Mapping[str, tuple[int, int]],
        truths: Mapping[str, Truth],
    ) -> list[dict[str, Any]]:
        """The players as `siarhub videotron players --json` shows them."""
        self._roster.changed = False
        return [
            self._row(player, duties.get(player, Duty()), truths.get(player)) | {"receiving": progress.get(player)}
            for player in sorted(self._roster.screens)
        ]

    def details(self, duties: Mapping[str, Duty], truths: Mapping[str, Truth]) -> dict[str, str]:
        """By screen, how it is, in one line."""
        return {
            player: self._detail(player, duties.get(player, Duty()), truths.get(player))
            for player in sorted(self._roster.screens)
        }

    def troubles(self, duties: Mapping[str, Duty], truths: Mapping[str, Truth]) -> list[str]:
        """What is wrong with the screens, a sentence each; [] = all are well."""
        faults = {
            player: self.faults(player, duties.get(player, Duty()), truths.get(player)) for player in self._players
        }
        said = [
            f"{truth.alarm} at {player}: {truth.picture}, approved: {truth.approved or 'none'}"
            for player, truth in sorted(truths.items())
            if truth.alarm and player in faults
        ]
        if offline := self._roster.offline():
            count = len(self._players)
            said.append(f"{len(offline)} of {count} player{'s' * (count != 1)} not heard: {', '.join(offline)}")
        ill = {
            player: codes
            for player, found in faults.items()
            if player not in offline and (codes := _unique(fault.code for fault in found if not _is_alarm(fault)))
        }
        said += [f"{player}: {', '.join(codes)}" for player, codes in sorted(ill.items())]
        return said

    @property
    def _players(self) -> list[str]:
        return sorted(self._roster.screens)

    def _found_out(self, player: str, duty: Duty, told: set[str]) -> list[Fault]:
        seen, found = self._roster.seen(player), []
        if (offset := seen.clock_offset) is not None and abs(offset) > CLOCK_OFF:
            code = Trouble.CLOCK_BEHIND if offset < timedelta(0) else Trouble.CLOCK_AHEAD
            if code not in told:
                way = "behind" if offset < timedelta(0) else "ahead"
                found.append(Fault(code=code, text=f"its clock is {spoken(offset)} {way}"))
        if lag := self._lag(player, duty):
            found.append(Fault(code="out of step", text=lag))
        return found

    def _lag(self, player: str, duty: Duty) -> str:
        """What it does not follow though it has had a minute; "" = it is in step."""
        seen, state = self._roster.seen(player), self._roster.seen(player).state
        behind = _behind(duty, state) if state else ""
        now = self._clock.now()
        if not behind:
            seen.out_of_step_since = None
            return ""
        seen.out_of_step_since = seen.out_of_step_since or now
        return behind if now - seen.out_of_step_since >= STEP_WITHIN else ""

    def _row(self, player: str, duty: Duty, truth: Truth | None) -> dict[str, Any]:
        seen, known = self._roster.seen(player), self._knows(player, duty.manifest)
        row = unheard(player, self._roster.screens[player]) | {
            "online": self._roster.online(player),
            "last_seen": _iso(seen.last_seen),
            "key": seen.key,
            "boots": seen.order[0],
            "n": seen.order[1],
            "wanted": len(known.wanted) if known else 0,
            "held": len(known.wanted & seen.holds) if known else 0,
            "epoch": duty.manifest.epoch if duty.manifest else 0,
            "seq": duty.manifest.seq if duty.manifest else 0,
            "keyset": duty.keyset,
            "override": duty.override,
            "command": duty.command,
            "goes_on_until": _iso(known.until if known else None),
            "clock_offset_s": round(seen.clock_offset.total_seconds(), 1) if seen.clock_offset is not None else None,
            "shows_since": _iso(seen.shows_since),
            "problems": [self._problem(fault) for fault in self.faults(player, duty, truth)],
            "shot": _shot(truth),
        }
        titles = {**(duty.titles or {}), **(known.titles if known else {})}
        return row | self._told(seen.state, titles) if seen.state else row

    def _told(self, state: PlayerState, titles: Mapping[str, str]) -> dict[str, Any]:
        playing = state.playing
        return {
            "epoch_followed": state.epoch,
            "seq_followed": state.seq,
            "keyset_followed": state.keyset,
            "override_followed": state.override,
            "command_done": state.command,
            "shows": state.shows,
            "playing": playing and playing.model_dump(mode="json") | {"title": titles.get(playing.item, "")},
            "mpv": state.mpv,
            "software": state.software,
            "free_bytes": state.free_bytes,
            "received_bytes": state.received_bytes,
            "received_bytes_per_s": state.received_bytes_per_s,
            "proofs_waiting": state.proofs_waiting,
            "clock": state.clock.isoformat(),
            "machine": state.machine.model_dump(mode="json"),
            "rejections": [self._rejection(one.model_dump(mode="json")) for one in state.rejections],
        }

    def _problem(self, fault: Fault) -> dict[str, Any]:
        advice = {"remedy": spoken_remedy(fault.code, self._translate), "remedy_en": remedy(fault.code)}
        return {"code": fault.code, "text": fault.text, **advice}

    def _rejection(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"remedy": spoken_remedy(told["attack"], self._translate), "remedy_en": remedy(told["attack"])}

    def _detail(self, player: str, duty: Duty, truth: Truth | None) -> str:
        seen, known = self._roster.seen(player), self._knows(player, duty.manifest)
        parts = ["online" if self._roster.online(player) else ""]
        if seen.state is not None and self._roster.online(player):
            playing = seen.state.playing
            parts.append(f"shows {playing.item}" if playing else f"shows {seen.state.shows}")
        if known and (missing := len(known.wanted - seen.holds)):
            parts.append(f"lacks {missing} of {len(known.wanted)} files")
        parts += [f"{one.code}: {one.text}" if one.text else one.code for one in self.faults(player, duty, truth)]
        return "; ".join(part for part in parts if part)

    def _knows(self, player: str, manifest: Manifest | None) -> _Known | None:
        if manifest is None:
            self._known.pop(player, None)
            return None
        known = self._known.get(player)
        if known is None or known.manifest is not manifest:
            known = self._known[player] = _Known(
                manifest,
                frozenset(file.cid for file in manifest.files()),
                dict(_titles(manifest)),
                goes_on_until(manifest),
            )
        return known


def goes_on_until(manifest: Manifest) -> datetime | None:
    """Until when a player that hears nothing more has something of this manifest to show; None = it has nothing."""
    return max((stale_at(manifest, item) for item in manifest.items), default=None)


def _titles(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from ((one.item, one.title) for one in manifest.items)
    yield from ((one.item, one.title) for one in manifest.standby)


def unheard(player: str, screen: ScreenSettings) -> dict[str, Any]:
    """The row of a configured screen whose player was never heard."""
    empty = (
        "last_seen playing shows shows_since mpv software free_bytes received_bytes received_bytes_per_s clock"
        " clock_offset_s goes_on_until receiving shot machine epoch_followed seq_followed keyset_followed"
        " bytes_today bytes_month override_followed command_done proofs_waiting"
    )
    zero = "wanted held epoch seq keyset override command"
    return {
        "player": player,
        "name": screen.name,
        "width": screen.width,
        "height": screen.height,
        "online": False,
        **dict.fromkeys(empty.split()),
        **dict.fromkeys(zero.split(), 0),
        "problems": [
            {"code": "never heard", "text": "", "remedy": remedy("never heard"), "remedy_en": remedy("never heard")}
        ],
        "rejections": [],
    }


def _behind(duty: Duty, state: PlayerState) -> str:
    manifest = duty.manifest
    if manifest and (state.epoch, state.seq) != (manifest.epoch, manifest.seq):
        return f"it follows manifest {state.epoch}/{state.seq}, the hub's is {manifest.epoch}/{manifest.seq}"
    if state.keyset < duty.keyset:
        return f"it trusts keyset {state.keyset}, the hub's is {duty.keyset}"
    if state.override < duty.override:
        return f"it follows order {state.override}, the hub's is {duty.override}"
    return ""


def _shot(truth: Truth | None) -> dict[str, Any] | None:
    if truth is None:
        return None
    told = {"at": _iso(truth.at), "verdict": truth.verdict, "alarm": truth.alarm, "text": truth.text}
    return told | {"picture": truth.picture, "approved": truth.approved}


def _is_alarm(fault: Fault) -> bool:
    return fault.code in {"wrong picture", "black picture"}


def _unique(codes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(codes))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
