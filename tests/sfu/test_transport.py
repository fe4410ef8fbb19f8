import asyncio
from collections.abc import AsyncIterator

import pytest

from sfu.dtls import Dtls, Identity
from sfu.engine import Engine
from sfu.transport import Transport, make_credentials
from tests import fake_media
from tests.fake_media import FakeEngine

OURS, THEIRS = Identity.generate(), Identity.generate()


class Handler:
    """Notes what it hears, and how many datagrams had left by then."""

    def __init__(self, native: FakeEngine) -> None:
        self._native = native
        self.heard: list[object] = []
        self.sent_before_connected = -1
        self.closed = asyncio.Event()

    def on_reachable(self) -> None:
        self.heard.append("reachable")

    def on_connected(self) -> None:
        self.heard.append("connected")
        self.sent_before_connected = len(self._native.told("send_dtls"))

    def on_data(self, payload: bytes) -> None:
        self.heard.append(payload)

    def on_closed(self, reason: str) -> None:
        self.heard.append(reason)
        self.closed.set()


@pytest.fixture
async def native() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def engine(native: FakeEngine) -> AsyncIterator[Engine]:
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    yield engine
    await engine.close()


def shake(native: FakeEngine, transport: Transport, theirs: Dtls) -> None:
    """Carry datagrams until neither side has any, as the native plane would."""
    for _ in range(10):
        while theirs.poll_event() is not None:
            pass
        for datagram in iter(theirs.poll_transmit, None):
            transport.on_dtls(datagram)
        outbox = native.outbox[transport.peer]
        while outbox:
            theirs.handle_datagram(outbox.popleft())


async def test_a_server_has_its_keys_native_before_its_last_flight(
    native: FakeEngine, engine: Engine
) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "server", [THEIRS.fingerprint]), handler)
    theirs = Dtls(THEIRS, "client", [OURS.fingerprint])
    theirs.start()
    shake(native, transport, theirs)
    assert handler.heard == ["connected"]
    assert transport.connected
    names = [command[0] for command in native.commands]
    assert handler.sent_before_connected == names[: names.index("set_keys")].count("send_dtls")
    assert "send_dtls" in names[names.index("set_keys") :]
    ((_, profile, rx, tx),) = native.told("set_keys")
    assert profile == "SRTP_AEAD_AES_128_GCM"
    assert len(rx) == len(tx) == 28
    transport.close()


def meet(native: FakeEngine, transport: Transport, theirs: Dtls) -> None:
    """Our client is reached and has the peer's first flight, but not its last."""
    transport.on_reachable("127.0.0.1", 9)
    deliver(native, transport, theirs)
    for datagram in iter(theirs.poll_transmit, None):
        transport.on_dtls(datagram)


def deliver(native: FakeEngine, transport: Transport, theirs: Dtls) -> None:
    """What we have sent reaches the peer."""
    while native.outbox[transport.peer]:
        theirs.handle_datagram(native.outbox[transport.peer].popleft())


async def test_a_client_is_connected_when_its_last_flight_has_left(
    native: FakeEngine, engine: Engine
) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "client", [THEIRS.fingerprint]), handler)
    theirs = Dtls(THEIRS, "server", [OURS.fingerprint])
    meet(native, transport, theirs)
    assert handler.heard == ["reachable", "connected"]
    assert transport.connected
    assert theirs.state == "connecting"
    names = [command[0] for command in native.commands]
    assert names == ["add_peer", "send_dtls", "send_dtls", "set_keys"]
    deliver(native, transport, theirs)
    assert theirs.complete  # it can read whatever follows
    shake(native, transport, theirs)
    assert handler.heard == ["reachable", "connected"]
    assert len(native.told("set_keys")) == 1
    transport.close()


async def test_a_client_whose_handshake_never_ends_is_dropped(
    native: FakeEngine, engine: Engine
) -> None:
    handler = Handler(native)
    dtls = Dtls(OURS, "client", [THEIRS.fingerprint])
    transport = Transport(engine, dtls, handler, timeout=0.01)
    meet(native, transport, Dtls(THEIRS, "server", [OURS.fingerprint]))
    await handler.closed.wait()
    assert handler.heard == ["reachable", "connected", "the peer did not connect in time"]
    assert native.peers == {}


async def test_a_client_tells_a_stranger_nothing(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "client", [OURS.fingerprint]), handler)
    meet(native, transport, Dtls(THEIRS, "server", [OURS.fingerprint]))
    assert handler.heard == ["reachable", "the DTLS certificate is not the one the offer named"]
    assert [command[0] for command in native.commands] == ["add_peer", "send_dtls", "remove_peer"]


async def test_a_lost_hello_is_said_again(
    native: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = asyncio.Event()
    plain = native.send_dtls

    def send_dtls(peer: int, datagram: bytes) -> None:
        plain(peer, datagram)
        if len(native.told("send_dtls")) == 2:
            again.set()

    monkeypatch.setattr(native, "send_dtls", send_dtls)
    dtls = Dtls(OURS, "client", [THEIRS.fingerprint])
    transport = Transport(engine, dtls, Handler(native))
    transport.on_reachable("127.0.0.1", 9)
    await again.wait()
    (_, lost), (_, repeated) = native.told("send_dtls")
    assert repeated == lost
    transport.close()


async def test_close_says_goodbye_and_forgets_the_peer(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "server", [THEIRS.fingerprint]), handler)
    theirs = Dtls(THEIRS, "client", [OURS.fingerprint])
    theirs.start()
    shake(native, transport, theirs)
    transport.close()
    transport.close()
    assert [command[0] for command in native.commands[-2:]] == ["send_dtls", "remove_peer"]
    theirs.handle_datagram(native.outbox[transport.peer].popleft())
    assert theirs.state == "closed"
    assert handler.heard == ["connected"]


async def test_the_peers_goodbye_is_heard_once(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "server", [THEIRS.fingerprint]), handler)
    theirs = Dtls(THEIRS, "client", [OURS.fingerprint])
    theirs.start()
    shake(native, transport, theirs)
    theirs.close()
    shake(native, transport, theirs)
    transport.on_consent_lost()
    assert handler.heard[:2] == ["connected", "the peer closed the connection"]


async def test_lost_consent_closes(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "server", [THEIRS.fingerprint]), handler)
    native.say(fake_media.ConsentLost(transport.peer))
    await handler.closed.wait()
    assert handler.heard == ["the peer's connectivity checks stopped"]
    assert native.peers == {}


async def test_a_peer_that_never_connects_is_dropped(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    dtls = Dtls(OURS, "server", [THEIRS.fingerprint])
    Transport(engine, dtls, handler, timeout=0.01)
    await handler.closed.wait()
    assert handler.heard == ["the peer did not connect in time"]
    assert native.peers == {}


async def test_a_failed_handshake_sends_its_alert(native: FakeEngine, engine: Engine) -> None:
    handler = Handler(native)
    transport = Transport(engine, Dtls(OURS, "server", [OURS.fingerprint]), handler)
    theirs = Dtls(THEIRS, "client", [OURS.fingerprint])
    theirs.start()
    shake(native, transport, theirs)
    assert handler.heard == ["the DTLS certificate is not the one the offer named"]
    assert native.told("set_keys") == []


async def test_ice_restart_gives_new_credentials(native: FakeEngine, engine: Engine) -> None:
    transport = Transport(engine, Dtls(OURS, "server", []), Handler(native))
    before = transport.credentials
    after = transport.restart_ice()
    assert before.ufrag != after.ufrag
    assert native.told("rotate_credentials") == [(transport.peer, after.ufrag, after.pwd)]
    transport.close()


def test_credentials_are_ice_chars_and_long_enough() -> None:
    one, other = make_credentials(), make_credentials()
    assert one.ufrag != other.ufrag
    assert one.ufrag.isalnum()
    assert len(one.pwd) >= 22
    assert one.pwd.isalnum()
    assert one.pwd not in repr(one)


@pytest.mark.parametrize("our_role", ["server", "client"])
async def test_a_peer_may_shake_hands_before_its_answer_is_here(
    native: FakeEngine, engine: Engine, our_role: str
) -> None:
    handler = Handler(native)
    role = "server" if our_role == "server" else "client"
    transport = Transport(engine, None, handler)
    theirs = Dtls(THEIRS, "client" if role == "server" else "server", [OURS.fingerprint])
    theirs.start()
    transport.on_reachable("127.0.0.1", 9)
    shake(native, transport, theirs)
    assert not transport.connected
    transport.send(b"too early")
    transport.secure(Dtls(OURS, role, [THEIRS.fingerprint]))
    shake(native, transport, theirs)
    assert transport.connected
    assert handler.heard == ["reachable", "connected"]
    transport.close()


async def test_a_peer_without_an_answer_is_closed_like_any_other(
    native: FakeEngine, engine: Engine
) -> None:
    handler = Handler(native)
    transport = Transport(engine, None, handler)
    for _ in range(100):
        transport.on_dtls(b"\x16" * 100)
    transport.close()
    transport.close()
    assert native.peers == {}
    assert handler.heard == []
