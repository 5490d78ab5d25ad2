"""The point table: what it gives, and every mistake with its exact cell, in both languages."""

from __future__ import annotations

import pytest

from drivers.kit.errors import PointError
from drivers.kit.scan import Point
from gateway.alarm.limits import Limits
from gateway.points import Known, PointTable, column_letter, read_points

HEAD = (
    "位号,描述,设备,站号,地址,数据类型,字节序,位,系数,偏移,单位,量程下限,量程上限,"
    "低低,低,高,高高,报警状态,死区,优先级,区域,摄像头,指标编码:province"
)


def _accept(point: Point) -> None:
    if point.type == "float128":
        raise PointError(
            "type",
            {"zh": "不认识的类型。", "en": "Unknown type."},
            {"zh": "用 float32。", "en": "Use float32."},
        )


KNOWN = Known(
    {"plc1": _accept, "plc2": _accept, "broken": None}, frozenset({"cam1"}), frozenset({"province"})
)


def read(text: str, encoding: str = "utf-8") -> PointTable:
    return read_points(text.encode(encoding), "points.csv", KNOWN)


def row(**cells: str) -> str:
    """One line under HEAD; cells by the heading."""
    usual = {"位号": "LT-101", "设备": "plc1", "地址": "40001"}
    return ",".join({**usual, **cells}.get(heading, "") for heading in HEAD.split(","))


def mistakes(*rows: str) -> list[tuple[str, str]]:
    return [(error.code, error.place) for error in read("\n".join((HEAD, *rows))).errors]


def test_a_full_row_says_what_it_says() -> None:
    line = (
        "LT-101,1号罐液位,plc1,３,４０００１,Float32,cdab,,0.1,-5,m,0,15,"
        "1,2,12,13.5,,0.05,1,罐区A,cam1,37010100000000000001"
    )
    table = read(f"{HEAD}\n{line}\n")
    assert table.errors == []
    [point] = table.points["plc1"]
    assert point.point == Point("LT-101", "40001", "float32", "CDAB", None, 0.1, -5.0, 3)
    assert point.limits == Limits(1.0, 2.0, 12.0, 13.5, None, 0.05)
    assert (point.range_lo, point.range_hi, point.unit, point.priority) == (0.0, 15.0, "m", 1)
    assert (point.description, point.area, point.camera) == ("1号罐液位", "罐区A", "cam1")
    assert point.codes == {"province": "37010100000000000001"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_encoding_excel_writes(encoding: str) -> None:
    table = read("位号,设备,地址,描述\r\nLT-１,plc1,1,液位\r\n\r\n,,,\r\nLT-2,plc2,2,温度\r\n", encoding)
    assert table.errors == []
    assert [p.description for rows in table.points.values() for p in rows] == ["液位", "温度"]


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_other_separators_of_excel(separator: str) -> None:
    table = read(f"tag{separator}device{separator}address\nA{separator}plc1{separator}1")
    assert table.errors == []
    assert len(table.points["plc1"]) == 1


def test_english_headings_in_any_order_and_case() -> None:
    table = read("ADDRESS,Tag,device,HH,code: province\n7,X,plc2,9,C1\n")
    assert table.errors == []
    [point] = table.points["plc2"]
    assert (point.point.address, point.limits.hh, point.codes) == ("7", 9.0, {"province": "C1"})


def test_a_contact() -> None:
    table = read("\n".join((HEAD, row(数据类型="bit", 位="3", 报警状态="0"))))
    assert table.errors == []
    [point] = table.points["plc1"]
    assert (point.point.bit, point.limits.on, point.limits.h) == (3, 0, None)


def test_an_address_with_real_chinese_is_left_alone() -> None:
    table = read("\n".join((HEAD, row(地址="ns=2;s=罐（一）"))))
    assert table.points["plc1"][0].point.address == "ns=2;s=罐（一）"


CELLS = [
    ({"位号": ""}, "E-POINTS-TAG-MISSING", "A(位号)"),
    ({"设备": ""}, "E-POINTS-DEVICE-MISSING", "C(设备)"),
    ({"设备": "plc3"}, "E-POINTS-DEVICE-UNKNOWN", "C(设备)"),
    ({"地址": ""}, "E-POINTS-ADDRESS-MISSING", "E(地址)"),
    ({"数据类型": "float128"}, "E-POINTS-DRIVER", "F(数据类型)"),
    ({"站号": "256"}, "E-POINTS-WHOLE", "D(站号)"),
    ({"站号": "一"}, "E-POINTS-WHOLE", "D(站号)"),
    ({"位": "16"}, "E-POINTS-WHOLE", "H(位)"),
    ({"系数": "0,1".replace(",", "，")}, "E-POINTS-NUMBER", "I(系数)"),
    ({"系数": "0"}, "E-POINTS-SCALE", "I(系数)"),
    ({"偏移": "nan"}, "E-POINTS-NUMBER", "J(偏移)"),
    ({"高": "85%"}, "E-POINTS-NUMBER", "P(高)"),
    ({"高": "1e999"}, "E-POINTS-NUMBER", "P(高)"),
    ({"高": "1_0"}, "E-POINTS-NUMBER", "P(高)"),
    ({"高": "/"}, "E-POINTS-NUMBER", "P(高)"),
    ({"量程下限": "10", "量程上限": "10"}, "E-POINTS-RANGE", "M(量程上限)"),
    ({"低": "5", "高": "5"}, "E-POINTS-LIMIT-ORDER", "P(高)"),
    ({"低低": "9", "高高": "5"}, "E-POINTS-LIMIT-ORDER", "Q(高高)"),
    ({"量程上限": "10", "高高": "11"}, "E-POINTS-LIMIT-RANGE", "Q(高高)"),
    ({"量程下限": "0", "低低": "-1"}, "E-POINTS-LIMIT-RANGE", "N(低低)"),
    ({"高": "5", "死区": "-0.1"}, "E-POINTS-DEADBAND-NEGATIVE", "S(死区)"),
    ({"低": "1", "高": "5", "死区": "4"}, "E-POINTS-DEADBAND-WIDE", "S(死区)"),
    ({"高": "5", "量程下限": "0", "死区": "5"}, "E-POINTS-DEADBAND-WIDE", "S(死区)"),
    ({"数据类型": "float32", "报警状态": "1"}, "E-POINTS-ANALOGUE", "R(报警状态)"),
    ({"报警状态": "2"}, "E-POINTS-WHOLE", "R(报警状态)"),
    ({"数据类型": "bit", "高": "1"}, "E-POINTS-DIGITAL", "P(高)"),
    ({"报警状态": "1", "死区": "1"}, "E-POINTS-DIGITAL", "S(死区)"),
    ({"优先级": "0"}, "E-POINTS-WHOLE", "T(优先级)"),
    ({"摄像头": "cam2"}, "E-POINTS-CAMERA-UNKNOWN", "V(摄像头)"),
    ({"指标编码:province": "3.70101E+19"}, "E-POINTS-CODE-RUINED", "W(指标编码:province)"),
    ({"描述": "长" * 251}, "E-POINTS-TEXT", "B(描述)"),
]


@pytest.mark.parametrize(("cells", "code", "column"), CELLS)
def test_one_wrong_cell_is_one_error_at_its_place(cells: dict[str, str], code: str, column: str) -> None:
    assert mistakes(row(**cells)) == [(code, f"points.csv:2:{column}")]


@pytest.mark.parametrize(
    ("header", "code", "place"),
    [
        ("位号,设备,地址,备柱", "E-POINTS-COLUMN-UNKNOWN", "points.csv:1:D"),
        ("位号,设备,地址,tag", "E-POINTS-COLUMN-TWICE", "points.csv:1:D"),
        ("位号,设备", "E-POINTS-COLUMN-MISSING", "points.csv:1"),
        ("位号,设备,地址,code:provinz", "E-POINTS-RECIPIENT-UNKNOWN", "points.csv:1:D"),
        ("位号,设备,地址,code:province,指标编码：province", "E-POINTS-COLUMN-TWICE", "points.csv:1:E"),
    ],
)
def test_wrong_headings(header: str, code: str, place: str) -> None:
    assert [(error.code, error.place) for error in read(header).errors] == [(code, place)]


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"", "E-POINTS-EMPTY", "points.csv"),
        (b"\n , \n", "E-POINTS-EMPTY", "points.csv"),
        (b"PK\x03\x04rest", "E-POINTS-WORKBOOK", "points.csv"),
        (b"\xef\xbb\xbftag,device,address\n\xff,1,2", "E-POINTS-ENCODING", "points.csv:2"),
        (b"tag,device,address\nA,plc1,\xff\xff", "E-POINTS-ENCODING", "points.csv:2"),
        (b'tag,device,address\nA,plc1,1\n"B,plc1,2\nC,plc1,3\n', "E-POINTS-QUOTES", "points.csv:3"),
    ],
)
def test_a_file_that_is_no_table(content: bytes, code: str, place: str) -> None:
    errors = read_points(content, "points.csv", KNOWN).errors
    assert [(error.code, error.place) for error in errors] == [(code, place)]


def test_all_mistakes_at_once_and_the_good_rows_are_still_read() -> None:
    table = read(
        "\n".join((HEAD, row(), row(高="x", 低="y"), "", row(位号="lt-101", 设备="plc9"), row(位号="OK-1")))
    )
    assert {(error.code, error.place) for error in table.errors} == {
        ("E-POINTS-TAG-TWICE", "points.csv:3:A(位号)"),
        ("E-POINTS-NUMBER", "points.csv:3:O(低)"),
        ("E-POINTS-NUMBER", "points.csv:3:P(高)"),
        ("E-POINTS-TAG-TWICE", "points.csv:5:A(位号)"),
        ("E-POINTS-DEVICE-UNKNOWN", "points.csv:5:C(设备)"),
    }
    assert len(table.errors) == 5
    assert [p.point.name for p in table.points["plc1"]] == ["LT-101", "LT-101", "OK-1"]


def test_both_languages_name_the_fact() -> None:
    table = read("\n".join((HEAD, row(低="12", 高="10"), row(位号="B", 设备="plc11"))))
    order, device = table.errors
    assert order.line("zh") == (
        "E-POINTS-LIMIT-ORDER points.csv:2:P(高)：“高”10 不大于“低”12。限值必须是 低低 < 低 < 高 < 高高。"
    )
    assert order.line("en") == (
        "E-POINTS-LIMIT-ORDER points.csv:2:P(高): H 10 is not above L 12. Limits must obey LL < L < H < HH."
    )
    assert "是不是“plc1”？" in device.line("zh")
    assert 'Did you mean "plc1"?' in device.line("en")


def test_a_duplicate_names_the_other_line() -> None:
    table = read("\n".join((HEAD, row(), row(位号="ＬＴ-101"))))
    assert "第 2 行" in table.errors[0].line("zh")
    assert "line 2" in table.errors[0].line("en")


def test_a_code_may_stand_once_per_recipient() -> None:
    assert mistakes(row(**{"指标编码:province": "1"}), row(位号="B", **{"指标编码:province": "1"})) == [
        ("E-POINTS-CODE-TWICE", "points.csv:3:W(指标编码:province)")
    ]


def test_a_comma_too_many() -> None:
    assert mistakes(row() + ",surplus") == [("E-POINTS-UNTITLED", "points.csv:2:X")]


def test_a_device_with_wrong_settings_does_not_make_its_points_wrong() -> None:
    assert mistakes(row(设备="broken", 数据类型="float128")) == []


def test_lines_are_counted_through_quoted_line_breaks() -> None:
    table = read('tag,device,address,description\nA,plc1,1,"two\nlines"\nB,plcx,2,\n')
    assert [(e.code, e.place) for e in table.errors] == [
        ("E-POINTS-TEXT", "points.csv:2:D(description)"),
        ("E-POINTS-DEVICE-UNKNOWN", "points.csv:4:B(device)"),
    ]


@pytest.mark.parametrize(
    ("index", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")]
)
def test_letters_as_excel_has_them(index: int, letter: str) -> None:
    assert column_letter(index) == letter
