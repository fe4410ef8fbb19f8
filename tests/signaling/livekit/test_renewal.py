"""Tokens with which members come back: they say no more than the lesson does."""

from dataclasses import replace
from typing import Any

import pytest

from signaling.auth import MAX_TOKEN, Permissions, TokenRole, mint, verify
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import unix_now
from signaling.events import NOTHING, SPOKEN, Member, Role
from signaling.grants import grants_of
from signaling.livekit import session as sessions
from signaling.livekit.renewal import LIFETIME, renewed
from tests.signaling.conftest import House, token
from tests.signaling.livekit.client import Client

KEYS = {"other": "x" * 32, DEV_KEY: DEV_SECRET}


def came(role: str = "school", ttl: float = 60, **more: Any) -> tuple[Permissions, Member]:
    """Somebody who has just joined with a token of these."""
    settings: dict[str, Any] = {"identity": "ann", "name": "Ann", "lesson": "math", **more}
    text = mint(DEV_KEY, DEV_SECRET, role=TokenRole(role), ttl=ttl, now=unix_now(), **settings)
    who = verify(text, KEYS)
    grants = grants_of(who)
    said = (who.metadata, who.attributes)
    return who, Member("s", who.identity, Role(who.role), who.name, grants, *said)


def again(who: Permissions, member: Member, now: float | None = None) -> Permissions:
    return verify(renewed(who, member, DEV_SECRET, now or unix_now()), KEYS)


@pytest.mark.parametrize("role", ["teacher", "assistant", "school", "observer", "recorder"])
def test_who_has_not_changed_is_the_same_again(role: str) -> None:
    who, member = came(
        role, site="hilltop", metadata="tall", attributes={"grade": "5"}, grants={"roomList": True}
    )
    now = unix_now()
    assert again(who, member, now) == replace(who, expires=int(now + LIFETIME))


def test_a_token_is_never_cut_short() -> None:
    who, member = came(ttl=6 * 3600)
    assert again(who, member).expires == who.expires


def test_authority_has_the_last_word() -> None:
    who, member = came("assistant", grants={"canUpdateOwnMetadata": True})
    less = replace(member.grants, publish=SPOKEN, data=False)
    found = again(who, replace(member, grants=less, name="Anna", metadata="new"))
    assert (found.publish_sources, found.publish_data) == (SPOKEN, False)
    assert (found.name, found.metadata, found.update_own_metadata) == ("Anna", "new", True)
    silent = replace(member, role=Role.SCHOOL, grants=replace(less, publish=NOTHING))
    found = again(who, silent)
    assert (found.role, found.publish) == (Role.SCHOOL, False)
    assert again(who, replace(member, role=Role.SCHOOL)).role == Role.SCHOOL


def test_nobody_gives_itself_a_role_or_a_site() -> None:
    who, member = came("assistant")
    found = again(who, replace(member, attributes={"role": "teacher", "site": "x", "mood": "fine"}))
    assert (found.role, found.site, found.attributes["mood"]) == (Role.ASSISTANT, "", "fine")


def test_what_no_token_carries_stays_as_it_was() -> None:
    who, member = came(metadata="short")
    text = renewed(who, replace(member, metadata="x" * MAX_TOKEN), DEV_SECRET, unix_now())
    assert verify(text, KEYS).metadata == "short"


async def test_a_participant_gets_one_and_comes_back_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RENEW_EVERY", 0.05)
    ann = Client(house, "ann")
    await ann.connect(token("assistant", identity="ann", ttl=60))
    first = verify(await ann.hear("refresh_token"), KEYS)
    assert (first.identity, first.role, first.room) == ("ann", "assistant", "math")
    assert first.expires > unix_now() + LIFETIME - 30
    newest = await ann.hear("refresh_token")
    await ann.socket.close()
    await ann.connect(newest)
    assert (await ann.hear("join")).participant.identity == "ann"
    await ann.socket.close()
