"""DTLS with one peer, sans-IO: datagrams and timeouts in, datagrams and events out.

Whoever drives a `Dtls` as a server keeps one contract: **take all events before transmitting**. The
SRTP keys come out as an event, and the last handshake flight is what makes the peer send SRTP: were
the flight to leave first, the first media packets would race the keys and be lost.

As a client the keys come a round trip before the handshake is complete, with our own Finished (the
idea of RFC 7918): the peer is known by then, by its signature over the key exchange and by its
certificate's fingerprint. It can read our media once it has that flight, so **the flight is
transmitted at `Keys`**, ahead of all media. Should the handshake fail afterwards, `Closed` follows.

DTLS is pinned to 1.2 (RFC 6347): its flights fit our MTU, and it is what every WebRTC peer of
today agrees to. Certificates are self-signed; what counts is the fingerprint from the signaling
(RFC 8122), so the chain is not verified.
"""

import contextlib
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from OpenSSL.crypto import X509

from sfu.negotiation import Fingerprint, Role

CIPHERTEXT_MTU = 1200
"""Bytes of DTLS per datagram: passes every path WebRTC meets (RFC 8261 assumes 1280 with IP)."""
MAX_PLAINTEXT = 16384
"""Bytes of one DTLS record at most (RFC 6347, section 4.1)."""

_DTLS_1_2 = 0xFEFD
# Ours is an ECDSA certificate (RFC 8827, section 6.5); GStreamer's as a server is an RSA one.
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA"
)
_RECORD_HEADER = 13
_REPEAT_AFTER = 0.4
"""Seconds after which a flight without a reply is sent again, once and as it was (a peer that has
it drops the double: RFC 6347, section 4.1.2.6). OpenSSL's own timer, which pyOpenSSL cannot set,
begins at 1 s."""
_MAX_WAITING = 16
"""Records that wait for the handshake to be complete; more are dropped, as UDP might."""
_HASHES = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256"}
"""As SDP and as OpenSSL spell them, the strongest first."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A protection profile of RFC 5764 / RFC 7714, and what it takes from the exporter."""

    name: str
    key_length: int
    salt_length: int

    def split(self, material: bytes) -> tuple[bytes, bytes]:
        """Exported material to (client's, server's) key + salt (RFC 5764, section 4.2)."""
        key, salt = self.key_length, self.salt_length
        client_salt = 2 * key
        server_salt = client_salt + salt
        client = material[:key] + material[client_salt:server_salt]
        server = material[key : 2 * key] + material[server_salt : server_salt + salt]
        return client, server


# In this order: GCM is the cheaper one for us, and GStreamer speaks only the other.
AEAD_AES_128_GCM = SrtpProfile("SRTP_AEAD_AES_128_GCM", key_length=16, salt_length=12)
AES128_CM_SHA1_80 = SrtpProfile("SRTP_AES128_CM_SHA1_80", key_length=16, salt_length=14)
SRTP_PROFILES = (AEAD_AES_128_GCM, AES128_CM_SHA1_80)


class Identity:
    """The node's certificate and the one SSL context all its peers share."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        profiles: Sequence[SrtpProfile] = SRTP_PROFILES,
    ) -> None:
        self.context = _context(key, certificate, profiles)
        self.fingerprint = Fingerprint(
            "sha-256", certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        )

    @classmethod
    def generate(cls, profiles: Sequence[SrtpProfile] = SRTP_PROFILES) -> "Identity":
        """A fresh ECDSA P-256 key with a self-signed certificate (RFC 8827, section 6.5).

        `profiles` are agreed on, or nothing is.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            # Lives as long as the process; peers check the fingerprint, not the dates.
            .not_valid_after(now + timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate, profiles)


@dataclass(frozen=True, slots=True)
class Keys:
    """Media may flow: SRTP master key + salt of each direction. Said once."""

    profile: str
    rx: bytes
    tx: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """One decrypted record: for WebRTC, an SCTP packet (RFC 8261)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The association is over; nothing follows. `reason` is a short sentence."""

    reason: str


DtlsEvent = Keys | Data | Closed


class Dtls:
    """One DTLS association with one peer, sans-IO.

    In: `start`, `handle_datagram`, `handle_timeout`, `send`, `close`. None of them raises.
    Out: `poll_event` until None, then `poll_transmit` until None, then `poll_timeout`.
    """

    def __init__(self, identity: Identity, role: Role, fingerprints: Sequence[Fingerprint]) -> None:
        self.role: Role = role
        self.state: Literal["connecting", "connected", "closed"] = "connecting"
        """Connected from the keys on."""
        self.complete = False
        """Whether the handshake has come to its end; a client is connected before."""
        self._fingerprints = fingerprints
        self._events: deque[DtlsEvent] = deque()
        self._outgoing: deque[bytes] = deque()
        self._waiting: list[bytes] = []
        self._unanswered: list[bytes] = []
        self._ssl = SSL.Connection(identity.context)
        self._ssl.set_ciphertext_mtu(CIPHERTEXT_MTU)
        if role == "server":
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()

    def start(self) -> None:
        """The peer can be reached: a client sends its first flight; a server has nothing to do."""
        if self.role == "client" and self.state == "connecting":
            self._handshake()

    def handle_datagram(self, datagram: bytes) -> None:
        """A datagram of the peer, as it came; garbage is dropped by DTLS itself."""
        if self.state == "closed" or not datagram:
            return
        self._ssl.bio_write(datagram)
        if not self.complete:
            self._handshake()
        if self.complete:
            self._receive()

    def handle_timeout(self) -> None:
        """The time named by `poll_timeout` has passed: retransmit."""
        if self.state == "closed" or self.complete:
            return
        try:
            retransmitted = self._ssl.DTLSv1_handle_timeout()
        except SSL.Error:
            self._close("the DTLS handshake got no reply")
            return
        if not retransmitted:
            self._outgoing.extend(self._unanswered)
        self._unanswered.clear()

    def send(self, payload: bytes) -> None:
        """Encrypt one record (at most `MAX_PLAINTEXT` bytes); dropped unless connected.

        It waits for the handshake to be complete.
        """
        if self.state != "connected":
            return
        if not self.complete:
            if len(self._waiting) < _MAX_WAITING:
                self._waiting.append(payload)
            return
        with contextlib.suppress(SSL.Error):
            self._ssl.send(payload)

    def close(self) -> None:
        """Say goodbye (close_notify); no event follows."""
        if self.state == "connected" and self.complete:
            with contextlib.suppress(SSL.Error):
                self._ssl.shutdown()
        self.state = "closed"

    def poll_event(self) -> DtlsEvent | None:
        """The next event, oldest first."""
        return self._events.popleft() if self._events else None

    def poll_transmit(self) -> bytes | None:
        """The next datagram to send."""
        if not self._outgoing and (flight := list(_datagrams(self._flight()))):
            self._outgoing.extend(flight)
            self._unanswered = [] if self.complete else flight
        return self._outgoing.popleft() if self._outgoing else None

    def poll_timeout(self) -> float | None:
        """Seconds until `handle_timeout` is due, None when no flight waits for a reply."""
        if self.state == "closed" or self.complete:
            return None
        delay = self._ssl.DTLSv1_get_timeout()
        return min(delay, _REPEAT_AFTER) if delay is not None and self._unanswered else delay

    def _handshake(self) -> None:
        finished = False
        try:
            self._ssl.do_handshake()
            finished = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._close(f"the DTLS handshake failed ({_reason(error)})")
            return
        # Our Finished exists: the master secret does too, and a client has verified the
        # signature with which the peer's certificate vouches for its half (RFC 5246, 7.4.3).
        if self.state == "connecting" and self._ssl.get_finished() is not None:
            self._establish()
        if finished and self.state == "connected":
            self.complete = True
            self._send_waiting()

    def _establish(self) -> None:
        """Let the keys out, if the peer is who it should be."""
        certificate = self._ssl.get_peer_certificate()
        if certificate is None or not _matches(certificate, self._fingerprints):
            self._refuse("the DTLS certificate is not the one the offer named")
            return
        profile = self._selected_profile()
        if profile is None:
            self._refuse("the peer shares no SRTP profile with us")
            return
        self.state = "connected"
        self._events.append(self._export(profile))

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for payload in waiting:
            self.send(payload)

    def _selected_profile(self) -> SrtpProfile | None:
        name = self._ssl.get_selected_srtp_profile().decode()
        return next((profile for profile in SRTP_PROFILES if profile.name == name), None)

    def _export(self, profile: SrtpProfile) -> Keys:
        length = 2 * (profile.key_length + profile.salt_length)
        client, server = profile.split(
            self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", length)
        )
        rx, tx = (client, server) if self.role == "server" else (server, client)
        return Keys(profile.name, rx=rx, tx=tx)

    def _receive(self) -> None:
        while True:
            try:
                self._events.append(Data(self._ssl.recv(MAX_PLAINTEXT)))
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self._close("the peer closed the connection")
                return
            except SSL.Error as error:
                self._close(f"DTLS failed ({_reason(error)})")
                return

    def _refuse(self, reason: str) -> None:
        """Close, and hold back the flight that would let the peer go on."""
        self._flight()
        self._close(reason)

    def _close(self, reason: str) -> None:
        self.state = "closed"
        self._events.append(Closed(reason))

    def _flight(self) -> bytes:
        try:
            return self._ssl.bio_read(65536)
        except SSL.Error:  # WantReadError: nothing waits
            return b""


def _context(
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    profiles: Sequence[SrtpProfile],
) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(profile.name.encode() for profile in profiles))
    return context


def _matches(certificate: X509, fingerprints: Sequence[Fingerprint]) -> bool:
    """Of the hashes the offer used, the strongest decides (RFC 8122, section 5)."""
    for algorithm, name in _HASHES.items():
        offered = [f.value.upper() for f in fingerprints if f.algorithm == algorithm]
        if offered:
            return certificate.digest(name).decode() in offered  # hexadecimal with colons
    return False


def _datagrams(flight: bytes) -> Iterator[bytes]:
    """Split what OpenSSL wrote into datagrams of whole records (a BIO keeps no boundaries)."""
    start = end = 0
    while end < len(flight):
        length = int.from_bytes(flight[end + 11 : end + _RECORD_HEADER], "big")
        following = end + _RECORD_HEADER + length
        if end > start and following - start > CIPHERTEXT_MTU:
            yield flight[start:end]
            start = end
        end = following
    if flight:
        yield flight[start:]


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words, the last of its error queue."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(queue[-1][-1]) if queue else type(error).__name__
