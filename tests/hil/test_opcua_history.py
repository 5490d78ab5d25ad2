"""What the simulated OPC UA PLC remembers behind a cut line, and how it gives it out. asyncua judges."""

import asyncio
import contextlib
import datetime as dt

import pytest
from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties

from hil.opcua_history import HISTORY_PAGE
from hil.opcua_plc import NAMESPACE_URI, Change, OpcuaPlc
from hil.pki import opcua_application

CLIENT_URI = "urn:plantgate:test:client"
MODES = ua.MessageSecurityMode


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    names = {"plc": "urn:plantgate:hil:plc", "client": CLIENT_URI}
    return {name: opcua_application(folder, name, uri) for name, uri in names.items()}


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as one:
        yield one


def server(runner, pki, **kinds):
    plc = OpcuaPlc(pki["plc"], [pki["client"].fingerprint], gas=["GT-101"], contacts=[], **kinds)
    runner.run(plc.start({"GT-101": 1.0}))
    return plc


@contextlib.asynccontextmanager
async def connected(plc, pki):
    client = Client(plc.url, timeout=4)
    client.application_uri = CLIENT_URI
    await client.set_security(
        security_policies.SecurityPolicyBasic256Sha256,
        pki["client"].certificate,
        CertProperties(pki["client"].key, "pem"),
        server_certificate=pki["plc"].certificate,
        mode=MODES.SignAndEncrypt,
    )
    async with client:
        yield client


async def gas(client):
    return client.get_node(f"ns={await client.get_namespace_index(NAMESPACE_URI)};s=GT-101")


def since(moment):
    return dt.datetime.fromtimestamp(moment, dt.UTC).replace(tzinfo=None)


async def history(client, node, start, end):
    """Raw values from start to end, page by page, and how many pages they took."""
    details = ua.ReadRawModifiedDetails(
        IsReadModified=False, StartTime=start, EndTime=end, NumValuesPerNode=0, ReturnBounds=False
    )
    values, pages = [], 0
    point = None
    while pages == 0 or point:
        read = ua.HistoryReadValueId(NodeId=node.nodeid, ContinuationPoint=point)
        request = ua.HistoryReadParameters(HistoryReadDetails=details, NodesToRead=[read])
        (result,) = await client.uaclient.session.history_read(request)
        result.StatusCode.check()
        values += result.HistoryData.DataValues
        point = result.ContinuationPoint
        pages += 1
    return values, pages


def test_what_it_measured_behind_a_cut_line_stands_in_its_history_and_counts_as_sent(runner, pki):
    plc = server(runner, pki, history=True)

    async def story():
        await plc.stop(measuring=True)
        plc.changes.clear()
        for value in range(HISTORY_PAGE + 20):
            await plc.show({"GT-101": 100.0 + value})
        await plc.start()
        plc.sent.clear()
        missing = [change for change in plc.changes if change.node == "GT-101"]
        assert len(missing) == HISTORY_PAGE + 20
        async with connected(plc, pki) as client:
            node = await gas(client)
            assert ua.AccessLevel.HistoryRead in await node.get_access_level()
            span = [since(missing[i].source_ns / 1e9) for i in (0, -1)]
            values, pages = await history(client, node, *span)
        assert pages == 2
        assert [value.Value.Value for value in values] == [change.value for change in missing]
        assert plc.sent == missing
        assert isinstance(plc.sent[0], Change)
        assert plc.services["HistoryRead"] == 2

    runner.run(story())
    runner.run(plc.close())


def test_a_server_without_history_says_so(runner, pki):
    plc = server(runner, pki)

    async def story():
        async with connected(plc, pki) as client:
            with pytest.raises(ua.UaStatusCodeError) as refused:
                await history(client, await gas(client), since(0), since(2**31))
            assert refused.value.code == ua.StatusCodes.BadHistoryOperationUnsupported

    runner.run(story())
    runner.run(plc.close())


def test_it_gives_out_no_more_at_once_than_it_is_told(runner, pki):
    plc = server(runner, pki, history=True, history_page=3)

    async def story():
        for value in range(7):
            await plc.show({"GT-101": 100.0 + value})
        async with connected(plc, pki) as client:
            values, pages = await history(client, await gas(client), since(0), since(2**31))
        assert pages == 3
        assert [value.Value.Value for value in values] == [1.0, *(100.0 + value for value in range(7))]
        assert plc.history_continued == 2

    runner.run(story())
    runner.run(plc.close())
