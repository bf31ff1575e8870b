"""Develop a JPEG that a player sent: in a process of its own, which may do nothing but read, compute and answer.

Run as a file by `developing.py` (`python -I -S darkroom.py LIBRARY WIDTH HEIGHT`), never imported for its work. It
imports Pillow's JPEG decoder and no other, gives up every right, and only then reads the picture from its standard
input. It answers with 3072 bytes, the picture in 32 x 32 pixels of RGB, and then the picture drawn anew as a JPEG: what
is kept, and what people open, was never made by a player. Exit code 3: no picture of that size in plain JPEG.
"""

from __future__ import annotations

import sys

DAMAGED = 3
SIDE = 32
MOST_BYTES = 400_000
ADDRESS_SPACE, SECONDS = 1 << 29, 5
QUALITY = 80

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER, SIGKILL = 1, 22, 38, 2, 9
ALLOW, DENY = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO | EPERM
# By machine: its AUDIT_ARCH, and the system calls that are left: read write mmap mprotect munmap brk rt_sigaction
# rt_sigprocmask rt_sigreturn mremap madvise futex clock_gettime getrandom exit exit_group lseek fstat newfstatat close.
LEFT = {
    "x86_64": (0xC000003E, (0, 1, 9, 10, 11, 12, 13, 14, 15, 25, 28, 202, 228, 318, 60, 231, 8, 5, 262, 3)),
    "aarch64": (
        0xC00000B7,
        (63, 64, 222, 226, 215, 214, 134, 135, 139, 216, 233, 98, 113, 278, 93, 94, 62, 80, 79, 57),
    ),
}


def main(words: list[str]) -> None:
    library, width, height = words[0], int(words[1]), int(words[2])
    sys.path.append(library)
    import io

    from PIL import Image, ImageFile, JpegImagePlugin  # noqa: F401

    Image.preinit, Image.init = (lambda: None), (lambda: False)  # no other decoder is ever looked for
    Image.MAX_IMAGE_PIXELS = width * height
    give_up_rights()
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if picture.size != (width, height) or len(data) > MOST_BYTES:
            raise ValueError("another size than it was said to have")
        plain = picture.convert("RGB")
        plain.info = {}  # a comment or a profile would go along
        small = plain.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()
        drawn = io.BytesIO()
        plain.save(drawn, "JPEG", quality=QUALITY)
    except Exception as error:  # noqa: BLE001 - whatever a decoder stumbles over is the picture's fault
        print(f"{type(error).__name__}: {error}"[:300], file=sys.stderr)  # noqa: T201 - the parent reads it
        sys.exit(DAMAGED)
    sys.stdout.buffer.write(small + drawn.getvalue())


def give_up_rights() -> None:
    """From here on this process reads, computes and writes to what is open, for a few seconds at most."""
    import ctypes
    import os
    import resource

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    limits = {
        resource.RLIMIT_AS: ADDRESS_SPACE,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 3,
    }
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    arch, calls = LEFT.get(os.uname().machine, (0, ()))
    if calls:  # elsewhere the limits have to do
        program = _filter(arch, calls)
        block = ctypes.create_string_buffer(program)

        class Program(ctypes.Structure):
            _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

        filled = Program(len(program) // 8, ctypes.cast(block, ctypes.c_void_p))
        libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filled), 0, 0)


def _filter(arch: int, calls: tuple[int, ...]) -> bytes:
    """The BPF program that allows these system calls and answers EPERM to all others (linux/seccomp.h, filter.h)."""
    import struct

    def step(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    steps = [step(load, 0, 0, 4), step(equal, 1, 0, arch), step(answer, 0, 0, DENY), step(load, 0, 0, 0)]
    steps += [step(equal, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    return b"".join([*steps, step(answer, 0, 0, DENY), step(answer, 0, 0, ALLOW)])


if __name__ == "__main__":
    main(sys.argv[1:])
