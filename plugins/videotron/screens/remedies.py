"""What to do about each trouble that a player or the hub tells: one sentence each, in the office's language.

The English texts are catalogue entries; `locale/id.po` has them in Indonesian.
"""

from __future__ import annotations

from hub.api import Translate
from plugins.videotron.protocol import Attack, Trouble

HIJACK = (
    "Someone may be trying to show something of their own: find out who can reach the broker, change its passwords"
    " (siarhub videotron acl --accounts), and look at the screen."
)
STALE = "An old message came again: harmless once; if it goes on, find out who can reach the broker."
MIXED = "Another hub or player uses the same broker and namespace: give each its own."
OLD_SOFTWARE = "Hub and player do not understand each other: bring both to the same version."

REMEDIES: dict[Trouble, str] = {
    Trouble.NO_MANIFEST: "Enrol this player (siarhub videotron enrol), or see whether the hub reaches the broker.",
    Trouble.EXPIRED: "The player has not heard the hub for too long and shows its fallback: repair its network.",
    Trouble.SILENCE: "The player hears nothing new: repair its network, or see whether the hub runs.",
    Trouble.KEYS_EXPIRED: "The hub's keys are out of date: renew them (siarhub videotron keys rotate).",
    Trouble.REJECTIONS: "See the reasons below, one by one (siarhub videotron players SCREEN).",
    Trouble.CLOCK_BEHIND: "Set the player's clock: let it reach a time server, and replace the battery of its clock.",
    Trouble.CLOCK_AHEAD: "Set the player's clock: items begin and end too early until it is right.",
    Trouble.MPV_DOWN: "The player is starting its picture anew; if it stays so, restart it and read its log.",
    Trouble.FROZEN: (
        "The picture stood still and was started anew; if it does so again, look at heat, memory and the film."
    ),
    Trouble.NO_OUTPUT: "Check the video cable, the power of the screen and of its controller.",
    Trouble.FILM_BROKEN: "Have the film made anew (siarhub retry ITEM); if it stays so, drop the item again.",
    Trouble.FILM_MISSING: "The film has not come yet: see whether the network and the disk of the player are well.",
    Trouble.DISK_FULL: "Make room on the player's disk, or give it a larger one.",
    Trouble.DISK_ERROR: "Replace the player's disk or memory card soon; all comes back by itself on the new one.",
    Trouble.MEMORY: "Restart the player; if it comes back, give the machine more memory.",
    Trouble.HOT: "Give the player air: clean fan and filter, shade the cabinet.",
    Trouble.POWER: "Replace the player's power supply or its cable: the voltage is too low.",
    Trouble.DROPPED_FRAMES: (
        "The machine is too slow for the film: cool it, or lower the screen's fps and max_bitrate_kbps."
    ),
    Trouble.WRONG_SIZE: "Make width and height the same in siarhub.toml and in the player's settings.",
    Trouble.PROOFS_LOST: "Some plays are not proved: let the player reach the hub more often, or raise max_proofs.",
    Trouble.STATE_SPOILED: "Part of the player's state was damaged and made anew: look at its disk and its power.",
    Trouble.OTHER: "Read the player's log: journalctl -u siarhub-player.",
}

ATTACKS: dict[Attack, str] = {
    Attack.MALFORMED: OLD_SOFTWARE,
    Attack.TOO_LARGE: OLD_SOFTWARE,
    Attack.WRONG_TYPE: HIJACK,
    Attack.UNSIGNED: HIJACK,
    Attack.UNKNOWN_KEY: "Signed with a key that does not count: enrol the player anew, or find out who holds that key.",
    Attack.BAD_SIGNATURE: HIJACK,
    Attack.TOO_FEW_SIGNATURES: HIJACK,
    Attack.WRONG_SITE: MIXED,
    Attack.WRONG_AUDIENCE: MIXED,
    Attack.ROLLBACK: STALE,
    Attack.EQUIVOCATION: "Two texts under one number: two hubs with one key, or a restored backup. Let one hub run.",
    Attack.WRONG_KEYSET: (
        "Made under other keys: normal for a moment after keys rotate; else see siarhub videotron keys status."
    ),
    Attack.EXPIRED: "It came too late: see the clocks of hub and player, and the network.",
    Attack.REPLAYED: STALE,
    Attack.WRONG_FILE: HIJACK,
    Attack.WRONG_BLOCK: (
        "A block was damaged or forged on its way: harmless when rare; else see who can reach the broker."
    ),
    Attack.OVER_LIMIT: "The hub asks for more than this player may hold: raise its limits, or shorten the films.",
}

# What the hub itself finds out about a screen; the codes stand beside the protocol's.
OWN: dict[str, str] = {
    "never heard": "Install and enrol a player for this screen, or take the screen out of siarhub.toml.",
    "not heard": "Check power and network at the screen; the player goes on with what it holds.",
    "out of step": "The player does not follow what the hub issued: wait a minute; if it stays so, restart the player.",
    "wrong picture": "What stands on the screen is not what was approved: look at both pictures and at the screen now.",
    "black picture": "The screen is black though it should not be: look at the screen, then restart the player.",
}


def remedy(code: str) -> str:
    """What to do, in English: the catalogue's entry. A word of a later version gets the advice for anything else."""
    if code in OWN:
        return OWN[code]
    for known, kind in ((REMEDIES, Trouble), (ATTACKS, Attack)):
        try:
            return known[kind(code)]  # type: ignore[index]
        except ValueError:
            continue
    return REMEDIES[Trouble.OTHER]


def spoken_remedy(code: str, translate: Translate) -> str:
    """What to do, in the office's language."""
    return translate(remedy(code))
