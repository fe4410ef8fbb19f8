import base64
import gzip

import pytest
from livekit.protocol import rtc

from signaling.livekit.errors import MalformedRequest
from signaling.livekit.join import MAX_JOIN, parse_join

GZIP = rtc.WrappedJoinRequest.GZIP


def packed(request: rtc.JoinRequest | bytes, *, zipped: bool = False) -> str:
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=gzip.compress(raw) if zipped else raw)
    if zipped:
        wrapped.compression = GZIP
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def wish() -> rtc.JoinRequest:
    request = rtc.JoinRequest(participant_sid="PA_x", reconnect=True)
    request.connection_settings.auto_subscribe = True
    request.client_info.client_protocol = 1
    request.publisher_offer.sdp = "v=0"
    request.add_track_requests.add(cid="c")
    request.participant_attributes["a"] = "b"
    return request


@pytest.mark.parametrize("zipped", [True, False])
def test_a_join_request_is_read(zipped: bool) -> None:
    joining = parse_join({"join_request": packed(wish(), zipped=zipped)}, single=True)
    assert joining.single
    assert joining.auto_subscribe
    assert joining.resumes
    assert joining.participant_sid == "PA_x"
    assert joining.offer is not None
    assert joining.offer.sdp == "v=0"
    assert [request.cid for request in joining.add_tracks] == ["c"]
    assert joining.attributes == {"a": "b"}
    assert joining.client_protocol == 1
    assert joining.sync_state is None


def test_padding_and_the_other_alphabet_are_taken() -> None:
    text = packed(wish(), zipped=True)
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    assert parse_join({"join_request": plain}, single=True).participant_sid == "PA_x"


def test_older_clients_say_it_in_parameters() -> None:
    query = {"auto_subscribe": "0", "reconnect": "1", "sid": "PA_y", "protocol": "15"}
    joining = parse_join(query, single=False)
    assert (joining.single, joining.auto_subscribe) == (False, False)
    assert (joining.resumes, joining.participant_sid) == (True, "PA_y")
    assert parse_join({}, single=False).auto_subscribe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!!!!",
        "A" * 5,
        base64.urlsafe_b64encode(b"\xff" * 40).decode(),
        packed(b"\xff\xff\xff"),
        base64.urlsafe_b64encode(
            rtc.WrappedJoinRequest(join_request=b"no gzip", compression=GZIP).SerializeToString()
        ).decode(),
    ],
)
def test_what_is_no_join_request_is_refused(text: str) -> None:
    if text == "":  # an empty one is a request that wishes nothing
        assert not parse_join({"join_request": text}, single=True).resumes
        return
    with pytest.raises(MalformedRequest):
        parse_join({"join_request": text}, single=True)


def test_a_bomb_does_not_go_off() -> None:
    bomb = packed(b"\0" * (64 * 1024 * 1024), zipped=True)
    assert len(bomb) < 200_000
    with pytest.raises(MalformedRequest, match="larger than"):
        parse_join({"join_request": bomb}, single=True)


def test_what_just_fits_is_read() -> None:
    request = rtc.JoinRequest(metadata="x" * (MAX_JOIN - 100))
    joining = parse_join({"join_request": packed(request, zipped=True)}, single=True)
    assert len(joining.metadata) == MAX_JOIN - 100


def test_v1_without_a_request_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="missing"):
        parse_join({}, single=True)


@pytest.mark.parametrize("text", ["1" * 5000, "٣", "-1", "x", ""])
def test_a_number_that_is_none_is_zero(text: str) -> None:
    assert parse_join({"client_protocol": text}, single=False).client_protocol == 0
