"""Which login challenge is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.challenge import strongest

MD5 = 'Digest realm="a, b", nonce="n=1", algorithm=MD5'
SHA = 'digest Realm="r \\"q\\"",NONCE="x",  qop="auth-int, auth" ,algorithm="SHA-256" , opaque=""'


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], ""),
        ([""], ""),
        (["Negotiate"], ""),
        (["Bearer realm=x"], ""),
        (["Basic realm=x"], "Basic"),
        (["BASIC"], "Basic"),
        (['Digest realm="r", nonce="n"'], 'Digest realm="r", nonce="n"'),
        ([MD5], 'Digest realm="a, b", nonce="n=1", algorithm="MD5"'),
        ([MD5, SHA, "Basic"], "SHA-256"),
        ([SHA, MD5], "SHA-256"),
        ([f"Basic realm=c, {MD5}, {SHA}, Negotiate"], "SHA-256"),
        ([f"Negotiate, {MD5}"], "MD5"),
        (["Digest realm=r, nonce=n, algorithm=SHA-512-256", "Basic"], "Basic"),
        (["Digest realm=r, nonce=n, qop=auth-int", "Basic realm=x"], "Basic"),
        (["Digest realm=r", "Basic"], "Basic"),
        (["Digest realm=r, algorithm=SHA-256"], ""),
    ],
)
def test_the_strongest_that_is_understood(headers, wanted):
    found = strongest(headers)
    assert found == wanted or f'algorithm="{wanted}"' in found


def test_what_is_not_needed_is_not_passed_on():
    assert (
        strongest([SHA]) == 'Digest realm="r \\"q\\"", nonce="x", opaque="", algorithm="SHA-256", qop="auth"'
    )


@given(st.lists(st.text(alphabet='Digest basic="\\,nonrealm qop 256é', max_size=60), max_size=3))
def test_anything_may_come(headers):
    assert strongest(headers).partition(" ")[0] in ("", "Basic", "Digest")
