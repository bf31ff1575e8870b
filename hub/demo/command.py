"""`siarhub demo`: set the stage, drop three approved files, tell what happens, and judge it from outside."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from hub.demo import judge
from hub.demo.judge import Verdict
from hub.demo.stage import SCREENS, Screen, Stage, stage
from hub.demo.story import Story
from hub.media.samples import make_audio, make_poster, make_video

ONCE_WITHIN_S = 240.0
PACE_S = 0.3  # of telling, looking and listening: the others are processes of their own
TONE_HZ = 1000
SPOT_S = 5.0
SIDECAR = """\
Judul: {title}
Ringkasan: Contoh untuk peragaan Siar Hub
Klasifikasi: berkala
Sumber: Diskominfo Kalimantan Selatan
Nomor persetujuan: LP-2026-11/001
Tanggal persetujuan: {date}
Penyetuju: Kepala Dinas
Saluran: {channels}
"""


@dataclass(slots=True)
class Demo:
    """What the judge has found so far."""

    console: Console
    stage: Stage
    story: Story
    pictures: dict[str, Path]  # title -> the file that was dropped
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def say(self, sentence: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.began:6.1f} s[/]  {sentence}", highlight=False)

    def found(self, verdict: Verdict) -> None:
        known = self.verdicts.get(verdict.what)
        if known is None or (verdict.good and not known.good):
            self.verdicts[verdict.what] = verdict
            if verdict.good:
                self.say(f"[bold green]seen from outside[/] {verdict.what}: {verdict.detail}")

    def seen(self, what: str) -> bool:
        return what in self.verdicts and self.verdicts[what].good

    def wanted(self) -> list[str]:
        """Everything that must be found before the story has happened."""
        return [*(f"{title} on {one.name}" for title in self.pictures for one in SCREENS), "radio", "archive"]

    def missing(self) -> list[str]:
        verdicts = self.verdicts
        return [
            f"{what}: {verdicts[what].detail if what in verdicts else 'nothing was seen'}"
            for what in self.wanted()
            if not self.seen(what)
        ]

    def say_the_end(self) -> None:
        """The last line: that all of the story happened, or how much of it."""
        wanted, missing = len(self.wanted()), len(self.missing())
        within = f"in {time.monotonic() - self.began:.0f} s"
        if missing:
            self.say(
                f"[bold red]{wanted - missing} of {wanted}[/] were seen from outside {within}; ending the stage ..."
            )
        else:
            self.say(
                f"[bold green]all of the story happened[/] {within}, seen from outside: {', '.join(self.wanted())}"
            )
            self.say("ending the stage ...")


@click.command()
@click.option("--once", is_flag=True, help="End by itself: 0 when the whole story happened, 1 naming what did not.")
@click.option("--folder", type=click.Path(path_type=Path), help="Work here and keep it; must not exist yet.")
def demo(once: bool, folder: Path | None) -> None:
    """Show the whole chain: two screens, a radio, an archive, in a temporary folder, until Ctrl-C."""
    console = Console()
    work = folder or Path(tempfile.mkdtemp(prefix="siarhub-demo-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        missing = asyncio.run(_play(console, work, once=once))
    except asyncio.CancelledError:  # by Ctrl-C
        missing = []
    if missing:
        console.print(f"[bold red]This did not happen[/] (logs: {work / 'logs'}):")
        console.print("\n".join(f"  {one}" for one in missing), markup=False)
        raise SystemExit(1)
    if folder is None:
        shutil.rmtree(work, ignore_errors=True)


async def _play(console: Console, folder: Path, *, once: bool) -> list[str]:
    _end_on_signals(console)
    console.print("[bold]Siar Hub demo[/]: setting the stage (broker, Liquidsoap, two players, hub) ...")
    samples = await asyncio.to_thread(_make_samples, folder / "samples")
    async with stage(folder) as ready:
        told = Demo(console, ready, Story(ready.state_dir), samples.pictures)
        told.say(f"drop approved files in {ready.root / 'Disetujui'}; listen to {ready.listener_url}")
        await asyncio.to_thread(_drop, samples, ready.root / "Disetujui")
        told.say(f"dropped {', '.join(path.name for path in samples.media)}")
        told.say(
            f"a plugin dropped in {ready.plugin_dir}, or a change of {ready.config.name}, restarts the hub with it"
        )
        await _follow(told, once=once)
        told.say_the_end()
        return told.missing() if once else []


def _end_on_signals(console: Console) -> None:
    """Ctrl-C or SIGTERM ends the whole stage in order; pressed again, it must not leave half of it behind."""
    loop, play = asyncio.get_running_loop(), asyncio.current_task()
    assert play is not None  # noqa: S101 - called by a coroutine

    def end() -> None:
        if not play.cancelling():
            console.print("ending the stage (hub, players, broker, Liquidsoap) ...")
            play.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


async def _follow(told: Demo, *, once: bool) -> None:
    """Tell, look and listen at the same time, until all is found (or for ever, without `once`)."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_tell(told), name="tell"), group.create_task(_listen(told), name="listen")]
        tasks.append(group.create_task(_restart_for_plugins(told), name="restart for plugins"))
        tasks += [group.create_task(_look_at(told, screen), name=f"look at {screen.id}") for screen in SCREENS]
        while not (once and (not told.missing() or time.monotonic() - told.began > ONCE_WITHIN_S)):
            if ended := next((one.ended for one in told.stage.children if one.ended), ""):
                told.say(f"[red]{ended}[/]")
                break
            await asyncio.sleep(PACE_S)
        for task in tasks:
            task.cancel()


async def _tell(told: Demo) -> None:
    with told.console.status("waiting") as line:
        while True:
            for sentence in await asyncio.to_thread(lambda: list(told.story.news())):
                told.say(sentence)
            line.update(await asyncio.to_thread(_under_way, told))
            await asyncio.sleep(PACE_S)


def _under_way(told: Demo) -> str:
    """What happens just now, in one line. Blocks."""
    parts = [f"{told.story.plays} plays proved"]
    for what, part in (("transcoding", told.story.transcoding()), ("delivering", told.story.receiving())):
        if part is not None:
            parts.append(f"{what} {part:.0%}")
    missing = told.missing()
    parts.append(f"still to be seen: {len(missing)}" if missing else "all seen; Ctrl-C ends it")
    return " · ".join(parts)


async def _restart_for_plugins(told: Demo) -> None:
    """What an administrator does after adding a plugin: restart the service."""
    known = await asyncio.to_thread(_plugin_state, told.stage)
    while True:
        await asyncio.sleep(PACE_S)
        if (now := await asyncio.to_thread(_plugin_state, told.stage)) != known:
            known = now
            await told.stage.restart_hub()
            told.say(f"[bold]restarted the hub[/] for its plugins; see: siarhub plugins --config {told.stage.config}")


def _plugin_state(stage: Stage) -> object:
    """Changes when a plugin or the settings do."""
    files = [stage.config, *stage.plugin_dir.rglob("*.py")]
    return {path: path.stat().st_mtime_ns for path in files if path.exists()}


async def _listen(told: Demo) -> None:
    """Once the hub says that it aired and filed all, check whether a listener and an archivist would agree."""
    while not (told.seen("radio") and told.seen("archive")):
        milestones = [milestone for _, milestone in told.story.reached]
        if not told.seen("radio") and "aired" in milestones:
            told.found(await asyncio.to_thread(judge.hear, told.stage.recording, TONE_HZ, SPOT_S))
        if not told.seen("archive") and milestones.count("filed") > len(told.pictures):
            for month in sorted(told.story.month_folders):
                told.found(await asyncio.to_thread(judge.check_month, told.stage.root / "Arsip" / month))
        await asyncio.sleep(PACE_S)


async def _look_at(told: Demo, screen: Screen) -> None:
    """Take screenshots until every dropped picture has been seen on this screen."""
    shot = told.stage.folder / f"screen-{screen.id}.png"
    while todo := [title for title in told.pictures if not told.seen(f"{title} on {screen.name}")]:
        if await judge.screenshot(told.stage.players[screen.id], shot):
            await _compare(told, screen, shot, todo)
        await asyncio.sleep(PACE_S)


async def _compare(told: Demo, screen: Screen, shot: Path, todo: list[str]) -> None:
    for title in todo:
        score = await judge.likeness(shot, told.pictures[title], screen)
        kept = shot.with_name(f"screen-{screen.id}-{title.split()[0].lower()}.png")
        verdict = Verdict(
            what=f"{title} on {screen.name}", good=score >= judge.ALIKE, detail=f"{score:.0%} alike, {kept.name}"
        )
        if verdict.good:
            await asyncio.to_thread(shutil.copyfile, shot, kept)
        told.found(verdict)


@dataclass(frozen=True, slots=True)
class _Samples:
    media: tuple[Path, ...]
    pictures: dict[str, Path]
    sidecars: dict[Path, str]


def _make_samples(folder: Path) -> _Samples:
    folder.mkdir(parents=True)
    video = make_video(folder / "Imbauan Siaga Karhutla.mp4", 6.0, (640, 360), tone_hz=440)
    poster = make_poster(folder / "Poster Layanan.png", (800, 800), picture="smptebars")
    spot = make_audio(folder / "Iklan Layanan Masyarakat.wav", SPOT_S, TONE_HZ)
    titles = {video: ("Imbauan Siaga Karhutla", "videotron"), poster: ("Poster Layanan", "videotron"),
              spot: ("Iklan Layanan Masyarakat", "radio")}  # fmt: skip
    today = time.strftime("%d-%m-%Y")
    sidecars = {path: SIDECAR.format(title=t, channels=c, date=today) for path, (t, c) in titles.items()}
    return _Samples((video, poster, spot), {titles[one][0]: one for one in (video, poster)}, sidecars)


def _drop(samples: _Samples, inbox: Path) -> None:
    """As office staff do: the sidecar and the file are copied, nothing is renamed into place."""
    for path, sidecar in samples.sidecars.items():
        (inbox / f"{path.stem}.txt").write_text(sidecar, encoding="utf-8")
        shutil.copyfile(path, inbox / path.name)
