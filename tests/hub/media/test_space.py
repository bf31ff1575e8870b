import asyncio
from pathlib import Path

from hub.api import Rendition, VideoProfile
from hub.media.samples import make_video
from hub.media.sizes import most_bytes
from hub.media.space import Space
from hub.media.transcoder import NotMade

MIB = 1 << 20


def test_two_jobs_do_not_count_on_the_same_free_space(tmp_path: Path):
    (tmp_path / "a").mkdir()
    space = Space(lambda: 100 * MIB)

    assert space.promise(tmp_path / "a", 60 * MIB, keep_mib=10) is None
    short = space.promise(tmp_path / "b", 60 * MIB, keep_mib=10)

    assert short is not None
    assert (short.free_mib, short.needed_mib) == (40, 70)


def test_what_a_job_did_not_use_is_free_again_when_it_ends(tmp_path: Path):
    (tmp_path / "a").mkdir()
    space = Space(lambda: 100 * MIB)
    space.promise(tmp_path / "a", 60 * MIB, keep_mib=10)

    space.give_back(tmp_path / "a")

    assert space.promise(tmp_path / "b", 60 * MIB, keep_mib=10) is None


def test_a_job_that_ended_while_it_asked_holds_nothing_back(tmp_path: Path):
    space = Space(lambda: 100 * MIB)
    space.give_back(tmp_path / "a")  # its folder is gone, too

    space.promise(tmp_path / "a", 60 * MIB, keep_mib=10)  # by a thread, which nobody can cancel

    assert space.promise(tmp_path / "b", 60 * MIB, keep_mib=10) is None


def test_what_is_written_already_is_not_counted_twice(tmp_path: Path):
    (tmp_path / "a").mkdir()
    space = Space(lambda: 100 * MIB - sum(one.stat().st_size for one in (tmp_path / "a").iterdir()))
    space.promise(tmp_path / "a", 50 * MIB, keep_mib=0)

    (tmp_path / "a" / "0.mp4").write_bytes(b"\0" * (40 * MIB))

    assert space.promise(tmp_path / "b", 50 * MIB, keep_mib=0) is None


def test_a_job_that_writes_nothing_needs_nothing(tmp_path: Path):
    assert Space(lambda: 0).promise(tmp_path / "a", 0, keep_mib=512) is None


async def test_of_two_transcodes_that_do_not_fit_together_one_waits_and_is_made_afterwards(
    settings, transcoder, asset_of, tmp_path: Path
):
    profile = VideoProfile(width=64, height=48, fps=10)
    clips = [await asset_of(make_video(tmp_path / f"{n}.mp4", 1.0, (96, 64), fps=10, tone_hz=None)) for n in (1, 2)]
    room = settings.keep_free_mib * MIB + most_bytes(profile, 1.0) * 3 // 2
    transcoder._space = Space(lambda: room)

    made = [one for (one,) in await asyncio.gather(*(transcoder.make(clip, [profile]) for clip in clips))]
    waits = next(clip for clip, one in zip(clips, made, strict=True) if isinstance(one, NotMade))
    (later,) = await transcoder.make(waits, [profile])

    assert [isinstance(one, NotMade) and one.transient for one in made].count(True) == 1
    assert isinstance(later, Rendition)
