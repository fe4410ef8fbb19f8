"""What a DTLS client of ours may do a round trip before its handshake is complete."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from sfu.dtls import Closed, Data, Dtls
from sfu.negotiation import Fingerprint
from tests.sfu.handshake import OURS, carry, datagrams, events, keys, pair, shuttle


def keyed() -> tuple[Dtls, Dtls]:
    """A client with its keys, whose last flight has not left."""
    server, client = pair()
    carry(client, server)
    carry(server, client)
    return server, client


def test_the_keys_come_with_our_finished_and_before_the_peers() -> None:
    server, client = keyed()
    early = keys(events(client))
    assert client.state == "connected"
    assert not client.complete
    assert server.state == "connecting"
    carry(client, server)
    at_server = keys(events(server))
    assert (early.rx, early.tx) == (at_server.tx, at_server.rx)
    carry(server, client)
    assert client.complete
    assert events(client) == []  # they are said once


def test_a_certificate_that_the_offer_did_not_name_gets_no_answer() -> None:
    server, client = pair(client_expects=Fingerprint("sha-256", "AA:BB"))
    carry(client, server)
    carry(server, client)
    assert events(client) == [Closed("the DTLS certificate is not the one the offer named")]
    assert datagrams(client) == []
    client.handle_timeout()
    client.send(b"x")
    assert datagrams(client) == []
    assert client.poll_timeout() is None
    assert server.state == "connecting"


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def self_signed(key: Key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


class Plain:
    """A server by OpenSSL alone."""

    def __init__(self, key: Key | None = None, *, srtp: bool = True, likes_us: bool = True) -> None:
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = self_signed(key)
        digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self.fingerprint = Fingerprint("sha-256", digest)
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: likes_us)
        if srtp:
            context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
        self.ssl = SSL.Connection(context)
        self.ssl.set_ciphertext_mtu(1200)
        self.ssl.set_accept_state()

    def exchange(self, client: Dtls) -> None:
        for datagram in datagrams(client):
            self.ssl.bio_write(datagram)
        with contextlib.suppress(SSL.Error):
            self.ssl.do_handshake()
        with contextlib.suppress(SSL.Error):
            client.handle_datagram(self.ssl.bio_read(65536))


def test_a_peer_without_srtp_gets_no_answer() -> None:
    peer = Plain(srtp=False)
    client = Dtls(OURS, "client", [peer.fingerprint])
    client.start()
    peer.exchange(client)
    assert events(client) == [Closed("the peer shares no SRTP profile with us")]
    assert datagrams(client) == []


def test_a_server_may_have_an_rsa_certificate() -> None:
    """As GStreamer's webrtcbin."""
    peer = Plain(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    client = Dtls(OURS, "client", [peer.fingerprint])
    client.start()
    peer.exchange(client)
    assert keys(events(client)).profile == "SRTP_AEAD_AES_128_GCM"
    peer.exchange(client)
    assert client.complete


def test_a_handshake_may_still_fail_after_the_keys() -> None:
    peer = Plain(likes_us=False)
    client = Dtls(OURS, "client", [peer.fingerprint])
    client.start()
    peer.exchange(client)
    assert keys(events(client)).profile == "SRTP_AEAD_AES_128_GCM"
    peer.exchange(client)
    (closed,) = events(client)
    assert isinstance(closed, Closed)
    assert closed.reason.startswith("the DTLS handshake failed (")
    assert client.state == "closed"
    assert client.poll_timeout() is None


def test_data_waits_for_the_end_of_the_handshake_and_no_more_than_a_little() -> None:
    server, client = keyed()
    for number in range(40):
        client.send(bytes([number]))
    at_server, _ = shuttle(server, client)
    data = [event.payload for event in at_server if isinstance(event, Data)]
    assert data == [bytes([number]) for number in range(16)]
    client.send(b"later")
    assert shuttle(server, client)[0] == [Data(b"later")]


def test_data_that_overtakes_the_peers_finished_is_not_lost() -> None:
    server, client = keyed()
    events(client)
    carry(client, server)
    last = datagrams(server)
    server.send(b"early")
    carry(server, client)
    assert events(client) == []
    for datagram in last:
        client.handle_datagram(datagram)
    assert client.complete
    assert events(client) == [Data(b"early")]


def test_goodbye_before_the_end_of_the_handshake_is_silent() -> None:
    _, client = keyed()
    datagrams(client)
    client.close()
    assert datagrams(client) == []
    assert client.state == "closed"


@pytest.mark.parametrize("lost", range(3))
def test_a_lost_flight_is_repeated_soon_and_as_it_was(lost: int) -> None:
    server, client = pair()
    flights = ((client, server), (server, client), (client, server), (server, client))
    for index, (sender, receiver) in enumerate(flights):
        flight = datagrams(sender)
        assert flight
        if index == lost:
            delay = sender.poll_timeout()
            assert delay is not None
            assert delay <= 0.5
            sender.handle_timeout()
            assert datagrams(sender) == flight
        for datagram in flight:
            receiver.handle_datagram(datagram)
    assert server.complete
    assert client.complete


def test_a_flight_is_repeated_once_and_then_by_openssls_timer() -> None:
    _, client = pair()
    assert datagrams(client)
    client.handle_timeout()
    assert datagrams(client)
    delay = client.poll_timeout()
    assert delay is not None
    assert delay > 0.5
    client.handle_timeout()  # too early: OpenSSL sees by its own clock
    assert datagrams(client) == []


def test_doubled_flights_change_nothing() -> None:
    server, client = pair()
    for sender, receiver in ((client, server), (server, client)) * 2:
        for datagram in datagrams(sender) * 2:
            receiver.handle_datagram(datagram)
    assert server.complete
    assert client.complete
    assert keys(events(client)).rx == keys(events(server)).tx


def test_what_is_answered_is_not_repeated() -> None:
    server, client = pair()
    shuttle(server, client)
    assert client.poll_timeout() is None
    assert server.poll_timeout() is None
    client.handle_timeout()
    server.handle_timeout()
    assert datagrams(client) == datagrams(server) == []
