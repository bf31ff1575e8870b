"""What ffprobe says may be anything, as it has met hostile bytes: it becomes sane facts or a refusal, never a crash."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.media import documents, headers
from hub.media.settings import MediaSettings
from hub.messages import Refusal

SETTINGS = MediaSettings()
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
WORDS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1/0",
    "0/0",
    "9" * 5000,
    "N/A",
    "-1",
    "x';[in]",
    10**400,
    -(10**400),
    True,
    None,
]
ODD = st.one_of(
    st.sampled_from(WORDS),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
SANE = {
    "codec_type": "video",
    "codec_name": "h264",
    "width": 64,
    "height": 48,
    "avg_frame_rate": "25/1",
    "pix_fmt": "yuv420p",
    "sample_aspect_ratio": "1:1",
    "color_space": "bt709",
    "color_transfer": "bt709",
    "field_order": "progressive",
    "disposition": {"default": 1},
    "side_data_list": [{"rotation": 90}],
    "channels": 2,
    "sample_rate": "48000",
}
STREAM = st.builds(
    lambda kind, odd: {**SANE, "codec_type": kind, **odd},
    st.sampled_from(["video", "audio", "data"]),
    st.dictionaries(st.sampled_from(sorted(SANE)), ODD, max_size=3),
)
FORMAT = st.dictionaries(st.sampled_from(["duration", "start_time"]), ODD, max_size=2)


def read(found: object) -> headers.Headed | None:
    try:
        with headers.unbelieved():
            answer = {**json.loads(json.dumps(found)), "estimated": False}
            return headers._read(answer, "mp4", 1000, SETTINGS, packets=False)
    except Refusal:
        return None


@patient
@given(streams=st.lists(STREAM, max_size=3), form=FORMAT)
def test_one_odd_fact_gives_sane_facts_or_a_refusal(streams, form):
    headed = read({"streams": streams, "format": form})

    if headed is not None:
        info = headed.info
        assert info.width is None or (info.width > 0 and info.height > 0)
        assert info.width is None or info.width * info.height <= SETTINGS.max_pixels
        assert info.fps is None or 0 < info.fps <= SETTINGS.max_fps
        assert headed.duration_s is None or math.isfinite(headed.duration_s)
        assert all(word.isascii() and "'" not in word and "[" not in word for word in (
            info.video_codec, info.audio_codec, info.pixel_format, info.color_space, info.color_transfer,
            info.sample_aspect,
        ))  # fmt: skip


@given(
    found=st.recursive(
        ODD, lambda inner: st.dictionaries(st.sampled_from(["streams", "format", "x"]), inner, max_size=3)
    )
)
def test_an_answer_of_any_shape_is_a_refusal_or_facts(found):
    read(found)


@pytest.mark.parametrize("text", ["", "[" * 200_000, '{"a":' * 100_000, "\x00\xff", "[]", "nul", '{"streams": 1}'])
def test_an_answer_that_is_no_answer_is_a_refusal(text):
    with pytest.raises(Refusal), headers.unbelieved():
        headers._read({**json.loads(text), "estimated": False}, "mp4", 1000, SETTINGS, packets=False)


@pytest.mark.parametrize(
    "size", ["inf x inf pts", "nan x 5 pts", "1e999 x 2 pts", "-5 x -5 pts", "x", "", "5", "9" * 5000 + " x 1 pts"]
)
def test_a_page_of_nonsense_is_a_refusal(size):
    with pytest.raises(Refusal):
        documents._page_size({"Page size": size})


@pytest.mark.parametrize(
    ("text", "pages"), [("3", 3), ("-5", 0), ("9" * 5000, 0), ("", 0), ("many", 0), ("\u0663", 0), ("1e3", 0)]
)
def test_a_number_of_pages_is_a_number_or_none(text, pages):
    assert documents._count(text) == pages
