"""The helpers that the tests of PyPI's `livekit` import as `utils`: its source distribution has
the tests without them. Made from how the tests call them."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from livekit import rtc

PATIENCE = 60.0
"""Seconds for anything to happen."""
STRETCHING = 90.0
"""Seconds that what the end-to-end encryption's tests wait for may take, whatever they say: after a
wrong key the SDK stretches 132 keys (PBKDF2, 100,000 rounds each) at each of two receivers before
it gives up, which takes more than 20 s of a processor without SHA instructions."""
_DUMMY_FPS = 15
_NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def skip_if_no_credentials() -> Any:
    """A mark for tests that need a server."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not set: {', '.join(missing)}")


def unique_room_name(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


def create_token(identity: str, room: str) -> str:
    now = int(time.time())
    claims = {
        "iss": os.environ["LIVEKIT_API_KEY"],
        "sub": identity,
        "name": identity,
        "nbf": now,
        "exp": now + 3600,
        "video": {"roomJoin": True, "room": room},
    }
    return jwt.encode(claims, os.environ["LIVEKIT_API_SECRET"], algorithm="HS256")


async def connect_room(
    identity: str,
    room_name: str,
    room: rtc.Room | None = None,
    options: rtc.RoomOptions | None = None,
) -> rtc.Room:
    room = room or rtc.Room()
    token = create_token(identity, room_name)
    await room.connect(os.environ["LIVEKIT_URL"], token, options or rtc.RoomOptions())
    return room


async def wait_until(
    holds: Callable[[], Any],
    *,
    timeout: float = PATIENCE,  # noqa: ASYNC109
    message: str = "it did not happen",
) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.05)


async def assert_eventually(
    holds: Callable[[], Any],
    *,
    timeout: float = PATIENCE,  # noqa: ASYNC109
    message: str = "it did not happen",
) -> None:
    await wait_until(holds, timeout=max(timeout, STRETCHING), message=message)


def expect_room_event(
    room: rtc.Room, event: str, predicate: Callable[..., bool] | None = None
) -> "asyncio.Future[tuple[Any, ...]]":
    """The arguments of the event's next occurrence that fits."""
    happened: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

    def heard(*arguments: Any) -> None:
        if not happened.done() and (predicate is None or predicate(*arguments)):
            happened.set_result(arguments)

    room.on(event, heard)
    return happened


async def await_event(happened: Awaitable[Any], timeout: float = PATIENCE) -> Any:  # noqa: ASYNC109
    return await asyncio.wait_for(happened, timeout)


async def ensure_rooms_all_connected(rooms: list[rtc.Room]) -> None:
    """All are connected, and each sees all others."""
    identities = {room.local_participant.identity for room in rooms}

    def together() -> bool:
        return all(
            room.connection_state == rtc.ConnectionState.CONN_CONNECTED
            and set(room.remote_participants) >= identities - {room.local_participant.identity}
            for room in rooms
        )

    await wait_until(together, message="not everybody sees everybody")


async def ensure_participants_visible(room: rtc.Room, identities: list[str]) -> None:
    await wait_until(
        lambda: set(room.remote_participants) >= set(identities), message="somebody is not seen"
    )


async def ensure_track_subscribed(room: rtc.Room, sid: str) -> rtc.RemoteTrackPublication:
    found: list[rtc.RemoteTrackPublication] = []

    def subscribed() -> bool:
        for participant in room.remote_participants.values():
            publication = participant.track_publications.get(sid)
            if publication is not None and publication.track is not None:
                found.append(publication)
        return bool(found)

    await wait_until(subscribed, message=f"{sid} was not subscribed")
    return found[0]


async def publish_dummy_video(source: rtc.VideoSource, stop: asyncio.Event) -> None:
    """A picture that changes, until it is stopped."""
    width, height, number = 320, 180, 0
    while not stop.is_set():
        number += 1
        pixels = bytes((number * 5 % 256, 80, 160, 255)) * (width * height)
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels))
        await asyncio.sleep(1 / _DUMMY_FPS)
