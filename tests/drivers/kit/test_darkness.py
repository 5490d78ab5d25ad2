"""Black pictures, made by Pillow in every way it knows, and such that only look like it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from drivers.kit.darkness import is_black

SIZE = (333, 222)


def jpeg(image: Image.Image, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **how)
    return out.getvalue()


def scene(level: int, *, text: bool = True, lamp: int = 0) -> Image.Image:
    image = Image.effect_noise(SIZE, 3).point(lambda value: max(0, value - 128 + level)).convert("RGB")
    draw = ImageDraw.Draw(image)
    if text:
        draw.text((10, 8), "2026-11-22 07:00:00 CAM 01", fill=(255, 255, 255))
    if lamp:
        draw.rectangle((100, 100, 100 + lamp, 100 + lamp), fill=(240, 240, 200))
    return image


HOW = [
    {},
    {"quality": 30},
    {"quality": 90},
    {"subsampling": 0},
    {"subsampling": 1},
    {"optimize": True},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 7},
]


@pytest.mark.parametrize("how", HOW)
def test_black_is_told_from_dark_and_bright(how):
    assert is_black(jpeg(Image.new("RGB", SIZE), **how)) is True
    assert is_black(jpeg(Image.new("L", SIZE), **how)) is True
    assert is_black(jpeg(scene(8), **how)) is True
    assert is_black(jpeg(scene(8, lamp=80), **how)) is False
    assert is_black(jpeg(scene(60), **how)) is False
    assert is_black(jpeg(Image.linear_gradient("L").resize(SIZE), **how)) is False
    for colour in ("white", "grey", "blue", "red", "green"):
        assert is_black(jpeg(Image.new("RGB", SIZE, colour), **how)) is (colour == "blue")


@pytest.mark.parametrize("level", [0, 10, 20, 30, 34, 38, 45, 70, 128, 255])
@pytest.mark.parametrize("how", HOW[:4])
def test_the_edge_is_where_it_is_said_to_be(level, how):
    found = is_black(jpeg(Image.new("L", SIZE, level), **how))
    if abs(level - 36) > 3:
        assert found is (level < 36)


@pytest.mark.parametrize("share", [3, 8])
def test_so_much_may_be_bright(share):
    image = Image.new("L", (800, 800))
    image.paste(255, (0, 0, 8 * share, 800))
    assert is_black(jpeg(image)) is (share < 5)


def test_what_cannot_be_judged_is_not_judged():
    assert is_black(jpeg(scene(8), progressive=True)) is None
    assert is_black(jpeg(scene(8).convert("CMYK"))) is None
    assert is_black(b"") is None


def colourful(side: int, sampling: int) -> bytes:
    """Black, of the fewest bits there can be: two colours of so many blocks for each block of brightness."""

    def segment(marker: int, held: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(held) + 2).to_bytes(2, "big") + held

    size = side.to_bytes(2, "big")
    frame = b"\x08" + size + size + bytes((3, 1, 0x11, 0, 2, sampling, 0, 3, sampling, 0))
    codes = b"\x00" + bytes((1, 1, *bytes(14))) + b"\x00\x0b" + b"\x10" + bytes((1, *bytes(15))) + b"\x00"
    across = sampling >> 4
    units = (-(-side // (8 * across))) ** 2
    entropy = b"\x80" + bytes(units * (1 + 2 * across**2) * 2 // 8 + 4)
    scan = bytes((3, 1, 0, 2, 0, 3, 0, 0, 63, 0))
    parts = (
        segment(0xDB, b"\x00" + b"\x01" * 64),
        segment(0xC0, frame),
        segment(0xC4, codes),
        segment(0xDA, scan),
    )
    return b"\xff\xd8" + b"".join(parts) + entropy + b"\xff\xd9"


def test_blocks_of_colour_count_as_well_so_that_no_picture_takes_long():
    assert is_black(colourful(512, 0x11)) is True
    assert is_black(colourful(512, 0x22)) is True
    assert is_black(colourful(4096, 0x11)) is None
    assert is_black(colourful(8192, 0x22)) is None
    assert is_black(colourful(512, 0x33)) is None, "more blocks in a unit than there may be"


DARK = jpeg(scene(8))


@settings(deadline=None)
@given(st.integers(0, 8000), st.integers(0, 255))
def test_a_damaged_picture_harms_nobody(at, octet):
    data = bytearray(DARK)
    data[at % len(data)] = octet
    assert is_black(bytes(data)) in (True, False, None)
    assert is_black(bytes(data[: at % len(data)])) in (True, False, None)
