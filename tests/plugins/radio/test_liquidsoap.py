from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from plugins.radio.check import make_tone
from plugins.radio.liquidsoap import ExecutorLost, ExecutorRefused, Liquidsoap, parse_status
from plugins.radio.local_playout import SCRIPT


@pytest_asyncio.fixture
async def client(executor: Any) -> AsyncIterator[Liquidsoap]:
    client = Liquidsoap(executor.socket, timeout_s=5)
    yield client
    await client.close()


async def test_a_push_is_on_air_once_and_can_be_skipped(executor: Any, client: Liquidsoap) -> None:
    name = make_tone(executor.media_folder, hz=500, seconds=3)
    await client.status()

    await client.push("t-1.1", f"{name}.wav")
    await client.push("t-1.1", f"{name}.wav")
    await client.push("t-2.1", f"{name}.wav")

    await until_current(client, "t-1.1")
    assert await client.remove("t-2.1")
    assert not await client.remove("t-2.1")
    assert not await client.skip("t-2.1")
    assert await client.skip("t-1.1")
    await until_current(client, "")
    assert (await client.status()).idle
    await client.close()


async def test_what_is_missing_or_garbage_is_refused_at_once(executor: Any, client: Liquidsoap) -> None:
    garbage, empty = "0" * 64, "1" * 64
    (executor.media_folder / f"{garbage}.wav").write_bytes(b"\x7fnot sound" * 99)
    (executor.media_folder / f"{empty}.wav").write_bytes(b"")
    await client.status()

    for name in (garbage, empty, "2" * 64):
        with pytest.raises(ExecutorRefused, match="unplayable"):
            await client.push("t-3.1", f"{name}.wav")


def test_the_status_has_no_bare_time() -> None:
    """Liquidsoap writes a whole second as `1795383137.`, which is no JSON: seen once in some thousand replies."""
    status = SCRIPT.read_text(encoding="utf-8").partition("def status(_)")[2]

    assert '\\"now\\":\\"#{time()}\\"' in status


@pytest.mark.parametrize(
    "name", ["../x.wav", "process:touch x", "a" * 63 + ".wav", "A" * 64 + ".wav", "a" * 64 + ".wav x"]
)
async def test_the_script_itself_takes_no_name_but_a_hash(executor: Any, client: Liquidsoap, name: str) -> None:
    await client.status()

    assert (await client.command(f"hubx.push t-4.1 {name}")).startswith("ERR ")


@pytest.mark.parametrize("line", ["", "version\nhubx.status", "a\rb", "a\0b"])
async def test_a_line_that_would_be_two_commands_is_never_sent(executor: Any, client: Liquidsoap, line: str) -> None:
    with pytest.raises(ValueError, match="not one command"):
        await client.command(line, connect=True)


@pytest.mark.parametrize(
    ("token", "name"), [("a b", "0" * 64 + ".wav"), ('x"y', "0" * 64 + ".wav"), ("x", "judul.wav")]
)
async def test_only_our_own_identifiers_are_pushed(executor: Any, client: Liquidsoap, token: str, name: str) -> None:
    with pytest.raises(ValueError, match="not ours"):
        await client.push(token, name)


async def test_a_push_never_makes_the_connection(executor: Any, client: Liquidsoap) -> None:
    with pytest.raises(ExecutorLost):
        await client.push("t-5.1", "0" * 64 + ".wav")


async def test_an_unknown_command_is_an_answer_not_a_loss(executor: Any, client: Liquidsoap) -> None:
    assert (await client.command("hub.push x", connect=True)).startswith("ERROR")
    assert (await client.status()).output_up


@pytest.mark.parametrize(
    "reply", ["", "OK", "[]", '{"boot": 1}', '{"boot":"x","cur":"","queue":3,"len":0,"out":true,"n":1}']
)
def test_a_status_that_is_none_is_refused(reply: str) -> None:
    with pytest.raises(ExecutorRefused):
        parse_status(reply)


async def test_a_stale_socket_is_a_loss_and_the_next_executor_takes_it_over(fake: Any) -> None:
    client = Liquidsoap(fake.socket, timeout_s=2)
    first = await client.status()

    await fake.kill()
    with pytest.raises(ExecutorLost):
        await client.status()
    assert fake.socket.exists()
    await fake.start()

    assert (await client.status()).boot != first.boot
    await client.close()


async def until_current(client: Liquidsoap, token: str) -> None:
    for _ in range(300):
        if (await client.status()).current == token:
            return
        await asyncio.sleep(0.03)
    raise AssertionError(f"{token!r} did not come on air")
