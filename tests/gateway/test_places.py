import pytest

from gateway.errors import UserFacingError
from gateway.places import parse

TEXT = """\
# 注释
[site]
id = "s1"   # = [
note = '''
[[device]]
fake = 1
'''

[[device]]
name = "a"
nested.key = [
  1, # ]
  2,
]
[[device]]
name = "b"
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_every_key_is_found_where_it_stands(ending, bom):
    tree, places = parse(bom + TEXT.replace("\n", ending).encode(), "gateway.toml")
    assert [device["name"] for device in tree["device"]] == ["a", "b"]
    found = {
        path: places.where(path)
        for path in (
            ("site",),
            ("site", "id"),
            ("device", 0, "name"),
            ("device", 0, "nested", "key"),
            ("device", 1),
            ("device", 1, "name"),
        )
    }
    assert list(found.values()) == [(2, 1), (3, 1), (10, 1), (11, 1), (15, 1), (16, 1)]


def test_a_key_that_is_not_there_stands_at_its_table():
    _, places = parse(TEXT.encode(), "gateway.toml")
    assert places.where(("device", 1, "host")) == (15, 1)
    assert places.where(("recipient", 0)) == (1, 1)


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"[site]\nid = \xff\n", "E-CONFIG-ENCODING", "f:2"),
        (b"[site]\nid = nope\n", "E-CONFIG-SYNTAX", "f:2:6"),
        (b"[site]\nid 3\n", "E-CONFIG-SYNTAX", "f:2:4"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(content, code, place):
    with pytest.raises(UserFacingError) as caught:
        parse(content, "f")
    assert (caught.value.code, caught.value.place) == (code, place)
