"""One whole JPEG or a reason; the pictures come from Pillow, which knows nothing of us."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivers.kit.jpeg import JpegError, check_whole


def picture(**how: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "JPEG", **how)
    return out.getvalue()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"progressive": True},
        {"optimize": True},
        {"quality": 100},
        {"comment": b"x"},
        {"restart_marker_blocks": 3},
    ],
)
def test_a_whole_picture_passes(how: dict[str, object]) -> None:
    check_whole(picture(**how))
    check_whole(picture(**how) + b"\r\n\x00")


def test_a_piece_that_is_missing_in_the_middle_shows() -> None:
    whole = picture(restart_marker_blocks=3)
    first, second = whole.index(b"\xff\xd1"), whole.index(b"\xff\xd2")
    with pytest.raises(JpegError, match="missing"):
        check_whole(whole[:first] + whole[second:])


@pytest.mark.parametrize("more", [b"x", b"\xff\xd9", b"\r\n--boundary", picture()])
def test_what_follows_the_end_shows(more: bytes) -> None:
    with pytest.raises(JpegError, match="follow"):
        check_whole(picture() + more)


@given(st.integers(0, 2000))
def test_no_torn_picture_passes(cut: int) -> None:
    whole = picture()
    with pytest.raises(JpegError):
        check_whole(whole[: min(cut, len(whole) - 1)])


@given(st.binary(max_size=300))
def test_random_bytes_are_no_picture(data: bytes) -> None:
    for dressed in (data, b"\xff\xd8" + data, b"\xff\xd8\xff\xe0\x00\x02" + data + b"\xff\xd9"):
        try:
            check_whole(dressed)
        except JpegError:
            continue
        assert b"\xff\xda" in dressed


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", b"<html>401</html>", b"\x89PNG\r\n\x1a\n"])
def test_what_cameras_send_instead_is_named(data: bytes) -> None:
    with pytest.raises(JpegError):
        check_whole(data)
