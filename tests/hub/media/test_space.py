from pathlib import Path

from hub.media.space import Space

MIB = 1 << 20


def test_two_jobs_do_not_count_on_the_same_free_space(tmp_path: Path):
    space = Space(lambda: 100 * MIB)

    assert space.promise(tmp_path / "a", 60 * MIB, keep_mib=10) is None
    short = space.promise(tmp_path / "b", 60 * MIB, keep_mib=10)

    assert short is not None
    assert (short.free_mib, short.needed_mib) == (40, 70)


def test_what_a_job_did_not_use_is_free_again_when_it_ends(tmp_path: Path):
    space = Space(lambda: 100 * MIB)
    space.promise(tmp_path / "a", 60 * MIB, keep_mib=10)

    space.give_back(tmp_path / "a")

    assert space.promise(tmp_path / "b", 60 * MIB, keep_mib=10) is None


def test_what_is_written_already_is_not_counted_twice(tmp_path: Path):
    (tmp_path / "a").mkdir()
    space = Space(lambda: 100 * MIB - sum(one.stat().st_size for one in (tmp_path / "a").iterdir()))
    space.promise(tmp_path / "a", 50 * MIB, keep_mib=0)

    (tmp_path / "a" / "0.mp4").write_bytes(b"\0" * (40 * MIB))

    assert space.promise(tmp_path / "b", 50 * MIB, keep_mib=0) is None


def test_a_job_that_writes_nothing_needs_nothing(tmp_path: Path):
    assert Space(lambda: 0).promise(tmp_path / "a", 0, keep_mib=512) is None
