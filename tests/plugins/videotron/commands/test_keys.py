"""`siarhub videotron keys`, as a technician and the custodians use it: without settings, on machines without a hub."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli.main import main
from plugins.videotron.keys.keyfiles import BadKeys, PassphraseNeeded, read_key
from plugins.videotron.keys.keyring import KEYCHAIN, ONLINE, ROOT, load

WORDS = "kuda hijau menari pelan sekali"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, and a working folder like a stick."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIARHUB_CONFIG", str(tmp_path / "none.toml"))


def keys(*args: str, given: str = "", code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["videotron", "keys", *args], input=given)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def made() -> Path:
    keys("init", "--folder", "keys", "--site", "kantor")
    return Path("keys")


def keyring(folder: Path):
    return load(folder, now=datetime.now(UTC))


def test_the_whole_ceremony_from_one_root_to_two_of_three(made: Path) -> None:
    for name in ("ana", "budi", "citra"):
        said = keys("new-root", name, given=f"{WORDS}\n{WORDS}\n").output
        assert f"{name} = " in said

    prepared = keys(
        "rotate", "--folder", "keys", "--roots", "ana.pub", "budi.pub", "citra.pub", "--threshold", "2"
    ).output
    assert "1 of 1 before, 2 of 3 from now on" in prepared
    assert "2 more of the new roots" in keys("install", "--folder", "keys", "keyset-2.json", code=1).output
    for name in ("ana", "citra"):
        said = keys("sign", "keyset-2.json", "--key", f"{name}.key", given=f"{WORDS}\ny\n").output
        assert "From now on a root key:" in said
    installed = keys("install", "--folder", "keys", "keyset-2.json", "--remove-old-root").output

    assert "Removed keys/root-1.key" in installed
    assert keyring(made).keyset.root.threshold == 2
    assert sorted(path.name for path in made.iterdir()) == [KEYCHAIN, ONLINE]


def test_afterwards_each_change_needs_two_custodians(made: Path) -> None:
    test_the_whole_ceremony_from_one_root_to_two_of_three(made)

    keys("revoke", "--folder", "keys", "--out", "revoke.json")
    for name in ("budi", "citra"):
        keys("sign", "revoke.json", "--key", f"{name}.key", given=f"{WORDS}\ny\n")
    keys("install", "--folder", "keys", "revoke.json")

    assert (keyring(made).keyset.version, keyring(made).keyset.epoch) == (3, 2)


def test_a_custodian_who_says_no_signs_nothing(made: Path) -> None:
    keys("new-root", "ana", "--no-passphrase")
    keys("rotate", "--folder", "keys", "--roots", "ana.pub", "--threshold", "1")
    before = Path("keyset-2.json").read_bytes()

    said = keys("sign", "keyset-2.json", "--key", "ana.key", given="n\n", code=1)

    assert "Not signed" in said.output
    assert Path("keyset-2.json").read_bytes() == before


def test_a_proposal_must_go_on_from_the_keychain_beside_the_key(made: Path) -> None:
    keys("new-root", "ana", "--no-passphrase")
    keys("rotate", "--folder", "keys", "--roots", "ana.pub", "--threshold", "1")
    keys("init", "--folder", "elsewhere", "--site", "tetangga")
    Path(KEYCHAIN).write_bytes((Path("elsewhere") / KEYCHAIN).read_bytes())
    before = Path("keyset-2.json").read_bytes()

    said = keys("sign", "keyset-2.json", "--key", "ana.key", "--yes", code=1).output

    assert "do not sign it" in said
    assert Path("keyset-2.json").read_bytes() == before
    Path(KEYCHAIN).write_bytes((made / KEYCHAIN).read_bytes())
    assert "goes on from" in keys("sign", "keyset-2.json", "--key", "ana.key", "--yes").output


def test_a_wrong_passphrase_signs_nothing(made: Path) -> None:
    keys("new-root", "ana", given=f"{WORDS}\n{WORDS}\n")
    keys("rotate", "--folder", "keys", "--roots", "ana.pub", "--threshold", "1")

    assert "passphrase is wrong" in keys("sign", "keyset-2.json", "--key", "ana.key", given="x\ny\n", code=1).output


def test_a_short_passphrase_is_refused() -> None:
    assert "shorter than" in keys("new-root", "ana", given="pendek\npendek\n", code=1).output

    assert not Path("ana.key").exists()


def test_a_custodians_key_is_worth_nothing_without_its_passphrase() -> None:
    keys("new-root", "ana", given=f"{WORDS}\n{WORDS}\n")

    assert "ENCRYPTED PRIVATE KEY" in Path("ana.key").read_text()
    with pytest.raises(PassphraseNeeded):
        read_key(Path("ana.key"))
    with pytest.raises(BadKeys, match="passphrase is wrong"):
        read_key(Path("ana.key"), passphrase="x")
    assert read_key(Path("ana.key"), passphrase=WORDS)


def test_no_root_key_is_overwritten() -> None:
    keys("new-root", "ana", "--no-passphrase")
    before = Path("ana.key").read_bytes()

    keys("new-root", "ana", "--no-passphrase", code=1)

    assert Path("ana.key").read_bytes() == before


def test_rotate_and_revoke_take_effect_at_once_while_the_root_is_at_hand(made: Path) -> None:
    first = keyring(made).online.public

    assert "systemctl restart siarhub" in keys("rotate", "--folder", "keys").output
    keys("revoke", "--folder", "keys")

    assert keyring(made).online.public != first
    assert (keyring(made).keyset.version, keyring(made).keyset.epoch) == (3, 2)


def test_renew_does_nothing_early_and_is_quiet_about_custodians_when_nobody_is_there(made: Path) -> None:
    assert "nothing to do" in keys("renew", "--unattended", "--folder", "keys").output

    assert keyring(made).keyset.version == 1


def test_status_says_everything_and_that_the_root_is_here(made: Path) -> None:
    told = json.loads(keys("status", "--folder", "keys", "--json").stdout)

    assert (told["site"], told["version"], told["epoch"], told["keysets"]) == ("kantor", 1, 1, 1)
    assert told["days_left"] in (399, 400)
    assert told["roots"]["threshold"] == 1
    assert told["online_key"] == {"path": "keys/online.key", "mode": "0400"}
    assert told["root_key"]["mode"] == "0400"
    assert told["problems"] == []
    assert "root key is on this machine" in told["notes"][0]
    assert "kantor" in keys("status", "--folder", "keys").output


def test_status_exits_with_1_and_each_reason(made: Path) -> None:
    (made / ONLINE).chmod(0o444)
    (made / ROOT).chmod(0o440)

    result = keys("status", "--folder", "keys", "--json", code=1)

    assert len(json.loads(result.stdout)["problems"]) == 2
    assert result.stderr.count("chmod 0400") == 2


def test_without_keys_every_command_names_the_remedy() -> None:
    for command in (["status"], ["rotate"], ["revoke"], ["renew"]):
        assert "keys init" in keys(*command, "--folder", "keys", code=1).output


@pytest.mark.parametrize(
    "args",
    [
        ["rotate", "--folder", "keys", "--roots"],
        ["rotate", "--folder", "keys", "ana.pub"],
        ["rotate", "--folder", "keys", "--threshold", "2"],
        ["install", "--folder", "keys"],
    ],
)
def test_half_an_order_is_wrong_usage(made: Path, args: list[str]) -> None:
    keys(*args, code=2)


def test_two_custodians_with_one_key_are_refused(made: Path) -> None:
    keys("new-root", "ana", "--no-passphrase")
    Path("budi.pub").write_bytes(Path("ana.pub").read_bytes())

    said = keys("rotate", "--folder", "keys", "--roots", "ana.pub", "budi.pub", "--threshold", "2", code=1).output

    assert "the same key" in said


def test_a_private_key_in_place_of_a_public_one_is_refused(made: Path) -> None:
    keys("new-root", "ana", "--no-passphrase")

    said = keys("rotate", "--folder", "keys", "--roots", "ana.key", "--threshold", "1", code=1).output

    assert "no public key" in said


def test_a_proposal_is_not_overwritten(made: Path) -> None:
    keys("new-root", "ana", "--no-passphrase")
    Path("keyset-2.json").write_text("signed by others")

    keys("rotate", "--folder", "keys", "--roots", "ana.pub", "--threshold", "1", code=1)

    assert Path("keyset-2.json").read_text() == "signed by others"


def test_init_again_changes_nothing(made: Path) -> None:
    before = keyring(made).chain

    assert "has keys already" in keys("init", "--folder", "keys", code=1).output

    assert keyring(made).chain == before
