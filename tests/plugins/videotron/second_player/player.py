"""The player: takes what comes, shows what counts, says what it does. One thread; nothing here waits for long."""

from __future__ import annotations

import base64
import json
import random
import secrets
import shutil
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from . import wire
from .deciding import missing, named, plan
from .fetching import Fetching
from .films import Films
from .proofs import Proofs
from .screen import HEIGHT, PICTURE, WIDTH, Screen
from .telling import Rejections, States
from .trust import Clock, Trust, write_durably

UNKNOWN = ("memory_mb", "mpv_memory_mb", "temperature_c", "throttled", "uptime_s", "disk_errors")
MACHINE = dict.fromkeys(UNKNOWN) | {
    "output": "",
    "decoder": "",
    "dropped_frames": 0,
}  # a timer has none of this to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    folder: Path
    pid: str
    ns: str
    host: str
    port: int
    password: str
    ca: str | None = None
    receive_maximum: int = 8
    film_s: float | None = None  # as if each film ran for so long
    clock: Clock = lambda: datetime.now(UTC)


class Player:
    def __init__(self, settings: Settings, trust: Trust, key: Ed25519PrivateKey) -> None:
        self.settings, self.trust, self._key = settings, trust, key
        self._boot, self._boots, self._n = secrets.randbits(64), _started(settings.folder / "boots"), 0
        self.films, self.proofs = Films(settings.folder / "films"), Proofs(settings.folder / "proofs")
        self.screen = Screen(self.proofs, boot=f"{self._boot:016x}", film_s=settings.film_s)
        self._rejections, self._run = Rejections(), ""
        self._states = States(lambda: self._say_state(online=True), lambda: self._state(online=True))
        self._client: mqtt.Client | None = None
        names = {"ns": settings.ns, "pid": settings.pid}
        self._fetching = Fetching(self.films, **names, boot=self._boot)
        self._acks: deque[tuple[float, mqtt.MQTTMessage]] = deque()
        self._retry_at, self._pause, self._hub_news_at = 0.0, 0.5, float("inf")
        self._proofs_at, self._fetch_at = float("-inf"), float("-inf")
        self._shot_for, self._shot_at = 0, float("-inf")

    def run(self, stopped: Callable[[], bool]) -> None:
        """Play until it is stopped, with the broker or without."""
        while not stopped():
            self._converse()
            self._step(time.monotonic())
        self.screen.stop(time.monotonic())
        if self._client:
            self._say_state(online=False)
            self._client.disconnect()
            for _ in range(5):
                self._client.loop(0.02)

    # -- the connection

    def _converse(self) -> None:
        """A moment with the broker, or of waiting for the next try."""
        if self._client is None and time.monotonic() >= self._retry_at:
            self._connect()
        if self._client is None:
            time.sleep(0.05)
        elif self._client.loop(self._idle_s()) != mqtt.MQTT_ERR_SUCCESS:
            self._lose()

    def _idle_s(self) -> float:
        return max(0.0, min(0.05, self._acks[0][0] - time.monotonic())) if self._acks else 0.05

    def _connect(self) -> None:
        settings, properties = self.settings, Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum, properties.SessionExpiryInterval = settings.receive_maximum, 60
        versions = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2, "protocol": mqtt.MQTTv5}
        client = mqtt.Client(**versions, client_id=settings.pid, manual_ack=True)
        client.connect_timeout = 2
        client.username_pw_set(settings.pid, settings.password)
        if settings.ca:
            client.tls_set_context(ssl.create_default_context(cafile=settings.ca))
        delay = Properties(PacketTypes.WILLMESSAGE)
        delay.WillDelayInterval = 30
        client.will_set(f"{settings.ns}/s/{settings.pid}/state", self._signed_state(online=False), 1, True, delay)
        client.on_connect, client.on_message = self._connected, self._came
        client.on_socket_open = _at_once
        self._client = client
        try:
            client.connect(settings.host, settings.port, keepalive=60, clean_start=True, properties=properties)
        except OSError:
            self._lose()

    def _lose(self) -> None:
        self._client = None
        self._fetching.lost()
        self._retry_at = time.monotonic() + self._pause * random.uniform(0.5, 1.5)
        self._pause = min(2 * self._pause, 30)

    def _connected(self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            return
        mine = f"{self.settings.ns}/p/{self.settings.pid}"
        topics = [(f"{self.settings.ns}/keys", 1), (f"{self.settings.ns}/hub", 1)]
        client.subscribe([*topics, (f"{mine}/want", 0), (f"{mine}/now", 0), (f"{mine}/c", 0), (f"{mine}/b", 1)])
        self._fetching.connected(client)
        self._acks.clear()
        self._pause, self._proofs_at, self._fetch_at = 0.5, float("-inf"), float("-inf")
        self._states.step(time.monotonic(), now=True)

    def _publish(self, what: str, document: dict[str, Any], *, retain: bool = False) -> None:
        if self._client:
            topic = f"{self.settings.ns}/s/{self.settings.pid}/{what}"
            self._client.publish(topic, wire.sign(f"siarhub.{what}.v1", document, self._key), 1, retain)

    # -- what comes

    def _came(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            if message.payload:  # else a retained message was cleared, which changes nothing
                self._take(message.topic[len(self.settings.ns) + 1 :].split("/"), message.payload)
        except wire.Refused as refused:
            self._rejections.count(refused, self.trust.now())
        kbps = (self.trust.manifest or {}).get("fetch_kbps", 0)
        pause = len(message.payload) * 8 / (kbps * 1000) if kbps and message.topic.endswith("/b") else 0
        before = self._acks[-1][0] if self._acks else 0
        self._acks.append((max(time.monotonic(), before) + pause, message))

    def _acknowledge(self, monotonic: float) -> None:
        """In the order in which they came, and no faster than the manifest allows: the broker holds back the rest."""
        while self._client and self._acks and self._acks[0][0] <= monotonic:
            _, message = self._acks.popleft()
            self._client.ack(message.mid, message.qos)

    def _take(self, topic: list[str], raw: bytes) -> None:
        match topic:
            case ["keys"]:
                self.trust.judge_keychain(raw)
            case ["hub"]:
                self._hear_hub(self.trust.judge_hub(raw)[0])
            case ["p", self.settings.pid, "want"]:
                self._follow(self.trust.judge_manifest(raw))
            case ["p", self.settings.pid, "now"]:
                self._follow(self.trust.judge_override(raw))
            case ["p", self.settings.pid, "c"]:
                self._take_order(raw)
            case ["p", self.settings.pid, "b"]:
                self._state_if(self._fetching.take(raw, None))
            case ["c", cid, "b"]:
                self._state_if(self._fetching.take(raw, cid))
            case ["c", cid, "m"] if film := self._fetching.film(cid):
                self._state_if(self._fetching.begin(cid, self.trust.judge_blocks(raw, film)))

    def _hear_hub(self, said: dict[str, Any]) -> None:
        if said["online"] and said["run"] != self._run:
            self._run, self._hub_news_at = said["run"], time.monotonic() + random.random()

    def _follow(self, news: dict[str, Any] | None) -> None:
        if news:
            self.films.forget_all_but({film["cid"] for film in named(self.trust)})
            self._fetch_at = float("-inf")

    def _take_order(self, raw: bytes) -> None:
        type_ = wire.open_envelope(raw).type
        if type_ == "siarhub.proof-ack.v1" and self.proofs.acknowledge(self.trust.judge_ack(raw)):
            self._proofs_at = float("-inf")
        elif type_ == "siarhub.command.v1":
            command = self.trust.judge_command(raw)
            if command["name"] == "screenshot":
                self._shot_for = command["counter"]

    def _state_if(self, whole: bool) -> None:
        if whole:
            self._fetch_at = float("-inf")
            self._states.step(time.monotonic(), now=True)

    # -- what is due

    def _step(self, monotonic: float) -> None:
        shown, mark = plan(self.trust, self.films), self._followed()
        now, clock = self.trust.now(), self.settings.clock()
        self.screen.step(shown, monotonic=monotonic, now=now, behind=clock < now, manifest=mark)
        if self._client is None or not self._client.is_connected():
            return
        self._acknowledge(monotonic)
        if monotonic >= self._hub_news_at:
            self._hub_news_at, self._proofs_at = float("inf"), float("-inf")
            self._fetching.begin_anew()
            self._states.step(monotonic, now=True)
        if monotonic >= self._fetch_at + 1:
            self._fetch_at = monotonic
            self._fetching.want(missing(self.trust, self.films))
        self._fetching.report()
        self._states.step(monotonic)
        self._prove(monotonic)
        self._show_shot(monotonic)

    def _prove(self, monotonic: float) -> None:
        if monotonic >= self._proofs_at + 10 and (batch := self.proofs.batch(self.settings.pid)):
            self._proofs_at = monotonic
            self._publish("proof", batch)

    def _show_shot(self, monotonic: float) -> None:
        if not self._shot_for or monotonic < self._shot_at + 10:
            return
        playing = self._playing() or {"item": None, "cid": None, "position": 0.0}
        said = {"player": self.settings.pid, "boot": f"{self._boot:016x}", "at": _said(self.settings.clock())}
        said |= {"command": self._shot_for, "shows": self.screen.shows, "item": playing["item"], "cid": playing["cid"]}
        said |= {"position": playing["position"], "width": WIDTH, "height": HEIGHT}
        self._publish("shot", said | {"jpeg": base64.b64encode(PICTURE).decode()})
        self._shot_for, self._shot_at = 0, monotonic

    # -- what it says of itself

    def _say_state(self, *, online: bool) -> dict[str, Any]:
        state = self._state(online=online)
        self._n += 1
        self._publish("state", state | {"n": self._n}, retain=True)
        return state

    def _signed_state(self, *, online: bool) -> bytes:
        self._n += 1
        return wire.sign("siarhub.state.v1", self._state(online=online), self._key)

    def _followed(self) -> tuple[int, int]:
        mark = self.trust.kept.manifest
        return (mark.epoch, mark.number) if self.trust.manifest else (0, 0)

    def _playing(self) -> dict[str, Any] | None:
        playing = self.screen.playing
        if playing is None:
            return None
        position = min(time.monotonic() - playing.started, playing.seconds)
        film = playing.place.film
        since = {"since": _said(playing.since), "position": round(position, 2)}
        return {"item": film["item"], "cid": film["cid"], **since}

    def _state(self, *, online: bool) -> dict[str, Any]:
        kept, keyset, (epoch, seq) = self.trust.kept, self.trust.keyset, self._followed()
        orders = {key: getattr(kept, key) for key in ("override", "command")}
        counters = {key: one.number if one.epoch == keyset["epoch"] else 0 for key, one in orders.items()}
        return {
            "player": self.settings.pid, "online": online, "software": "second-player 1",
            "boot": f"{self._boot:016x}", "boots": self._boots, "n": self._n,
            "keyset": keyset["version"], "epoch": epoch, "seq": seq, **counters,
            "shows": self.screen.shows, "playing": self._playing(), "holds": self.films.cids[:2000],
            "mpv": "playing" if self.screen.playing else "idle",
            "free_bytes": shutil.disk_usage(self.settings.folder).free,
            "received_bytes": self._fetching.received, "received_bytes_per_s": self._fetching.received_per_s(),
            "clock": _said(self.settings.clock()), "time": _said(self.trust.now()),
            "chain": self.proofs.chain, "proof_seq": self.proofs.seq, "proofs_waiting": self.proofs.waiting,
            "machine": MACHINE, "problems": self._problems(), "rejections": self._rejections.told(),
        }  # fmt: skip

    def _problems(self) -> list[dict[str, str]]:
        manifest, now = self.trust.manifest, self.trust.now()
        found = [
            (self.trust.keyset["expires"] <= now, "keyset expired"),
            (manifest is None, "no manifest"),
            (manifest is not None and manifest["expires"] <= now, "manifest expired"),
            (self.settings.clock() < now - timedelta(seconds=60), "clock behind"),
            (bool(self.proofs.lost), "proofs lost"),
            (bool(self._rejections.told()), "refused what came"),
        ]
        return [{"code": code, "text": code} for true, code in found if true]


def _at_once(_client: object, _data: object, sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a report would wait for the acknowledgement before it


def _said(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _started(path: Path) -> int:
    boots = 1 + (json.loads(path.read_bytes()) if path.exists() else 0)
    write_durably(path, json.dumps(boots).encode())
    return boots
