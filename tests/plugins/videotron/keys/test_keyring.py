"""The folder of keys: made once, whole or not at all, and never used when something about it is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from plugins.videotron.keys.keyfiles import BadKeys, KeysHidden, KeysMissing, write_key
from plugins.videotron.keys.keyring import KEYCHAIN, LIFETIME, ONLINE, ROOT, days_left, load, locked, make
from plugins.videotron.protocol import SigningKey
from plugins.videotron.protocol.keychains import read_keychain

# Makes keys, and dies at the Nth file that is put in its place.
DIES = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from plugins.videotron.keys.keyring import make

left = int(sys.argv[2])
replace = Path.replace

def counted(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return replace(self, target)

Path.replace = counted
make(Path(sys.argv[1]), "kantor", now=datetime.now(UTC))
"""


def test_init_makes_one_root_and_one_online_key_that_the_keychain_names(folder: Path, now: datetime) -> None:
    keyring = load(folder, now=now)

    assert (keyring.site, keyring.keyset.version, keyring.keyset.epoch) == ("kantor", 1, 1)
    assert keyring.keyset.expires == now + LIFETIME
    assert (keyring.keyset.root.threshold, len(keyring.keyset.root.keys)) == (1, 1)
    assert read_keychain(keyring.chain) == (keyring.keyset,)


def test_nobody_but_the_owner_may_open_the_private_keys_and_everybody_the_keychain(folder: Path) -> None:
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in (ROOT, ONLINE, KEYCHAIN)}

    assert modes == {ROOT: 0o400, ONLINE: 0o400, KEYCHAIN: 0o644}


def test_openssl_reads_the_keys_that_we_write(folder: Path) -> None:
    said = subprocess.run(
        ["openssl", "pkey", "-in", str(folder / ROOT), "-noout", "-text"], capture_output=True, text=True, check=True
    )

    assert said.stdout.startswith("ED25519 Private-Key")


def test_init_never_replaces_keys(folder: Path, now: datetime) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(BadKeys, match="has keys already"):
        make(folder, "anders", now=now)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_two_offices_never_get_the_same_label(tmp_path: Path, now: datetime) -> None:
    labels = {make(tmp_path / str(number), now=now).site for number in range(3)}

    assert len(labels) == 3


def test_a_label_that_no_protocol_could_carry_is_refused(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(BadKeys, match="no label"):
        make(tmp_path / "keys", "Kantor\x1b[2J", now=now)


@pytest.mark.parametrize("files_made", [0, 1, 2])
def test_a_killed_init_is_completed_by_the_next(tmp_path: Path, now: datetime, files_made: int) -> None:
    folder = tmp_path / "keys"
    dead = subprocess.run([sys.executable, "-c", DIES, str(folder), str(files_made)], capture_output=True, timeout=60)
    assert dead.returncode == -9
    kept = {path.name: path.read_bytes() for path in folder.glob("*.key")}
    assert len(kept) == files_made

    make(folder, "kantor", now=now)

    assert load(folder, now=now).site == "kantor"
    assert {name: (folder / name).read_bytes() for name in kept} == kept


def test_no_keys_say_how_to_make_them(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(KeysMissing, match="siarhub videotron keys init"):
        load(tmp_path / "keys", now=now)


def test_init_does_not_take_a_lost_keychain_for_a_new_office(folder: Path, now: datetime) -> None:
    (folder / KEYCHAIN).unlink()
    (folder / ROOT).unlink()

    with pytest.raises(BadKeys, match="backup"):
        make(folder, now=now)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o600 | 0o040])
def test_a_key_that_others_may_open_is_refused_with_the_remedy(folder: Path, now: datetime, mode: int) -> None:
    (folder / ONLINE).chmod(mode)

    with pytest.raises(BadKeys, match="chmod 0400"):
        load(folder, now=now)


def test_a_lost_online_key_names_the_remedy(folder: Path, now: datetime) -> None:
    (folder / ONLINE).unlink()

    with pytest.raises(KeysMissing, match="keys revoke"):
        load(folder, now=now)


def test_a_hub_that_still_has_the_key_from_before_is_to_be_restarted(
    folder: Path, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = tmp_path / "siarhub-online.key"
    write_key(credential, SigningKey.new(), "from before")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    with pytest.raises(BadKeys, match="systemctl restart siarhub"):
        load(folder, now=now)


def test_an_online_key_that_the_keyset_does_not_name_is_refused(folder: Path, now: datetime) -> None:
    write_key(folder / ONLINE, SigningKey.new(), "another one")

    with pytest.raises(BadKeys, match="does not name the online key"):
        load(folder, now=now)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 100, None])
def test_a_damaged_keychain_is_refused(folder: Path, now: datetime, damage: bytes | None) -> None:
    whole = (folder / KEYCHAIN).read_bytes()
    (folder / KEYCHAIN).write_bytes(whole.replace(b"kantor", b"kuntor") if damage is None else damage)

    with pytest.raises(BadKeys, match="backup"):
        load(folder, now=now)


def test_a_key_file_that_would_block_or_mislead_is_refused(folder: Path, now: datetime) -> None:
    (folder / ONLINE).unlink()
    os.mkfifo(folder / ONLINE, 0o400)

    with pytest.raises(BadKeys, match="no plain file"):
        load(folder, now=now)


def test_systemd_credentials_come_before_the_folder(
    folder: Path, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = load(folder, now=now).online.public
    credential = tmp_path / "credentials" / "siarhub-online.key"
    credential.parent.mkdir()
    (folder / ONLINE).rename(credential)
    credential.chmod(0o440)  # as systemd's ACL looks
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))

    assert load(folder, now=now).online.public == online
    credential.chmod(0o444)
    with pytest.raises(BadKeys, match="others may open"):
        load(folder, now=now)


def test_a_credential_that_systemd_could_not_find_names_the_remedy(
    folder: Path, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "siarhub-online.key").write_text("missing")  # SetCredential= in siarhub.service
    (tmp_path / "siarhub-online.key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    with pytest.raises(KeysMissing, match="keys init"):
        load(folder, now=now)


def test_a_key_that_this_user_may_not_read_is_told_apart(folder: Path, now: datetime) -> None:
    script = (
        "import os, sys; from pathlib import Path; from datetime import UTC, datetime;"
        "from plugins.videotron.keys.keyring import load; from plugins.videotron.keys.keyfiles import KeysHidden\n"
        "os.chdir(sys.argv[1]); os.setuid(65534)\n"
        "try: load(Path('.'), now=datetime.now(UTC))\n"
        "except KeysHidden as error: print('hidden', error)"
    )
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")

    said = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)

    assert said.stdout.startswith("hidden"), said.stderr
    assert issubclass(KeysHidden, BadKeys)


def test_the_days_left_are_whole_days(folder: Path, now: datetime) -> None:
    keyset = load(folder, now=now).keyset

    assert days_left(keyset, now) == 400
    assert days_left(keyset, keyset.expires - timedelta(hours=1)) == 0
    assert days_left(keyset, keyset.expires + timedelta(hours=1)) == -1


def test_two_commands_cannot_change_the_keys_at_once(folder: Path) -> None:
    with locked(folder), pytest.raises(BadKeys, match="another command"), locked(folder):
        pass
