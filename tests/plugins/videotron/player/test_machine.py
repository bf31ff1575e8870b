"""What the machine at the screen says of itself, read from a tree of files like the kernel's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from plugins.videotron.player.machine import Readings, read_machine
from plugins.videotron.player.vitals import Vitals


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Readings of a machine on which only these files are, by their path below /proc or /sys."""

    def made(**files: str) -> Readings:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_machine(tmp_path, proc=tmp_path / "proc", sys=tmp_path / "sys")

    return made


FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def test_a_machine_that_tells_nothing_is_no_error(read):
    assert replace(read(), uptime_s=None) == Readings()


NODE = "Node 0 MemTotal:  9 kB\nNode 0 MemFree: 102400 kB\nNode 0 Active(file): 2048 kB\nNode 0 Active(anon): 7 kB\n"


def test_memory_is_what_programs_may_still_have(read):
    assert read(**{"proc/meminfo": "MemTotal: 1 kB\nMemAvailable:  524288 kB\n"}).memory_mb == 512


def test_a_hardened_service_reads_memory_where_it_may(read):
    nodes = {f"sys/devices/system/node/node{number}/meminfo": NODE for number in range(2)}

    assert read(**nodes).memory_mb == 2 * 102


def test_it_is_known_how_long_the_machine_runs(read):
    assert read().uptime_s > 0


def test_the_hottest_sensor_counts_and_one_that_is_not_connected_does_not(read):
    found = read(
        **{
            "sys/class/thermal/thermal_zone0/temp": "61250\n",
            "sys/class/hwmon/hwmon0/temp1_input": "72000\n",
            "sys/class/hwmon/hwmon1/temp3_input": "255500\n",
            "sys/class/hwmon/hwmon2/temp1_input": "-273150\n",
        }
    )

    assert found.temperature_c == 72.0


@pytest.mark.parametrize(
    ("said", "slowed", "undervolted"),
    [("0\n", False, False), ("50005\n", True, True), ("50000", False, False), ("8", True, False)],
)
def test_a_raspberry_pi_tells_now_from_then(read, said, slowed, undervolted):
    found = read(**{FIRMWARE: said})

    assert (found.slowed, found.undervolted) == (slowed, undervolted)


def test_the_voltage_alarm_of_the_kernel_counts_where_the_firmware_is_not_asked(read):
    assert read(**{"sys/class/hwmon/hwmon3/in0_lcrit_alarm": "1\n"}).undervolted is True


def test_errors_of_the_disk_with_the_films_are_counted(read, tmp_path):
    number = tmp_path.stat().st_dev
    disk = tmp_path / "sys/devices/x/mmcblk0p2"
    disk.mkdir(parents=True)
    link = tmp_path / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(disk)

    assert read(**{"sys/fs/ext4/mmcblk0p2/errors_count": "3\n", "sys/fs/ext4/sda1/errors_count": "9"}).disk_errors == 3


@pytest.mark.parametrize("text", ["", "x", "1e9z", "nan", "\ufffd", "-1 kB", "--"])
def test_nonsense_is_as_good_as_nothing(read, text):
    names = ("proc/meminfo", "sys/class/thermal/thermal_zone0/temp", FIRMWARE)

    found = read(**{name: f"MemAvailable: {text}" if name.endswith("meminfo") else text for name in names})

    assert found.memory_mb is None
    assert found.temperature_c is None
    assert found.document(Vitals()).throttled is None


def test_what_goes_to_the_hub_has_mpv_beside_the_machine():
    mpv = Vitals(
        dropped_by_output=3, dropped_by_decoder=4, hwdec="no", output="gpu", width=64, height=48, memory_mb=91.6
    )

    told = Readings(memory_mb=300, slowed=False, undervolted=True).document(mpv)

    assert (told.mpv_memory_mb, told.dropped_frames, told.decoder, told.output) == (92, 7, "", "gpu 64x48")
    assert told.throttled is True


def test_an_output_without_a_size_is_told_by_its_name():
    assert Readings().document(Vitals(output="null")).output == "null"
    assert Readings().document(Vitals()).output == ""


def test_this_machine_is_read_in_no_time():
    read_machine(Path("/"))
