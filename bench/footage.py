"""Clips as a camera gives them: what every bench of pictures is fed with."""

from __future__ import annotations

import subprocess
from pathlib import Path

PLAIN = ("ffmpeg", "-nostdin", "-v", "error", "-y")


def camera_clip(path: Path, seconds: int = 15) -> Path:
    """1080p25 at 12 Mb/s, with grain and sound, in the High profile (CABAC, B-frames, loop filter).

    `ultrafast` would give Constrained Baseline: no camera or phone writes that, and it costs a third to decode.
    """
    source = f"testsrc2=size=1920x1080:rate=25:duration={seconds},noise=alls=12:allf=t"
    sound = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}", "-c:a", "aac"]
    picture = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-b:v", "12M", "-pix_fmt", "yuv420p"]
    subprocess.run([*PLAIN, "-f", "lavfi", "-i", source, *sound, *picture, str(path)], check=True)
    return path


def camera_clips(folder: Path, count: int, seconds: int = 15) -> list[Path]:
    """The same pictures in other bytes each, as a hub that knows what it has seen must get them."""
    folder.mkdir(exist_ok=True)
    first = camera_clip(folder / "clip.mp4", seconds)
    clips = [folder / f"clip-{number}.mp4" for number in range(count)]
    for number, clip in enumerate(clips):
        copy = [*PLAIN, "-i", str(first), "-c", "copy", "-metadata", f"comment={number}", str(clip)]
        subprocess.run(copy, check=True)
    return clips


def compliant_clip(path: Path, seconds: int = 15) -> Path:
    """1080p25 H.264 that a 1920x1080 screen can take as it is: level 4.1, a keyframe each 2 s, some 4 Mb/s."""
    source = f"testsrc2=size=1920x1080:rate=25:duration={seconds}"
    sound = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}", "-c:a", "aac"]
    picture = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-maxrate", "5M", "-bufsize", "5M"]
    shape = ["-pix_fmt", "yuv420p", "-profile:v", "high", "-level", "4.1", "-g", "50", "-movflags", "+faststart"]
    subprocess.run([*PLAIN, "-f", "lavfi", "-i", source, *sound, *picture, *shape, str(path)], check=True)
    return path
