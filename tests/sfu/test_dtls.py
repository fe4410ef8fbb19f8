"""Two `Dtls` shake hands over a list; aiortc's own certificate code is the second opinion."""

import contextlib
import random

import pytest
from aiortc.rtcdtlstransport import SRTP_AES128_CM_SHA1_80, RTCCertificate
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.dtls import (
    CIPHERTEXT_MTU,
    SRTP_PROFILES,
    Closed,
    Data,
    Dtls,
    Identity,
    Keys,
    SrtpProfile,
)
from sfu.negotiation import Fingerprint
from tests.sfu.handshake import OURS, THEIRS, carry, datagrams, events, keys, pair, shuttle


def test_both_ends_hold_the_same_keys_the_other_way_round() -> None:
    server, client = pair()
    at_server, at_client = shuttle(server, client)
    assert keys(at_server).profile == "SRTP_AEAD_AES_128_GCM"
    assert keys(at_server).rx == keys(at_client).tx
    assert keys(at_server).tx == keys(at_client).rx
    assert len(keys(at_server).rx) == 28
    assert keys(at_server).rx != keys(at_server).tx


def test_a_servers_keys_come_out_before_the_flight_that_lets_the_peer_send() -> None:
    server, client = pair()
    for sender, receiver in ((client, server), (server, client), (client, server)):
        assert not receiver.complete
        carry(sender, receiver)
    assert server.complete
    assert not client.complete  # the last flight still waits in the server
    assert isinstance(server.poll_event(), Keys)
    carry(server, client)
    assert client.complete


def test_no_datagram_is_larger_than_the_mtu() -> None:
    server, client = pair()
    sent: list[bytes] = []
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            for datagram in datagrams(one):
                sent.append(datagram)
                other.handle_datagram(datagram)
    assert server.state == "connected"
    assert max(map(len, sent)) <= CIPHERTEXT_MTU


def test_data_flows_and_close_is_heard() -> None:
    server, client = pair()
    shuttle(server, client)
    client.send(b"up")
    server.send(b"down")
    at_server, at_client = shuttle(server, client)
    assert at_server == [Data(b"up")]
    assert at_client == [Data(b"down")]
    client.close()
    at_server, _ = shuttle(server, client)
    assert at_server == [Closed("the peer closed the connection")]
    assert server.state == "closed"


def test_a_certificate_that_the_offer_did_not_name_is_refused() -> None:
    server, client = pair(server_expects=Fingerprint("sha-256", "AA:BB"))
    at_server, _ = shuttle(server, client)
    assert at_server == [Closed("the DTLS certificate is not the one the offer named")]
    assert not client.complete  # our Finished has not left


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_each_fingerprint_hash_is_understood(algorithm: str) -> None:
    certificate = RTCCertificate.generateCertificate()
    named = {f.algorithm: f.value for f in certificate.getFingerprints()}
    identity = Identity(certificate._key, certificate._cert)
    server = Dtls(OURS, "server", [Fingerprint(algorithm, named[algorithm].lower())])
    client = Dtls(identity, "client", [OURS.fingerprint])
    client.start()
    shuttle(server, client)
    assert server.state == "connected"


def test_the_strongest_hash_decides() -> None:
    wrong = Fingerprint("sha-512", "00:11")
    server = Dtls(OURS, "server", [THEIRS.fingerprint, wrong])
    client = Dtls(THEIRS, "client", [OURS.fingerprint])
    client.start()
    shuttle(server, client)
    assert server.state == "closed"


def test_a_late_and_doubled_flight_is_taken() -> None:
    server, client = pair()
    lost = datagrams(client)
    assert lost
    delay = client.poll_timeout()
    assert delay is not None
    assert 0 < delay <= 1.0
    # OpenSSL reads the clock itself, so the retransmission is played by hand.
    for datagram in lost + lost:
        server.handle_datagram(datagram)
    shuttle(server, client)
    assert server.state == client.state == "connected"


def test_the_timer_of_a_server_that_heard_nothing_is_off() -> None:
    server, _ = pair()
    assert server.poll_timeout() is None
    server.handle_timeout()
    assert events(server) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_garbage_never_raises(garbage: list[bytes]) -> None:
    server, _ = pair()
    for datagram in garbage:
        server.handle_datagram(datagram)
        events(server)
        datagrams(server)
        server.poll_timeout()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_handshake_never_raises(seed: int) -> None:
    dice = random.Random(seed)
    server, client = pair()
    for _ in range(8):
        for one, other in ((client, server), (server, client)):
            events(one)
            for datagram in datagrams(one):
                damaged = bytearray(datagram)
                if dice.random() < 0.5:
                    damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
                other.handle_datagram(bytes(damaged))
    assert not [e for e in events(server) if isinstance(e, Data)]


def test_garbage_after_the_handshake_changes_nothing() -> None:
    server, client = pair()
    shuttle(server, client)
    server.handle_datagram(b"\x17\xfe\xfd" + bytes(40))
    server.handle_datagram(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28")
    server.handle_datagram(bytes(1500))
    client.send(b"still here")
    at_server, _ = shuttle(server, client)
    assert at_server == [Data(b"still here")]


def test_after_close_nothing_happens() -> None:
    server, client = pair()
    server.close()
    for datagram in datagrams(client):
        server.handle_datagram(datagram)
    server.handle_timeout()
    server.send(b"x")
    server.start()
    assert events(server) == []
    assert datagrams(server) == []


def test_a_peer_without_gcm_gets_the_classic_profile() -> None:
    """GStreamer offers only AES128_CM_SHA1_80."""
    certificate = RTCCertificate.generateCertificate()
    context = certificate._create_ssl_context([SRTP_AES128_CM_SHA1_80])
    (named,) = [f for f in certificate.getFingerprints() if f.algorithm == "sha-256"]
    server = Dtls(OURS, "server", [Fingerprint("sha-256", named.value)])
    peer = SSL.Connection(context)
    peer.set_connect_state()
    for _ in range(6):
        with contextlib.suppress(SSL.WantReadError):
            peer.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            server.handle_datagram(peer.bio_read(65536))
        for datagram in datagrams(server):
            peer.bio_write(datagram)
    found = keys(events(server))
    assert found.profile == "SRTP_AES128_CM_SHA1_80"
    assert len(found.rx) == len(found.tx) == 30


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.name)
def test_an_identity_of_one_profile_agrees_on_no_other(profile: SrtpProfile) -> None:
    picky = Identity.generate(profiles=[profile])
    server = Dtls(OURS, "server", [picky.fingerprint])
    client = Dtls(picky, "client", [OURS.fingerprint])
    client.start()
    heard = shuttle(server, client)
    assert {keys(side).profile for side in heard} == {profile.name}
