"""Whom the simulated OPC UA PLC lets in, by policy, mode and user, and what it lets them ask. asyncua judges."""

import asyncio
import contextlib

import pytest
from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties

from hil.opcua_plc import CARELESS, NAMESPACE_URI, SECURE, OpcuaPlc
from hil.pki import opcua_application

CLIENT_URI = "urn:plantgate:test:client"
PASSWORD = "bench only"
MODES = ua.MessageSecurityMode


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    names = {"plc": "urn:plantgate:hil:plc", "client": CLIENT_URI, "user": CLIENT_URI, "stranger": CLIENT_URI}
    return {name: opcua_application(folder, name, uri) for name, uri in names.items()}


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as one:
        yield one


def server(runner, pki, **kinds):
    plc = OpcuaPlc(pki["plc"], [pki["client"].fingerprint], gas=["GT-101"], contacts=[], **kinds)
    runner.run(plc.start({"GT-101": 1.0}))
    return plc


@pytest.fixture(scope="module")
def everything(runner, pki):
    """Every policy, the careless one too."""
    plc = server(runner, pki, policies=(*SECURE, *CARELESS))
    yield plc
    runner.run(plc.close())


@pytest.fixture(scope="module")
def named(runner, pki):
    """Named users only."""
    users = {"users": {"reader": PASSWORD}, "user_certificates": [pki["user"].fingerprint]}
    plc = server(runner, pki, policies=SECURE, **users)
    yield plc
    runner.run(plc.close())


@contextlib.asynccontextmanager
async def connected(plc, pki, policy="Basic256Sha256", mode=MODES.SignAndEncrypt, user=None):
    client = Client(plc.url, timeout=4)
    client.application_uri = CLIENT_URI
    if policy is not None:
        await client.set_security(
            getattr(security_policies, f"SecurityPolicy{policy}"),
            pki["client"].certificate,
            CertProperties(pki["client"].key, "pem"),
            server_certificate=pki["plc"].certificate,
            mode=mode,
        )
    if isinstance(user, tuple):
        client.set_user(user[0])
        client.set_password(user[1])
    elif user is not None:
        await client.load_client_certificate(pki[user].certificate)
        await client.load_private_key(pki[user].key, extension="pem")
    async with client:
        yield client


async def gas(client):
    return client.get_node(f"ns={await client.get_namespace_index(NAMESPACE_URI)};s=GT-101")


@pytest.mark.parametrize("mode", [MODES.Sign, MODES.SignAndEncrypt])
@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"])
def test_every_policy_and_mode_is_read_and_not_written(runner, everything, pki, policy, mode):
    async def story():
        everything.services.clear()
        async with connected(everything, pki, policy, mode) as client:
            node = await gas(client)
            assert await node.read_value() is not None
            with pytest.raises(ua.UaStatusCodeError):
                await node.write_value(99.0)
        assert everything.writes_seen == everything.services["Write"] == 1

    runner.run(story())


def test_the_careless_one_needs_nothing_and_still_counts_a_write(runner, everything, pki):
    async def story():
        everything.services.clear()
        async with connected(everything, pki, None) as client:
            node = await gas(client)
            assert await node.read_value() is not None
            with pytest.raises(ua.UaStatusCodeError):
                await node.write_value(99.0)
        assert everything.writes_seen == 1

    runner.run(story())


@pytest.mark.parametrize("mode", [MODES.Sign, MODES.SignAndEncrypt])
@pytest.mark.parametrize("user", [("reader", PASSWORD), "user"])
def test_a_named_user_comes_in(runner, named, pki, user, mode):
    async def story():
        async with connected(named, pki, mode=mode, user=user) as client:
            assert await (await gas(client)).read_value() == 1.0

    runner.run(story())


@pytest.mark.parametrize("user", [None, ("reader", "wrong"), ("nobody", PASSWORD), "stranger"])
def test_nobody_else_does(runner, named, pki, user):
    async def story():
        with pytest.raises(ua.UaError):
            async with connected(named, pki, user=user):
                pass

    runner.run(story())
