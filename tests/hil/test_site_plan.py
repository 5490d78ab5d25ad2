"""A plan becomes a point table: the counter first, OPC UA nodes by their namespace."""

from hil.opcua_plc import NAMESPACE_URI
from hil.site_plan import ModbusDevice, OpcuaDevice, SitePlan, point_rows


def test_every_modbus_device_reads_its_counter_first():
    devices = [ModbusDevice(name, [{"tag": f"{name}.x", "address": "40003"}], 3) for name in ("a", "b")]
    rows = point_rows(SitePlan(modbus=devices))
    assert [row["tag"] for row in rows] == ["a.count", "a.x", "b.count", "b.x"]
    assert [row["device"] for row in rows] == ["a", "a", "b", "b"]
    assert (rows[0]["address"], rows[0]["type"]) == ("40001", "uint32")


def test_the_counter_is_described_in_the_site_s_language():
    device = ModbusDevice("a", [], 2)
    described = [
        point_rows(SitePlan(modbus=[device], language=language))[0]["description"]
        for language in ("zh", "en")
    ]
    assert described == ["应答计数", "answer counter"]


def test_opc_ua_nodes_get_their_namespace():
    opcua = OpcuaDevice("plc2", [{"tag": "GT-201", "address": "G1"}], ["G1"], [])
    (row,) = point_rows(SitePlan(opcua=opcua))
    assert row == {"tag": "GT-201", "device": "plc2", "address": f"nsu={NAMESPACE_URI};s=G1"}


def test_devices_of_the_scenario_come_as_they_are():
    rows = [{"tag": "x", "device": "line", "address": "40001"}]
    assert point_rows(SitePlan(devices=[{"name": "line", "driver": "modbus"}], rows=rows)) == rows
