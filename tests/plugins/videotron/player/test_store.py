"""Films on the disk: resumed by their bytes alone, never whole before they are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.player.store import BadFile, NoRoom, Store

MB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "media", keep_free_bytes=0)


def fill(store: Store, film: Any, indices: Any) -> Any:
    part = store.open_part(film.list())
    for index in indices:
        part.put(index, film.block(index))
    return part


def test_a_film_gets_its_name_only_when_it_is_whole(store: Store, films: Any) -> None:
    film = films["large"]
    part = fill(store, film, range(film.n))
    assert part.complete
    assert not store.path(film.sha256).exists()

    path = store.finish(part)

    assert path.read_bytes() == film.data
    assert store.present() == {film.sha256}
    assert store.verify(film.sha256, len(film.data))


def test_resumes_with_what_the_part_really_holds(store: Store, films: Any, tmp_path: Path) -> None:
    film = films["large"]
    part = fill(store, film, range(5))
    part.close()
    path = tmp_path / "media" / f"{film.sha256}.part"
    spoiled = bytearray(path.read_bytes())
    spoiled[2 * 1024] ^= 1
    path.write_bytes(spoiled)

    part = store.open_part(film.list())

    assert part.have == 0b11011
    part.close()


def test_a_part_that_is_longer_than_the_film_is_cut_to_it(store: Store, films: Any, tmp_path: Path) -> None:
    film = films["red"]
    (tmp_path / "media" / f"{film.sha256}.part").write_bytes(film.data + b"more")

    path = store.finish(store.open_part(film.list()))

    assert path.read_bytes() == film.data


def test_right_blocks_of_a_wrong_film_are_thrown_away(store: Store, films: Any) -> None:
    lying = films["red"].list().model_copy(update={"sha256": films["blue"].sha256})
    part = store.open_part(lying)
    for index in range(films["red"].n):
        part.put(index, films["red"].block(index))

    with pytest.raises(BadFile):
        store.finish(part)

    assert not list(store.path("x").parent.iterdir())


@pytest.mark.parametrize("index", [0, 3, 10_000])
def test_a_block_fits_only_in_its_own_place(store: Store, films: Any, index: int) -> None:
    part = store.open_part(films["red"].list())

    assert not part.fits(index, films["red"].block(1))
    part.close()


def test_a_film_that_is_not_what_its_name_says_is_deleted(store: Store, films: Any) -> None:
    path = store.path(films["red"].sha256)
    path.write_bytes(films["blue"].data)

    assert not store.verify(films["red"].sha256)
    assert not path.exists()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, films: Any) -> None:
    store = Store(tmp_path / "media", keep_free_bytes=1 << 60)

    with pytest.raises(NoRoom, match="MB"):
        store.open_part(films["red"].list())

    assert not list((tmp_path / "media").iterdir())


def test_the_sweep_removes_what_no_play_list_names(store: Store, films: Any) -> None:
    store.finish(fill(store, films["red"], range(films["red"].n)))
    fill(store, films["blue"], [0]).close()
    fill(store, films["large"], [0]).close()

    gone = store.sweep(frozenset({films["red"].sha256, films["large"].sha256}))

    assert gone == [f"{films['blue'].sha256}.part"]
    assert store.present() == {films["red"].sha256}
