"""Which URLs a node takes, and what it shows of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.feeds.address import PULLED, PUSHED, allowed, parse, pattern


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:geheim@192.168.1.64:554/Streaming/Channels/101", "rtsp://192.168.1.64/Streaming/Channels/101"),
        ("rtsp://cam/cam/realmonitor?channel=1&password=geheim", "rtsp://cam/cam/realmonitor"),
        ("rtsps://CAM.Example:8322/x", "rtsps://cam.example:8322/x"),
        ("rtmp://live.example.org/live2/geheim", "rtmp://live.example.org/live2/…"),
        ("rtmps://live.example.org:443/geheim", "rtmps://live.example.org/…"),
        ("rtmp://live.example.org", "rtmp://live.example.org"),
        ("srt://10.0.0.1:9000?passphrase=geheim&streamid=geheim", "srt://10.0.0.1:9000"),
        ("rtsp://[2001:db8::1]:8554/x", "rtsp://[2001:db8::1]:8554/x"),
    ],
)  # fmt: skip
def test_what_is_shown_holds_no_secret(text: str, shown: str) -> None:
    url = parse(text, PULLED)
    assert url.shown == shown
    assert url.text == text
    assert "geheim" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "rtsp:",
        "rtsp://",
        "rtsp:///path",
        "rtsp:/host/path",
        "http://host/",
        "file:///etc/passwd",
        "concat:/etc/passwd",
        "pipe:0",
        "rtsp+file://host/",
        "rtsp://host:99999/",
        "rtsp://host:x/",
        "rtsp://[::1/",
        "rtsp://ho st/",
        "rtsp://host/\r\nDESCRIBE",
        "rtsp://höst/",
        "rtsp://host|file/",
        "srt://host",
        "rtsp://host/" + "x" * 2_048,
    ],
)
def test_what_is_no_url_of_ours_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"^(is|must) ") as caught:
        parse(text, PULLED)
    if isinstance(text, str) and len(text) > 12:
        assert text not in str(caught.value)


def test_a_file_is_for_the_configuration_alone() -> None:
    assert parse("file:///media/box.mp4", (*PULLED, "file")).shown == "file:/media/box.mp4"
    for text in ("file://host/media/box.mp4", "file:relative"):
        with pytest.raises(ValueError, match="must"):
            parse(text, (*PULLED, "file"))
    with pytest.raises(ValueError, match="must begin with rtmp://, rtmps://, srt://"):
        parse("rtsp://host/", PUSHED)


@pytest.mark.parametrize(
    ("entry", "host", "fits"),
    [
        ("nvr.school.example", "nvr.school.example", True),
        ("NVR.school.example", "nvr.SCHOOL.example", True),
        ("nvr.school.example", "xnvr.school.example", False),
        ("nvr.school.example", "nvr.school.example.evil.org", False),
        ("*.youtube.com", "a.rtmp.youtube.com", True),
        ("*.youtube.com", "youtube.com", False),
        ("*.youtube.com", "evilyoutube.com", False),
        ("192.168.1.64", "192.168.1.64", True),
        ("192.168.20.0/24", "192.168.20.255", True),
        ("192.168.20.0/24", "192.168.21.1", False),
        ("127.0.0.0/8", "2130706433", False),
        ("127.0.0.0/8", "0x7f.1", False),
        ("127.0.0.0/8", "127.1", False),
        ("10.0.0.0/8", "camera-in-10-0-0-0", False),  # names lead anywhere
        ("fd00::/8", "[fd00::7]", True),
        ("10.0.0.0/8", "[fd00::7]", False),
    ],
)
def test_who_is_allowed(entry: str, host: str, fits: bool) -> None:
    assert allowed(parse(f"rtsp://{host}/x", PULLED), [pattern(entry)]) is fits


def test_a_user_name_is_no_host() -> None:
    url = parse("rtsp://nvr.school.example@10.0.0.1/", PULLED)
    assert not allowed(url, [pattern("nvr.school.example")])
    assert not allowed(url, [])


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "http://host", "10.0.0.0/99", "10.0.0.1/8", "a b"]
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        pattern(entry)


@given(st.text(max_size=60))
def test_nothing_else_happens(text: str) -> None:
    for whole in (text, f"rtsp://{text}", f"srt://host:9{text}"):
        try:
            url = parse(whole, PULLED)
        except ValueError:
            continue
        assert url.scheme in PULLED
        assert url.host
