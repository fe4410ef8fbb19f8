"""What viewers are sent, from what the native plane tells to the commands it gets."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sfu.allocation import ladder
from sfu.engine import DowntrackConfig, Engine, UptrackConfig
from sfu.negotiation import Codec
from signaling.delivery import Budgets, Cap, Delivery, playout_delay
from signaling.events import Watch
from tests import fake_media
from tests.fake_media import FakeEngine

CAMERA_RATES = [(0, 0, 0, 120_000), (1, 0, 0, 400_000), (2, 0, 0, 1_400_000)]


class Handler:
    def on_dtls(self, datagram: bytes) -> None: ...
    def on_reachable(self, host: str, port: int) -> None: ...
    def on_consent_lost(self) -> None: ...


class VirtualLoop:
    """An event loop's clock and timers, in no time."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any, *arguments: Any) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        timer = asyncio.TimerHandle(self.now + delay, callback, arguments, loop)
        self._timers.append((self.now + delay, timer))
        return timer

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while due := sorted((at, id(t), t) for at, t in self._timers if at <= until):
            self.now, _, timer = due[0]
            self._timers = [(at, t) for at, t in self._timers if t is not timer]
            if not timer.cancelled():
                timer._run()  # type: ignore[attr-defined]
        self.now = until


@dataclass
class Viewer:
    """What `Delivery` needs of a session."""

    id: str
    peer: int
    watches: list[Watch]
    site: str = ""
    tells_arrivals: bool = True
    tracks: list[object] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)

    def notify(self, label: str, message: Any) -> bool:
        self.heard.append(message)
        return True

    def stream_state(self, downtrack: int, *, paused: bool) -> None:
        source = next(watch.source for watch in self.watches if watch.downtrack == downtrack)
        state = "paused" if paused else "playing"
        self.heard.append({"type": "quality", "source": source, "state": state})


class Lesson:
    """A teacher's camera and slides, and whoever watches them."""

    def __init__(self, budgets: Budgets) -> None:
        self.native = FakeEngine()
        self.loop = VirtualLoop()
        self.engine = Engine(self.native, asyncio.get_running_loop())  # type: ignore[arg-type]
        self.delivery = Delivery(self.engine, self.loop, budgets)  # type: ignore[arg-type]
        teacher = self.engine.add_peer("u", "p", Handler())
        track = UptrackConfig("video", "0", Codec("VP8", 96, 90_000), ())
        self.camera, self.slides = (
            self.engine.add_uptrack(teacher, track, lambda rid, ssrc: None) for _ in range(2)
        )
        self.delivery.publish([self.camera, self.slides])

    def seat(self, name: str, **details: Any) -> Viewer:
        peer = self.engine.add_peer(name, "p", Handler())
        config = DowntrackConfig("video", "0", Codec("VP8", 96, 90_000), (), 1, 2, "c")
        downtracks = [self.engine.add_downtrack(peer, config) for _ in range(2)]
        sources = zip(downtracks, ("camera", "slides"), strict=True)
        watches = [Watch(name, downtrack, source, "VP8") for downtrack, source in sources]
        viewer = Viewer(name, peer, watches, **details)
        self.delivery.add(viewer)  # type: ignore[arg-type]
        self.delivery.feed(zip(downtracks, (self.camera, self.slides), strict=True))
        return viewer

    async def hear(self, *events: object) -> None:
        self.native.say(*events)
        for _ in range(3):  # turns of the loop: to find them, to dispatch them
            await asyncio.sleep(0)
        assert not self.native.has_more_to_say

    def limit(self, viewer: Viewer) -> tuple[int, int, int] | None:
        """The layer of the camera that this viewer gets; None when it is paused."""
        downtrack = viewer.watches[0].downtrack
        pauses = [paused for track, paused in self.native.told("set_paused") if track == downtrack]
        if pauses and pauses[-1]:
            return None
        limits = [layer for track, *layer in self.native.told("set_limit") if track == downtrack]
        return tuple(limits[-1])


async def test_each_viewer_gets_what_its_own_line_carries() -> None:
    lesson = Lesson(Budgets())
    narrow, wide = lesson.seat("narrow"), lesson.seat("wide")
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LayersChanged(lesson.slides, [(0, 0, 0, 150_000)]),
        fake_media.LinkChanged(narrow.peer, 350_000),
        fake_media.LinkChanged(wide.peer, 9_000_000),
    )
    lesson.loop.advance(6)  # an estimate has time to find out, and a step up waits a little
    assert lesson.limit(narrow) == (0, 0, 0)
    assert lesson.limit(wide) == (2, 0, 0)
    await lesson.engine.close()


async def test_a_camera_that_does_not_fit_is_paused_and_the_viewer_is_told() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("narrow")
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LayersChanged(lesson.slides, [(0, 0, 0, 150_000)]),
        fake_media.LinkChanged(viewer.peer, 200_000),
    )
    lesson.loop.advance(5)  # an estimate has time to find out
    assert lesson.limit(viewer) is None
    said = [message for message in viewer.heard if message["type"] == "quality"]
    assert said == [{"type": "quality", "source": "camera", "state": "paused"}]
    await lesson.hear(fake_media.LinkChanged(viewer.peer, 2_000_000))
    lesson.loop.advance(2)
    assert lesson.limit(viewer) is not None
    assert viewer.heard[-1] == {"type": "quality", "source": "camera", "state": "playing"}
    await lesson.engine.close()


async def test_a_viewer_gets_no_more_than_it_asks_for() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("wide")
    camera = viewer.watches[0].downtrack
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LinkChanged(viewer.peer, 9_000_000),
    )
    lesson.loop.advance(6)
    lesson.delivery.cap("wide", camera, Cap(stream=1))
    assert lesson.limit(viewer) == (1, 0, 0)
    assert lesson.native.told("set_wanted")[-1][1] < 1_400_000
    lesson.delivery.cap("wide", camera, Cap(paused=True))
    assert lesson.limit(viewer) is None
    lesson.delivery.cap("wide", camera, Cap())
    lesson.loop.advance(6)
    assert lesson.limit(viewer) == (2, 0, 0)
    assert [message for message in viewer.heard if message["type"] == "quality"] == []
    await lesson.engine.close()


async def test_what_a_viewer_chooses_comes_at_once_however_often_it_chose() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("wide")
    camera = viewer.watches[0].downtrack
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LinkChanged(viewer.peer, 9_000_000),
    )
    lesson.loop.advance(6)
    for stream in (0, 1, 2) * 5:
        lesson.delivery.cap("wide", camera, Cap(stream=stream))
        assert lesson.limit(viewer) == (stream, 0, 0)
        lesson.loop.advance(1)
    await lesson.hear(fake_media.LinkChanged(viewer.peer, 700_000))
    assert lesson.limit(viewer) == (1, 0, 0)  # the line has the last word
    await lesson.hear(fake_media.LinkChanged(viewer.peer, 9_000_000))
    assert lesson.limit(viewer) == (1, 0, 0)
    await lesson.engine.close()


async def test_what_a_viewer_rests_is_no_demand_and_stays_at_rest() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("narrow")
    camera = viewer.watches[0].downtrack
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LayersChanged(lesson.slides, [(0, 0, 0, 150_000)]),
    )
    lesson.delivery.cap("narrow", camera, Cap(paused=True))
    await lesson.hear(fake_media.LinkChanged(viewer.peer, 9_000_000))
    lesson.loop.advance(6)
    assert lesson.limit(viewer) is None
    await lesson.engine.close()


async def test_tracks_come_and_go() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("one")
    await lesson.hear(fake_media.LayersChanged(lesson.camera, CAMERA_RATES))
    wanted = lesson.native.told("set_wanted")[-1][1]
    more = lesson.engine.add_downtrack(
        viewer.peer,
        DowntrackConfig("video", "9", Codec("VP8", 96, 90_000), (), 3, 4, "c"),
    )
    lesson.delivery.watch("one", more, "unknown")
    lesson.delivery.feed([(more, lesson.camera)])
    assert lesson.native.told("set_wanted")[-1][1] > wanted + 1_400_000
    lesson.delivery.unwatch("one", more)
    assert lesson.native.told("set_wanted")[-1][1] == wanted
    lesson.delivery.unwatch("one", more)
    lesson.delivery.watch("nobody", more, "camera")
    lesson.delivery.cap("nobody", more, Cap())
    await lesson.engine.close()


def test_a_cap_leaves_what_costs_no_more() -> None:
    steps = ladder([(0, 0, 0, 100), (0, 0, 1, 150), (1, 0, 0, 300), (1, 0, 1, 500), (2, 0, 1, 900)])
    assert [layer.bits_per_second for layer in Cap(stream=1).apply(steps)][-1] == 500
    assert [layer.bits_per_second for layer in Cap(stream=1, temporal=0).apply(steps)][-1] == 300
    assert Cap(stream=7).apply(steps) == steps  # it is not being sent
    assert Cap().apply(steps) == steps


async def test_what_was_said_before_a_channel_was_open_is_said_again() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("far")
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        fake_media.LinkChanged(viewer.peer, 90_000, rtt=0.6),
    )
    lesson.loop.advance(5)
    latest = {message["type"]: message for message in viewer.heard}
    viewer.heard = []
    lesson.delivery.say_again(viewer)  # type: ignore[arg-type]
    assert {message["type"]: message for message in viewer.heard} == latest
    await lesson.engine.close()


async def test_classrooms_of_one_school_share_its_line() -> None:
    lesson = Lesson(Budgets(sites={"hilltop": 1_000_000}))
    rooms = [lesson.seat(f"room{number}", site="hilltop") for number in range(2)]
    elsewhere = lesson.seat("elsewhere", site="valley")
    await lesson.hear(
        fake_media.LayersChanged(lesson.camera, CAMERA_RATES),
        *(fake_media.LinkChanged(room.peer, 9_000_000) for room in (*rooms, elsewhere)),
    )
    lesson.loop.advance(2)
    assert [lesson.limit(room) for room in rooms] == [(1, 0, 0), (1, 0, 0)]
    assert lesson.limit(elsewhere) == (2, 0, 0)
    lesson.delivery.remove(rooms[0])  # type: ignore[arg-type]
    await lesson.hear(fake_media.LinkChanged(rooms[1].peer, 8_000_000))
    assert lesson.limit(rooms[1]) == (1, 0, 0)  # what is free is not enough for the best layer
    await lesson.engine.close()


async def test_the_native_plane_is_told_what_is_worth_probing_for() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("one")
    await lesson.hear(fake_media.LayersChanged(lesson.camera, CAMERA_RATES))
    peer, wanted = lesson.native.told("set_wanted")[-1]
    assert peer == viewer.peer
    assert wanted > 1_400_000
    await lesson.engine.close()


async def test_a_far_listener_waits_for_repairs_step_by_step() -> None:
    lesson = Lesson(Budgets())
    viewer = lesson.seat("far")
    for rtt in (0.62, 0.61, 0.63, 0.62):
        await lesson.hear(fake_media.LinkChanged(viewer.peer, 2_000_000, rtt=rtt))
    lesson.loop.advance(20)
    told = lesson.native.told("set_playout_delay")
    camera, _ = viewer.watches
    assert {(downtrack, most) for downtrack, _, most in told} == {(camera.downtrack, 10.0)}
    delays = [least for _, least, _ in told]
    assert delays == [round(step / 10, 2) for step in range(len(delays))]
    assert 1.0 <= delays[-1] <= 1.2
    assert {"type": "playout", "delay": delays[-1]} in viewer.heard
    await lesson.engine.close()


async def test_a_listener_whose_line_loses_waits_until_it_has_lost_nothing_for_a_minute() -> None:
    lesson = Lesson(Budgets())
    near = lesson.seat("near")
    for loss in (0.0, 0.003, *[0.001] * 6):
        await lesson.hear(fake_media.LinkChanged(near.peer, 900_000, rtt=0.08, loss=loss))
        lesson.loop.advance(10)
    least = [least for _, least, _ in lesson.native.told("set_playout_delay")]
    assert least == [*(step / 10 for step in range(6)), 0.0]
    await lesson.engine.close()


async def test_a_listener_by_tcp_waits_though_nothing_is_lost() -> None:
    lesson = Lesson(Budgets())
    near = lesson.seat("near")
    await lesson.hear(fake_media.LinkChanged(near.peer, 900_000, rtt=0.03, tcp=True))
    lesson.loop.advance(10)
    assert lesson.native.told("set_playout_delay")[-1][1] == 0.5
    await lesson.engine.close()


@given(rtt=st.floats(0, 60), lossy=st.booleans())
def test_who_speaks_never_waits_and_who_listens_waits_for_a_repair(rtt: float, lossy: bool) -> None:
    assert playout_delay(rtt, lossy=lossy, speaks=True) == 0
    least = playout_delay(rtt, lossy=lossy, speaks=False)
    assert 0 <= least <= 10
    if (lossy or rtt >= 0.25) and rtt < 9:
        assert least >= rtt + 0.4 - 1e-9
