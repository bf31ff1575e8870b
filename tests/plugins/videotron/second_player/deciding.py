"""What counts at this moment: a person's order, else the schedule, else the fallback; and what is fetched for it."""

from __future__ import annotations

from .documents import films_of
from .films import Film, Films
from .schedule import Place, loop
from .screen import Plan
from .trust import Trust


def plan(trust: Trust, films: Films) -> Plan:
    order, manifest = trust.override, trust.manifest
    if order and order["mode"] == "blackout":
        return Plan(shows="blackout", places=())
    held = [(n, film) for n, film in enumerate(order["films"] if order else ()) if films.holds(film)]
    if held:
        return Plan(
            shows="emergency", places=tuple(Place(key=f"order/{n}/{film['cid']}", film=film) for n, film in held)
        )
    if manifest is None:
        return Plan(shows="fallback", places=())
    ends = min(manifest["expires"], trust.keyset["expires"])
    if found := loop(manifest | {"expires": ends}, trust.now(), films.holds).places:
        return Plan(shows="items", places=found)
    spare = manifest["fallback"]  # also when all else has expired
    places = (Place(key="fallback", film=spare),) if spare and films.holds(spare) else ()
    return Plan(shows="fallback", places=places)


def named(trust: Trust) -> list[Film]:
    """Every film that is to be held."""
    return [film for one in (trust.override, trust.manifest) if one for film in films_of(one)]


def missing(trust: Trust, films: Films) -> list[Film]:
    """What is to be fetched now: the films of an emergency before all others."""
    urgent = [film for film in films_of(trust.override or {}) if not films.holds(film)]
    now, lacking = trust.now(), [film for film in named(trust) if not films.holds(film)]
    return urgent or [film for film in lacking if film["fetch_after"] is None or film["fetch_after"] <= now]
