import time
from typing import Any

import jwt
import pytest

from signaling.auth import Permissions, TokenRole, mint, verify
from signaling.errors import NotAllowed, NotAuthenticated

KEYS = {"portal": "0123456789abcdef0123456789abcdef", "other": "f" * 32}
NOW = time.time()


def token(**changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": "portal",
        "sub": "wang",
        "exp": NOW + 3600,
        "video": {"room": "math", "roomJoin": True},
        **changes,
    }
    claims = {key: value for key, value in claims.items() if value is not None}
    return jwt.encode(claims, KEYS["portal"], algorithm="HS256")


def minted(role: TokenRole, lesson: str | None = "math", admin: bool = False) -> Permissions:
    text = mint(
        "portal",
        KEYS["portal"],
        role=role,
        identity="wang",
        name="Wang",
        lesson=lesson,
        ttl=3600,
        now=NOW,
        admin=admin,
    )
    return verify(text, KEYS)


def test_a_teacher_may_teach_watch_and_end_its_own_lesson() -> None:
    teacher = minted(TokenRole.TEACHER)
    assert (teacher.identity, teacher.name) == ("wang", "Wang")
    teacher.require_publish("math")
    teacher.require_subscribe("math")
    teacher.require_end("math")
    for require in (teacher.require_publish, teacher.require_subscribe, teacher.require_end):
        with pytest.raises(NotAllowed, match="not for lesson art"):
            require("art")
    with pytest.raises(NotAllowed):
        teacher.require_admin()


def test_a_school_may_only_watch() -> None:
    school = minted(TokenRole.SCHOOL)
    school.require_subscribe("math")
    with pytest.raises(NotAllowed, match="teaching"):
        school.require_publish("math")
    with pytest.raises(NotAllowed):
        school.require_end("math")
    assert school.may_see_archive("math")
    assert not school.may_see_archive("art")


def test_an_archivist_sees_every_archive_and_deletes_only_as_admin() -> None:
    archivist = minted(TokenRole.ARCHIVIST, lesson=None)
    assert archivist.may_see_archive("art")
    with pytest.raises(NotAllowed):
        archivist.require_admin()
    with pytest.raises(NotAllowed):
        archivist.require_subscribe("math")
    minted(TokenRole.ARCHIVIST, lesson=None, admin=True).require_admin()


def test_absent_grants_mean_true_as_with_livekit() -> None:
    anyone = verify(token(), KEYS)
    anyone.require_publish("math")
    anyone.require_subscribe("math")
    muted = verify(token(video={"room": "math", "roomJoin": True, "canPublish": False}), KEYS)
    with pytest.raises(NotAllowed):
        muted.require_publish("math")


def test_a_room_admin_ends_its_room_but_is_no_admin_of_all() -> None:
    admin = verify(token(video={"room": "math", "roomAdmin": True}), KEYS)
    admin.require_end("math")
    with pytest.raises(NotAllowed):
        admin.require_end("art")
    with pytest.raises(NotAllowed):
        admin.require_admin()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "token is needed"),
        ("", "token is needed"),
        ("garbage", "malformed"),
        ("a.b.c", "malformed"),
        ("x" * 5000, "too long"),
        (token(iss="stranger"), "not signed by a key"),
        (token(iss=None), "not signed by a key"),
        (token(iss="other"), "not signed by a key"),
        (token(exp=NOW - 60), "expired"),
        (token(exp=None), "malformed"),
        (token(sub=None), "malformed"),
        (token(exp="soon"), "malformed"),
        (token(nbf=NOW + 600), "not valid yet"),
        (jwt.encode({"iss": "portal", "sub": "w"}, "", algorithm="none"), "malformed"),
    ],
)
def test_a_token_that_proves_nothing(text: str | None, sentence: str) -> None:
    with pytest.raises(NotAuthenticated, match=sentence):
        verify(text, KEYS)


@pytest.mark.parametrize("video", [None, 3, "x", {}, {"room": 3, "roomJoin": "yes"}])
def test_odd_grants_allow_nothing(video: Any) -> None:
    nobody = verify(token(video=video), KEYS)
    with pytest.raises(NotAllowed):
        nobody.require_subscribe("math")
    assert not nobody.may_see_archive("math")
