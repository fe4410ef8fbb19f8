"""The native plane and libsrtp (through pylibsrtp) on one real socket, both profiles both ways."""

import select
import socket
import struct
from collections.abc import Iterator

import pytest
from aioice import stun
from pylibsrtp import Policy, Session

from sfu import _media
from sfu.config import EngineConfig
from sfu.engine import DowntrackConfig, UptrackConfig
from sfu.negotiation import Codec

PROFILES = {
    "SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
}
PAYLOAD_TYPE = 96
UPLINK_SSRC = 1111
DOWNLINK_SSRC = 2222
PATIENCE = 5.0
"""Seconds until a datagram that does not come is given up."""


class Client:
    """A client with libsrtp's sessions over a plain UDP socket."""

    def __init__(self, engine: _media.Engine, profile: str, name: str) -> None:
        libsrtp_profile, length = PROFILES[profile]
        up, down = (bytes([salt]) * length for salt in name.encode()[:2])
        self.peer = engine.add_peer(0, name, name * 11)
        engine.set_keys(self.peer, profile, up, down)
        outbound, inbound = Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND
        self.sends = Session(Policy(up, outbound, srtp_profile=libsrtp_profile))
        self.receives = Session(Policy(down, inbound, srtp_profile=libsrtp_profile))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", engine.ports[0]))
        self.socket.settimeout(PATIENCE)
        self._check(name)

    def _check(self, name: str) -> None:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{name}:client"
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity((name * 11).encode())
        self.socket.send(bytes(request))
        answer = stun.parse_message(self.socket.recv(2048))
        assert answer.check_message_integrity((name * 11).encode())
        assert answer.message_class is stun.Class.RESPONSE
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == self.socket.getsockname()

    def publish(self, sequence: int, payload: bytes) -> None:
        """One VP8 keyframe in one packet."""
        header = struct.pack("!BBHII", 0x80, 0x80 | PAYLOAD_TYPE, sequence, 3000, UPLINK_SSRC)
        self.socket.send(self.sends.protect(header + payload))

    def received(self) -> bytes:
        """The next RTP packet, opened by libsrtp."""
        while True:
            datagram = self.socket.recv(2048)
            if not 192 <= datagram[1] <= 223:
                return self.receives.unprotect(datagram)

    def received_rtcp(self) -> bytes:
        """The next RTCP packet, opened by libsrtp."""
        while True:
            datagram = self.socket.recv(2048)
            if 192 <= datagram[1] <= 223:
                return self.receives.unprotect_rtcp(datagram)

    def idle(self) -> bool:
        """Whether nothing waits."""
        return not select.select([self.socket], [], [], 0)[0]


Lesson = tuple[Client, Client]


@pytest.fixture
def engine() -> Iterator[_media.Engine]:
    """A native engine on a free port."""
    native = _media.Engine(EngineConfig(host="127.0.0.1", port=0))
    yield native
    native.close()


@pytest.fixture(params=PROFILES)
def lesson(engine: _media.Engine, request: pytest.FixtureRequest) -> Iterator[Lesson]:
    """A teacher and a school, both by libsrtp."""
    profile = str(request.param)
    codec = Codec("VP8", PAYLOAD_TYPE, 90_000, feedback=("nack",))
    teacher, school = Client(engine, profile, "te"), Client(engine, profile, "sc")
    uptrack = engine.add_uptrack(
        teacher.peer, UptrackConfig("video", "0", codec, extensions=(), rids=(), ssrcs=())
    )
    downtrack = engine.add_downtrack(
        school.peer,
        DowntrackConfig(
            "video", "0", codec, extensions=(), ssrc=DOWNLINK_SSRC, rtx_ssrc=None, cname="c"
        ),
    )
    engine.set_source(downtrack, uptrack)
    yield teacher, school
    teacher.socket.close()
    school.socket.close()


def test_media_and_feedback_cross_both_ways(lesson: Lesson) -> None:
    teacher, school = lesson
    keyframe = b"\x10\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
    previous = None
    # Around the wrap: the roll-over count of both sides must agree.
    for step in range(40):
        teacher.publish((65_516 + step) % 65_536, keyframe + bytes([step]) * 900)
        packet = school.received()
        sequence, _, ssrc = struct.unpack("!HII", packet[2:12])
        assert ssrc == DOWNLINK_SSRC
        assert packet[12:] == keyframe + bytes([step]) * 900
        assert previous is None or sequence == previous + 1
        previous = sequence
    # A gap upstream brings a NACK for it, sealed by us and opened by libsrtp.
    teacher.publish(65_516 + 41 - 65_536, keyframe)
    kinds = set()
    while 205 not in kinds:
        kinds.add(teacher.received_rtcp()[1])


def test_what_libsrtp_did_not_seal_is_dropped(engine: _media.Engine, lesson: Lesson) -> None:
    teacher, school = lesson
    forged = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, 7, 3000, UPLINK_SSRC) + bytes(100)
    teacher.socket.send(forged)
    teacher.publish(8, b"\x10\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00")
    school.received()
    assert school.idle()
    shards = engine.stats()["shards"]
    assert isinstance(shards, list)
    assert shards[0]["dropped_unauthentic"] == 1
