"""Two `Dtls` and what carries their datagrams from one to the other."""

from sfu.dtls import Dtls, Identity, Keys
from sfu.negotiation import Fingerprint

OURS, THEIRS = Identity.generate(), Identity.generate()


def pair(
    server_expects: Fingerprint = THEIRS.fingerprint,
    client_expects: Fingerprint = OURS.fingerprint,
) -> tuple[Dtls, Dtls]:
    """A server, and a client that has begun."""
    server = Dtls(OURS, "server", [server_expects])
    client = Dtls(THEIRS, "client", [client_expects])
    client.start()
    return server, client


def events(dtls: Dtls) -> list[object]:
    """All that wait."""
    return list(iter(dtls.poll_event, None))


def datagrams(dtls: Dtls) -> list[bytes]:
    """All that wait."""
    return list(iter(dtls.poll_transmit, None))


def carry(sender: Dtls, receiver: Dtls) -> None:
    """What waits in one reaches the other."""
    for datagram in datagrams(sender):
        receiver.handle_datagram(datagram)


def shuttle(one: Dtls, other: Dtls, rounds: int = 10) -> tuple[list[object], list[object]]:
    """Carry datagrams both ways until nothing moves; events of each side."""
    heard: tuple[list[object], list[object]] = ([], [])
    for _ in range(rounds):
        heard[0].extend(events(one))
        heard[1].extend(events(other))
        there, back = datagrams(one), datagrams(other)
        for datagram in there:
            other.handle_datagram(datagram)
        for datagram in back:
            one.handle_datagram(datagram)
        if not there and not back:
            break
    return heard


def keys(heard: list[object]) -> Keys:
    """The one event of that kind."""
    (found,) = [event for event in heard if isinstance(event, Keys)]
    return found
