"""Our tokens against PyJWT, in both directions, and what is no token of ours."""

import base64
import contextlib
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.token import read, sign

SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"iss": "portal", "sub": "王", "exp": 2_000_000_000, "video": {"roomJoin": True}}


def compact(header: object, claims: object = CLAIMS, signature: bytes = b"x") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_pyjwt_reads_ours() -> None:
    assert jwt.decode(sign(CLAIMS, SECRET), SECRET, algorithms=["HS256"]) == CLAIMS


def test_we_read_pyjwts() -> None:
    token = read(jwt.encode(CLAIMS, SECRET, algorithm="HS256"))
    assert token.claims == CLAIMS
    assert token.signed_by(SECRET)
    assert not token.signed_by(SECRET[::-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        sign(CLAIMS, SECRET) + "=",
        sign(CLAIMS, SECRET) + "\n",
        sign(CLAIMS, SECRET).replace(".", " .", 1),
        jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512"),
        compact({"alg": "none"}),
        compact({"alg": "hs256"}),
        compact({"typ": "JWT"}),
        compact({"alg": "HS256", "crit": ["b64"], "b64": False}),
        compact({"alg": "HS256"}, ["not", "an", "object"]),
        compact(["HS256"]),
        "{0}.{0}.{0}".format(base64.urlsafe_b64encode(b"[" * 3000).decode()),
    ],
)
def test_what_is_no_token_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(text)


@given(st.data())
def test_a_changed_character_spoils_it(data: st.DataObject) -> None:
    text = sign(CLAIMS, SECRET)
    at = data.draw(st.integers(0, text.rindex(".") - 1))
    changed = text[:at] + data.draw(st.sampled_from("AZaz09-_.")) + text[at + 1 :]
    with contextlib.suppress(ValueError):
        assert changed == text or not read(changed).signed_by(SECRET)
