"""The point table: what it gives, and every mistake with its exact cell, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from drivers.kit.errors import PointError
from drivers.kit.scan import Point
from gateway.alarm.limits import Limits
from gateway.alarm.presets import Preset
from gateway.points import Known, PointTable, read_points
from gateway.references import Named

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
    assert point.point == Point(
        "LT-101", "40001", "float32", "CDAB", None, 0.1, -5.0, 3, range_lo=0.0, range_hi=15.0, alarmed=True
    )
    assert point.limits == Limits(1.0, 2.0, 12.0, 13.5, None, 0.05)
    assert (point.point.range_lo, point.point.range_hi, point.unit, point.priority) == (0.0, 15.0, "m", 1)
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


def test_a_missing_column_is_said_once_and_not_in_every_row() -> None:
    errors = read("位号,地址\n" + "".join(f"P-{k},{k}\n" for k in range(100))).errors
    assert [(error.code, error.place) for error in errors] == [("E-POINTS-COLUMN-MISSING", "points.csv:1")]


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


def test_rows_have_excels_numbers_whatever_breaks_stand_in_a_cell() -> None:
    table = read('tag,device,address,description\nA,plc1,1,"two\nlines"\nB,plcx,2,\n')
    assert [(e.code, e.place) for e in table.errors] == [
        ("E-POINTS-TEXT", "points.csv:2:D(description)"),
        ("E-POINTS-DEVICE-UNKNOWN", "points.csv:3:B(device)"),
    ]
    title = read('"某某公司\n点表\n2026",,\n\n位号,设备,地址\nA,plcx,1\n"B\n')
    assert [(e.code, e.place) for e in title.errors] == [
        ("E-POINTS-DEVICE-UNKNOWN", "points.csv:4:B(设备)"),
        ("E-POINTS-QUOTES", "points.csv:5"),
    ]


MORE = (
    "位号,设备,地址,数据类型,长度,原始下限,原始上限,故障值,状态点,状态位,心跳点,心跳时限,冻结时限,"
    "小数位点,采集周期,采集死区,量程下限,量程上限,低低,低,高,高高,死区,报警状态"
)


def more(**cells: str) -> str:
    """One line under MORE; cells by the heading."""
    usual = {"位号": "LT-101", "设备": "plc1", "地址": "40001"}
    return ",".join({**usual, **cells}.get(heading, "") for heading in MORE.split(","))


def read_more(*rows: str, known: Known = KNOWN) -> PointTable:
    return read_points("\n".join((MORE, *rows)).encode(), "points.csv", known)


def test_every_column_of_old_controllers_reaches_the_point() -> None:
    table = read_more(
        more(
            原始下限="−10",
            原始上限="１１００",
            量程下限="-1",
            量程上限="110",
            故障值="32768；0xFFFF＝over_range",
            状态点="ｘ-1",
            状态位="3＝维护；！7＝device_fault",
            心跳点="x-2",
            心跳时限="4.5",
            冻结时限="600",
            小数位点="X-3",
            采集周期="0.5",
            采集死区="0.1",
        ),
        more(位号="X-1"),
        more(位号="X-2", 数据类型="bit"),
        more(位号="X-3"),
        more(位号="名牌", 数据类型="string", 长度="16"),
    )
    assert table.errors == []
    point, _, _, _, text = (config.point for config in table.points["plc1"])
    assert (point.raw_lo, point.raw_hi, point.range_lo, point.range_hi) == (-10, 1100, -1, 110)
    assert (point.fault_values, point.status_bits) == ("32768;0xFFFF=over_range", "3=维护;!7=device_fault")
    assert (point.status_point, point.heartbeat_point, point.decimals_point) == ("X-1", "X-2", "X-3")
    assert (point.heartbeat_s, point.frozen_s, point.period_s, point.sample_deadband) == (4.5, 600, 0.5, 0.1)
    assert (text.type, text.length, text.alarmed) == ("string", 16, False)


@pytest.mark.parametrize("cells", [{"低低": "1"}, {"高": "1"}, {"数据类型": "bit", "报警状态": "0"}])
def test_a_point_with_any_limit_is_read_before_what_is_only_recorded(cells: dict[str, str]) -> None:
    assert [config.point.alarmed for config in read_more(more(**cells)).points["plc1"]] == [True]


def test_a_deadband_alone_alarms_nothing() -> None:
    assert not read_more(more(死区="1")).points["plc1"][0].point.alarmed


@pytest.mark.parametrize(
    ("cells", "code", "column"),
    [
        ({"长度": "65"}, "E-POINTS-WHOLE", "E(长度)"),
        ({"长度": "0"}, "E-POINTS-WHOLE", "E(长度)"),
        ({"原始上限": "65535以下"}, "E-POINTS-NUMBER", "G(原始上限)"),
        ({"采集周期": "5s"}, "E-POINTS-NUMBER", "O(采集周期)"),
        ({"采集周期": "0.01"}, "E-POINTS-BETWEEN", "O(采集周期)"),
        ({"采集周期": "5000"}, "E-POINTS-BETWEEN", "O(采集周期)"),
        ({"冻结时限": "0"}, "E-POINTS-BETWEEN", "M(冻结时限)"),
        ({"采集死区": "-1"}, "E-POINTS-DEADBAND-NEGATIVE", "P(采集死区)"),
        ({"状态点": "LT-101"}, "E-POINTS-TOGETHER", "J(状态位)"),
        ({"状态位": "3=维护"}, "E-POINTS-TOGETHER", "I(状态点)"),
        ({"心跳点": "LT-101"}, "E-POINTS-TOGETHER", "L(心跳时限)"),
        ({"心跳时限": "5"}, "E-POINTS-TOGETHER", "K(心跳点)"),
        ({"小数位点": "LT-999"}, "E-POINTS-REFERENCE", "N(小数位点)"),
        ({"数据类型": "string", "高": "5"}, "E-POINTS-LIMIT-TEXT", "U(高)"),
        ({"数据类型": "string", "报警状态": "1"}, "E-POINTS-LIMIT-TEXT", "X(报警状态)"),
    ],
)
def test_one_wrong_cell_of_the_new_columns(cells: dict[str, str], code: str, column: str) -> None:
    errors = read_more(more(**cells)).errors
    assert [(error.code, error.place) for error in errors] == [(code, f"points.csv:2:{column}")]
    assert all(text for text in (*errors[0].cause.values(), *errors[0].remedy.values()))


def test_what_is_missing_is_named_even_where_the_table_has_no_such_column() -> None:
    table = read("位号,设备,地址,状态点\nA,plc1,1,A\n")
    assert [(e.code, e.place) for e in table.errors] == [("E-POINTS-TOGETHER", "points.csv:2:(状态位)")]
    assert table.errors[0].line("zh").endswith("写了“状态点”，没有写“状态位”。两格都写，或都留空。")


def together(points: Sequence[Point]) -> list[PointError]:
    """A driver's judgement of a whole device: a point named by another must stand there and be a bit."""
    types = {point.name: point.type for point in points}
    wrong = [p for p in points if p.heartbeat_point and types.get(p.heartbeat_point) != "bit"]
    text = {"zh": "心跳点必须是位。", "en": "The heartbeat must be a bit."}
    return [PointError("heartbeat_point", text, text, point.name) for point in wrong]


def test_what_a_driver_says_of_all_points_stands_at_each_points_row() -> None:
    known = Known({"plc1": _accept, "plc2": _accept}, together={"plc1": together})
    table = read_more(
        more(位号="A", 心跳点="b", 心跳时限="5"),
        more(位号="B"),
        more(位号="C", 心跳点="D", 心跳时限="5"),
        more(位号="D", 数据类型="bit"),
        more(位号="E", 心跳点="B", 心跳时限="5", 设备="plc2"),
        more(位号="F", 采集周期="x"),
        known=known,
    )
    assert [(error.code, error.place) for error in table.errors] == [
        ("E-POINTS-DRIVER", "points.csv:2:K(心跳点)"),
        ("E-POINTS-NUMBER", "points.csv:7:O(采集周期)"),
    ]


def test_a_mistake_that_only_follows_from_another_is_not_told() -> None:
    known = Known({"plc1": _accept}, together={"plc1": together})
    table = read_more(
        more(位号="A", 心跳点="B", 心跳时限="5"),
        more(位号="B", 数据类型="float128"),
        more(位号="C", 心跳点="Z", 心跳时限="5"),
        known=known,
    )
    assert [(error.code, error.place) for error in table.errors] == [
        ("E-POINTS-DRIVER", "points.csv:3:D(数据类型)"),
        ("E-POINTS-REFERENCE", "points.csv:4:K(心跳点)"),
    ]


@pytest.mark.parametrize(
    "heading", ["采集周期（秒）", "采集周期(s)", "采样周期", "扫描周期", "period_s", "Period_S"]
)
def test_headings_as_engineers_write_them(heading: str) -> None:
    table = read(f"位号,设备,OPC-UA NodeId,{heading}\nA,plc1,1,30\n")
    assert table.errors == []
    assert table.points["plc1"][0].point.period_s == 30


def test_a_heading_in_another_unit_is_not_taken_for_seconds() -> None:
    [error] = read("位号,设备,地址,采集周期(ms)\n").errors
    assert (error.code, error.place) == ("E-POINTS-COLUMN-UNKNOWN", "points.csv:1:D")
    assert "采集周期(s)" in error.line("zh")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_title_above_the_headings_is_passed_over(separator: str) -> None:
    title = "某某公司1号罐区点表\n编制：张工, 2026年11月22日, 第3版\n\n"
    table = read(
        title + "\n".join(separator.join(line) for line in (("位号", "设备", "地址"), ("A", "plc1", "x")))
    )
    assert table.errors == []
    assert [config.point.name for config in table.points["plc1"]] == ["A"]
    late = read(f"{title}位号,设备,地址\nA,plc9,1\n").errors
    assert [(e.code, e.place) for e in late] == [("E-POINTS-DEVICE-UNKNOWN", "points.csv:5:B(设备)")]


@pytest.mark.parametrize("content", ["罐区点表\nLT-101,plc1,40001\n", "LT-101,plc1,40001\n" * 5_000])
def test_no_headings_at_all_is_one_mistake_and_not_one_per_cell(content: str) -> None:
    errors = read(content).errors
    assert [(error.code, error.place) for error in errors] == [("E-POINTS-HEADINGS", "points.csv:1")]
    assert "位号,设备,地址" in errors[0].line("zh")


@pytest.mark.parametrize(
    "tag",
    [
        "2026/2/1",
        "2026-02-01",
        "2/1/2026",
        "2月1日",
        "2026年2月1日",
        "1-Feb",
        "#REF!",
        "#N/A",
        "1.20E+11",
        "1E+03",
        "Jan-03",
    ],
)
def test_a_tag_that_excel_has_ruined(tag: str) -> None:
    assert mistakes(row(位号=tag)) == [("E-POINTS-TAG-RUINED", "points.csv:2:A(位号)")]
    assert "文本" in read("\n".join((HEAD, row(位号=tag)))).errors[0].line("zh")


@pytest.mark.parametrize("tag", ["2-1", "LT-2026-1", "SEP-1", "1E5", "罐2月1日", "10-DEC-2"])
def test_a_tag_that_only_looks_a_little_so(tag: str) -> None:
    assert mistakes(row(位号=tag)) == []


def test_an_unknown_heading_without_a_near_one_lists_them_in_each_language() -> None:
    [error] = read("位号,设备,地址,ＺＺＺＺＺＺ\n").errors
    assert "位号、描述、设备" in error.line("zh")
    assert "tag, description, device" in error.line("en")


@pytest.mark.parametrize(
    "code", ["1月3日", "2021/3/1", "2021-03-01", "Jan-03", "3-Jan", "2021年3月", "1E+20", "3.70E+19", "#REF!"]
)
def test_a_code_that_excel_has_ruined(code: str) -> None:
    table = read("\n".join((HEAD, row(**{"指标编码:province": code}))))
    assert [(e.code, e.place) for e in table.errors] == [
        ("E-POINTS-CODE-RUINED", "points.csv:2:W(指标编码:province)")
    ]
    assert "Excel" in table.errors[0].line("zh")


def coded(*codes: str) -> list[tuple[str, str]]:
    return mistakes(*(row(位号=f"P-{at}", **{"指标编码:province": code}) for at, code in enumerate(codes)))


def test_a_code_that_excel_has_rounded_to_15_digits() -> None:
    place = "points.csv:{}:W(指标编码:province)".format
    assert coded("37010100000000100000") == [("E-POINTS-CODE-ROUNDED", place(2))]
    assert coded("3701010000000010", "3701010000000020") == [
        ("E-POINTS-CODE-ROUNDED", place(2)),
        ("E-POINTS-CODE-ROUNDED", place(3)),
    ]


@pytest.mark.parametrize(
    "codes",
    [
        ("37010100000000100001",),
        ("370101000000000",),
        ("3701010000000010", "3701010000000011"),
        ("AB0101000000000000000",),
        ("C-1-Feb",),
    ],
)
def test_a_code_that_is_whole(codes: tuple[str, ...]) -> None:
    assert coded(*codes) == []


def test_without_tags_the_driver_is_not_asked_about_all_points_together() -> None:
    known = Known({"plc1": _accept}, together={"plc1": together})
    head = "标签,设备,地址,心跳点,心跳时限\n"
    errors = read_points(f"{head}A,plc1,1,,\nB,plc1,2,C,5\n".encode(), "points.csv", known).errors
    assert {(e.code, e.place) for e in errors} == {
        ("E-POINTS-COLUMN-MISSING", "points.csv:1"),
        ("E-POINTS-COLUMN-UNKNOWN", "points.csv:1:A"),
    }


def test_a_blank_heading_above_filled_cells_is_one_mistake_of_the_heading() -> None:
    rows = "".join(f"P-{k},x{k},plc1,{k},\n" for k in range(50))
    [error] = read(f"位号,,设备,地址,\n{rows}").errors
    assert (error.code, error.place) == ("E-POINTS-HEADING-BLANK", "points.csv:1:B")
    assert "50" in error.line("zh")


def test_a_heading_may_hold_a_line_break() -> None:
    text = '位号,设备,地址,"采集\n周期\n(s)","指标编码:\nprovince"\nA,plc1,1,x,1月3日\n'
    assert [(e.code, e.place) for e in read(text).errors] == [
        ("E-POINTS-NUMBER", "points.csv:2:D(采集 周期 (s))"),
        ("E-POINTS-CODE-RUINED", "points.csv:2:E(指标编码: province)"),
    ]


def test_names_that_follow_from_a_mistake_of_the_configuration_are_not_told() -> None:
    known = Known({"plc1": None}, unsure=frozenset({"device", "camera", "recipient"}))
    text = "位号,设备,地址,摄像头,指标编码:x\nA,plc2,1,cam2,1\nB,,1,,\n"
    assert [e.code for e in read_points(text.encode(), "points.csv", known).errors] == [
        "E-POINTS-DEVICE-MISSING"
    ]


def test_a_row_says_all_the_driver_says_and_no_cell_twice() -> None:
    def judge(point: Point) -> None:
        text = {"zh": "不对。", "en": "Wrong."}
        first = PointError("address", text, text)
        first.others = (PointError("type", text, text), PointError("status_bits", text, text))
        raise first

    table = read_more(more(状态点="Z"), known=Known({"plc1": judge}))
    assert [(e.code, e.place) for e in table.errors] == [
        ("E-POINTS-TOGETHER", "points.csv:2:J(状态位)"),
        ("E-POINTS-DRIVER", "points.csv:2:C(地址)"),
        ("E-POINTS-DRIVER", "points.csv:2:D(数据类型)"),
        ("E-POINTS-REFERENCE", "points.csv:2:I(状态点)"),
    ]


ALARMS = "位号,设备,地址,数据类型,单位,高,偏差限,偏差基准,抑制点,上升速率限,采集周期,预设,状态点,状态位"


def alarms(**cells: str) -> str:
    """One line under ALARMS; cells by the heading."""
    usual = {"位号": "LT-101", "设备": "plc1", "地址": "40001"}
    return ",".join({**usual, **cells}.get(heading, "") for heading in ALARMS.split(","))


def read_alarms(*rows: str, known: Known = KNOWN) -> PointTable:
    return read_points("\n".join((ALARMS, *rows)).encode(), "points.csv", known)


def test_alarms_name_points_of_other_devices_in_any_order() -> None:
    table = read_alarms(
        alarms(偏差限="0.2", 偏差基准="ｌｔ-102", 抑制点="xs-1"),
        alarms(位号="LT-102", 设备="plc2", 偏差限="1", 偏差基准="5.5"),
        alarms(位号="XS-1", 设备="plc2", 数据类型="bit"),
    )
    assert table.errors == []
    first, second = table.points["plc1"][0].conditions, table.points["plc2"][0].conditions
    assert (first.deviation_from, first.suppressed_by, second.deviation_from) == ("LT-102", "XS-1", 5.5)


def test_a_point_of_a_device_that_is_wrong_is_still_one_that_can_be_named() -> None:
    table = read_alarms(alarms(抑制点="XS-1"), alarms(位号="XS-1", 设备="plc9", 数据类型="bit"))
    assert [error.code for error in table.errors] == ["E-POINTS-DEVICE-UNKNOWN"]


def test_wrong_names_stand_at_their_cells_in_the_order_of_the_lines() -> None:
    table = read_alarms(
        alarms(位号="XS-1", 数据类型="bit", 抑制点="LT-101"),
        alarms(偏差限="1", 偏差基准="LT-9", 抑制点="XT-1"),
        alarms(位号="LT-9", 设备="plc2", 偏差限="1", 偏差基准="LT-9"),
    )
    assert [(error.code, error.place) for error in table.errors] == [
        ("E-POINTS-WANTS-CONTACT", "points.csv:2:I(抑制点)"),
        ("E-POINTS-TAG-UNKNOWN", "points.csv:3:I(抑制点)"),
        ("E-POINTS-SELF", "points.csv:4:H(偏差基准)"),
    ]


def test_without_tags_nothing_is_called_unknown() -> None:
    errors = read("设备,地址,抑制点\nplc1,1,XS-1\n").errors
    assert [error.code for error in errors] == ["E-POINTS-COLUMN-MISSING"]


def test_an_unreadable_name_is_told_once() -> None:
    errors = read_alarms(alarms(状态点="长" * 251, 状态位="3=维护")).errors
    assert [error.code for error in errors] == ["E-POINTS-TEXT", "E-POINTS-REFERENCE"]


def test_a_rate_is_judged_with_the_period_of_its_device_or_its_own() -> None:
    known = Known({"plc1": _accept, "plc2": _accept}, periods_s={"plc1": 30.0, "plc2": 1.0})
    table = read_alarms(
        alarms(上升速率限="1"),
        alarms(位号="B", 上升速率限="1", 采集周期="10"),
        alarms(位号="C", 设备="plc2", 上升速率限="1"),
        known=known,
    )
    assert [(e.code, e.place) for e in table.errors] == [("E-POINTS-WINDOW", "points.csv:2:(速率窗口)")]
    assert "至少 90 秒" in table.errors[0].line("zh")


def test_presets_come_from_the_configuration() -> None:
    known = Known({"plc1": _accept}, presets={"h2s": Preset("ppm", h=5.0, hh=10.0)})
    table = read_alarms(alarms(单位="ppm", 预设="H2S"), alarms(位号="B", 预设="combustible"), known=known)
    assert table.points["plc1"][0].limits == Limits(h=5.0, hh=10.0)
    assert [(e.code, e.place) for e in table.errors] == [("E-POINTS-PRESET-UNKNOWN", "points.csv:3:L(预设)")]


def test_the_tags_of_the_table_are_known_with_kind_and_unit() -> None:
    table = read_alarms(alarms(单位="m"), alarms(位号="XS-1", 数据类型="bit"), alarms(位号=""))
    assert table.tags == {
        "lt-101": Named("LT-101", 2, "number", "m"),
        "xs-1": Named("XS-1", 3, "contact", ""),
    }
