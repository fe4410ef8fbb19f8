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
        "exp": NOW + 24 * 3600,
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
        ("x" * 9000, "too long"),
        (token(iss="stranger"), "not signed by a key"),
        (token(iss=None), "not signed by a key"),
        (token(iss="other"), "not signed by a key"),
        (token(exp=NOW - 60), "expired"),
        (token(exp=None), "malformed"),
        (token(sub=None), "malformed"),
        (token(exp="soon"), "malformed"),
        (token(nbf=NOW + 24 * 3600), "not valid yet"),
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


def granted(video: dict[str, Any], **claims: Any) -> Permissions:
    return verify(token(video={"room": "math", "roomJoin": True, **video}, **claims), KEYS)


def test_all_of_livekits_grants() -> None:
    who = granted(
        {
            "canPublishSources": ["camera", "SCREEN_SHARE"],
            "canUpdateOwnMetadata": True,
            "hidden": True,
            "recorder": True,
            "roomCreate": True,
        },
        name="Wang",
        metadata="m",
        attributes={"site": "hilltop", "odd": 3},
    )
    assert who.publish_sources == {"camera", "slides"}
    assert who.publish_data
    assert who.update_own_metadata
    assert who.hidden
    assert who.recorder
    assert (who.name, who.metadata, who.site) == ("Wang", "m", "hilltop")
    assert who.attributes == {"site": "hilltop"}
    who.require_create("math")
    with pytest.raises(NotAllowed):
        who.require_create("art")
    with pytest.raises(NotAllowed):
        who.require_list()
    assert not granted({"canPublishData": False}).publish_data


@pytest.mark.parametrize(
    ("video", "named", "role"),
    [
        ({}, None, "assistant"),
        ({"canPublish": False}, None, "school"),
        ({"hidden": True}, None, "observer"),
        ({"recorder": True, "hidden": True}, None, "recorder"),
        ({}, "teacher", "teacher"),
        ({}, "school", "school"),
        ({}, "observer", "observer"),
        ({"canPublish": False}, "teacher", "school"),
        ({"canPublish": False}, "assistant", "school"),
        ({"hidden": True}, "teacher", "observer"),
        ({"hidden": True}, "school", "observer"),
        ({}, "recorder", "assistant"),
        ({}, "king", "assistant"),
    ],
)
def test_a_role_is_what_is_named_and_granted(
    video: dict[str, Any], named: str | None, role: str
) -> None:
    assert granted(video, attributes={"role": named} if named else None).role == role


@pytest.mark.parametrize("role", [r for r in TokenRole if r is not TokenRole.ARCHIVIST])
def test_a_token_is_for_the_role_it_was_made_for(role: TokenRole) -> None:
    assert minted(role).role == role


def test_a_server_needs_no_identity_and_a_member_does() -> None:
    for sub in (None, ""):
        assert verify(token(sub=sub, video={"roomList": True}), KEYS).identity == "portal"
        with pytest.raises(NotAuthenticated, match="identity"):
            verify(token(sub=sub), KEYS)
    with pytest.raises(NotAuthenticated, match="identity"):
        verify(token(sub="w" * 300), KEYS)


def test_a_room_is_administered_by_its_own() -> None:
    granted({"roomAdmin": True}).require_room_admin("math")
    for video, room in (({"roomAdmin": True}, "art"), ({}, "math")):
        with pytest.raises(NotAllowed):
            granted(video).require_room_admin(room)
