"""Screen truth: what the hub makes of the pictures that players send."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from PIL import Image

from hub.testing import NOON, FakeClock
from plugins.videotron.protocol import Attack, PlayerState, Refused, Shot, SigningKey, encode_signed, key_id
from plugins.videotron.screens.roster import Roster
from plugins.videotron.screenshots import shots
from plugins.videotron.screenshots.shots import Answer, Film, Shots, Verdict
from plugins.videotron.settings import ScreenSettings

CID, BOOT = "ab" * 16, "1" * 16
KEY = SigningKey.new()
KEYS = {key_id(KEY.public): KEY.public}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25", "-t", "3", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def frame(film: Path) -> Image.Image:
    """What stands on the screen 1.4 s into the film."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-ss",
        "1.4",
        "-i",
        str(film),
        "-frames:v",
        "1",
        "-f",
        "image2",
        "-c",
        "png",
        "-",
    ]
    return Image.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)).convert("RGB")


BLACK, OTHER = Image.new("RGB", (128, 96)), Image.radial_gradient("L").resize((128, 96)).convert("RGB")


def size_of(path: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(Path(path).read_bytes())).size


class Hub:
    """The hub's side of one screen, with a player that sends what a test says."""

    def __init__(self, folder: Path, film: Path) -> None:
        self.clock = FakeClock()
        screens = {name: ScreenSettings(width=128, height=96) for name in ("gate-1", "hall-1")}
        self.roster = Roster(screens, silent_after=timedelta(seconds=90), clock=self.clock)
        self.asked: list[str] = []
        self.films = {("gate-1", CID): Film(path=film, seconds=3.0)}
        self.judged = asyncio.Condition()
        self.shots = Shots(
            folder,
            roster=self.roster,
            film_of=lambda player, cid: self.films.get((player, cid)),
            ask=self._ask,
            clock=self.clock,
            log=structlog.get_logger(),
        )
        self.answer: Image.Image | None = None
        self.heard()

    async def _ask(self, player: str) -> int:
        self.asked.append(player)
        if self.answer is not None:
            self.take(self.answer, command=len(self.asked))
        return len(self.asked)

    def heard(self, **changes: Any) -> None:
        facts: dict[str, Any] = {"software": "x", "keyset": 1, "epoch": 1, "seq": 1, "override": 0, "command": 0}
        facts |= {"player": "gate-1", "online": True, "boot": BOOT, "boots": 1, "n": int(self.clock.monotonic()) + 1}
        facts |= {"shows": "items", "playing": None, "holds": (), "mpv": "playing", "free_bytes": 1}
        facts |= {"clock": self.clock.now(), "time": NOON, "chain": BOOT, "proof_seq": 0}
        self.roster.on_state("gate-1", PlayerState(**facts | changes), retained=False)

    def shot(self, picture: Image.Image, **changes: Any) -> bytes:
        drawn = io.BytesIO()
        picture.save(drawn, "JPEG", quality=60)
        facts: dict[str, Any] = {"player": "gate-1", "boot": BOOT, "at": self.clock.now(), "command": 0}
        facts |= {"shows": "items", "item": "IP-1", "cid": CID, "position": 1.6}
        facts |= {"width": picture.width, "height": picture.height, "jpeg": base64.b64encode(drawn.getvalue()).decode()}
        return encode_signed(Shot(**facts | changes), KEY)

    def take(self, picture: Image.Image, **changes: Any) -> None:
        self.clock.advance(timedelta(seconds=10))
        self.shots.take("gate-1", self.shot(picture, **changes), KEYS)

    async def judge(self, picture: Image.Image, **changes: Any) -> Any:
        """What the hub says of a picture that comes now."""
        before = self.shots.truths.get("gate-1")
        self.take(picture, **changes)
        async with asyncio.timeout(20), self.shots._judged:
            await self.shots._judged.wait_for(lambda: self.shots.truths.get("gate-1") is not before)
        return self.shots.truths["gate-1"]


@pytest.fixture
async def hub(tmp_path: Path, film: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path / "shots", film)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.shots.run())
        yield made
        running.cancel()


async def test_what_was_approved_is_recognised_and_kept(hub, frame):
    truth = await hub.judge(frame)

    assert (truth.verdict, truth.alarm) == (Verdict.MATCH, "")
    assert size_of(truth.picture) == (128, 96)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("spoil", "verdict", "alarm"), [("other", "mismatch", "wrong picture"), ("black", "black", "black picture")]
)
async def test_one_bad_picture_asks_for_a_second_and_two_are_an_alarm_with_both_pictures(
    hub, frame, spoil, verdict, alarm
):
    bad = {"other": OTHER, "black": BLACK}[spoil]

    first = await hub.judge(bad)
    assert (first.verdict, first.alarm, hub.asked) == (verdict, "", ["gate-1"])

    second = await hub.judge(bad)
    assert (second.verdict, second.alarm) == (verdict, alarm)
    assert size_of(second.picture) == size_of(second.approved) == (128, 96)
    assert hub.asked == ["gate-1"]  # the alarm goes on without more questions


async def test_a_good_picture_ends_the_alarm(hub, frame):
    for _ in range(2):
        await hub.judge(OTHER)

    assert (await hub.judge(frame)).alarm == ""
    assert (await hub.judge(OTHER)).alarm == ""


async def test_what_cannot_be_told_neither_raises_an_alarm_nor_ends_it(hub, frame):
    for _ in range(2):
        await hub.judge(OTHER)

    truth = await hub.judge(frame, cid="cd" * 16)

    assert (truth.verdict, truth.alarm) == (Verdict.CANNOT_TELL, "wrong picture")


@pytest.mark.parametrize("position", [0.3, 2.8])
async def test_where_one_film_follows_another_nothing_is_concluded_from_a_difference(hub, position):
    assert (await hub.judge(OTHER, position=position)).verdict == Verdict.CANNOT_TELL


async def test_a_screen_that_is_dark_on_order_is_right_when_it_is_black(hub, frame):
    dark = {"shows": "blackout", "item": None, "cid": None}

    assert (await hub.judge(BLACK, **dark)).verdict == Verdict.MATCH
    assert (await hub.judge(frame, **dark)).verdict == Verdict.MISMATCH


async def test_the_players_own_fallback_cannot_be_told(hub):
    truth = await hub.judge(OTHER, shows="fallback", item=None, cid=None)

    assert (truth.verdict, truth.alarm) == (Verdict.CANNOT_TELL, "")
    assert "fallback" in truth.text


async def test_what_is_no_picture_is_told_as_such_and_nothing_is_kept(hub, frame):
    truth = await hub.judge(frame, jpeg=base64.b64encode(b"\xff\xd8\xff" + bytes(100)).decode())

    assert (truth.verdict, truth.picture) == (Verdict.CANNOT_TELL, "")


@pytest.mark.parametrize(
    ("changes", "attack"),
    [
        ({"player": "hall-1"}, Attack.WRONG_AUDIENCE),
        ({"width": 481}, Attack.TOO_LARGE),
        ({"jpeg": "A" * 90_000}, Attack.TOO_LARGE),
        ({"boot": "2" * 16}, Attack.REPLAYED),
        ({"at": NOON - timedelta(minutes=11)}, Attack.REPLAYED),
    ],
)
async def test_a_picture_that_must_not_be_believed_is_refused(hub, frame, changes, attack):
    with pytest.raises(Refused) as refused:
        hub.take(frame, **changes)

    assert refused.value.attack is attack


async def test_an_old_picture_that_comes_again_is_refused(hub, frame):
    old = hub.shot(frame)
    hub.shots.take("gate-1", old, KEYS)

    with pytest.raises(Refused) as refused:
        hub.shots.take("gate-1", old, KEYS)

    assert refused.value.attack is Attack.REPLAYED


async def test_a_clock_that_was_put_right_does_not_make_new_pictures_old(hub, frame):
    hub.heard(n=5, clock=NOON + timedelta(hours=3))
    assert (await hub.judge(frame, at=NOON + timedelta(hours=3, seconds=10))).verdict == Verdict.MATCH
    hub.heard(n=6)

    assert (await hub.judge(frame)).verdict == Verdict.MATCH


async def test_a_player_that_sends_too_many_does_not_keep_the_hub_busy(hub, frame):
    hub.take(frame)
    hub.clock.advance(timedelta(seconds=1))

    with pytest.raises(Refused) as refused:
        hub.shots.take("gate-1", hub.shot(frame), KEYS)

    assert refused.value.attack is Attack.OVER_LIMIT


async def test_a_picture_signed_by_somebody_else_is_refused(hub, frame):
    with pytest.raises(Refused):
        hub.shots.take("gate-1", hub.shot(frame), {key_id(SigningKey.new().public): SigningKey.new().public})


async def test_a_player_with_a_wrong_clock_is_looked_at_all_the_same(hub, frame):
    hub.heard(n=5, clock=datetime.fromisoformat("1970-01-01T00:00:05Z"))

    truth = await hub.judge(frame, at=datetime.fromisoformat("1970-01-01T00:00:15Z"))

    assert truth.verdict == Verdict.MATCH


async def test_a_request_is_answered_with_the_path_and_what_it_shows(hub, frame):
    hub.answer = frame

    outcome = await hub.shots.request("gate-1")

    answer = Answer.read(outcome.message)
    assert outcome.done
    assert size_of(answer.picture) == (128, 96)
    assert (answer.verdict, answer.text, answer.wrong) == ("match", "it shows what was approved", False)
    hub.answer = None
    assert (await hub.shots.request("gate-1")).message == outcome.message  # the same, for ten seconds


async def test_a_player_that_is_not_there_is_not_waited_for(hub):
    hub.clock.advance(timedelta(hours=1))

    assert (await hub.shots.request("hall-1")).message == "hall-1 is offline: it was never heard"
    outcome = await hub.shots.request("gate-1")
    assert (outcome.done, outcome.message) == (False, f"gate-1 is offline: it was last heard {NOON:%Y-%m-%d %H:%M} UTC")
    assert hub.asked == []


@pytest.mark.parametrize(("shows", "said"), [("items", "sent no screenshot"), ("blackout", "nothing, on order")])
async def test_a_player_that_sends_none_is_asked_twice_and_then_named(hub, monkeypatch, shows, said):
    monkeypatch.setattr(shots, "ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr(shots, "ASK_AGAIN_S", 0.1)
    hub.heard(n=9, shows=shows)

    outcome = await hub.shots.request("gate-1")

    assert not outcome.done
    assert said in outcome.message
    assert hub.asked == ["gate-1", "gate-1"]


async def test_an_alarm_outlives_the_hub(hub, tmp_path, film):
    for _ in range(2):
        await hub.judge(OTHER)
    truth = hub.shots.truths["gate-1"]
    told = {"at": truth.at.isoformat(), "verdict": str(truth.verdict), "alarm": truth.alarm, "text": truth.text}
    rows = [{"player": "gate-1", "shot": told | {"picture": truth.picture, "approved": truth.approved}}]

    later = Hub(tmp_path / "later", film)
    later.shots.recall([*rows, {"player": "gone-1", "shot": told}])

    assert later.shots.truths == {"gate-1": truth}
