from pathlib import Path

import pytest

from signaling.config import DEV_KEY, DEV_SECRET, NodeConfig, load
from signaling.errors import ConfigError

SECRET = "0123456789abcdef0123456789abcdef"
EXAMPLE = Path(__file__).parents[2] / "tongbu.yaml"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("TONGBU_")]:
        monkeypatch.delenv(name)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tongbu.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_the_example_names_every_key_with_its_default() -> None:
    example = load(EXAMPLE, dev=True)
    assert example == load(None, dev=True)
    text = EXAMPLE.read_text(encoding="utf-8")
    for name, field in NodeConfig.model_fields.items():
        assert f"\n{name}:" in text
        for inner in getattr(field.annotation, "model_fields", {}):
            assert f"\n  {inner}:" in text


def test_dev_has_a_key_and_stays_on_this_machine() -> None:
    config = load(None, dev=True)
    assert config.keys == {DEV_KEY: DEV_SECRET}
    assert config.bind == "127.0.0.1"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, f"keys: {{k: {SECRET}}}\nrtc: {{udp_port: 1, shards: 2}}\nport: 5\n")
    monkeypatch.setenv("TONGBU_RTC__UDP_PORT", "7900")
    monkeypatch.setenv("TONGBU_RTC__NODE_IP", '["203.0.113.5"]')
    config = load(path)
    assert (config.rtc.udp_port, config.rtc.shards, config.port) == (7900, 2, 5)
    assert config.rtc.node_ip == ("203.0.113.5",)


@pytest.mark.parametrize(("value", "port"), [("off", None), ("null", None), ("0", 0), ("443", 443)])
def test_tcp_can_be_turned_off(tmp_path: Path, value: str, port: int | None) -> None:
    path = written(tmp_path, f"keys: {{k: {SECRET}}}\nrtc: {{tcp_port: {value}}}\n")
    assert load(path).rtc.tcp_port == port


def test_tcp_can_be_turned_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBU_RTC__TCP_PORT", "off")
    assert load(None, dev=True).rtc.tcp_port is None


@pytest.mark.parametrize(("text", "shards"), [("auto", "auto"), ("3", 3)])
def test_shards_come_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, text: str, shards: object
) -> None:
    monkeypatch.setenv("TONGBU_RTC__SHARDS", text)
    assert load(None, dev=True).rtc.shards == shards


def test_one_address_may_stand_alone(tmp_path: Path) -> None:
    path = written(tmp_path, f"keys: {{k: {SECRET}}}\nrtc: {{node_ip: 203.0.113.5}}\n")
    assert load(path).rtc.node_ip == ("203.0.113.5",)


def test_ice_servers_are_named_as_browsers_name_them(tmp_path: Path) -> None:
    text = f"keys: {{k: {SECRET}}}\nrtc: {{ice_servers: [{{urls: %s, username: u}}]}}\n"
    (server,) = load(written(tmp_path, text % "'stun:stun.example'")).rtc.ice_servers
    assert (server.urls, server.username) == (("stun:stun.example",), "u")
    assert "rtc.ice_servers.0.urls" in refusal(written(tmp_path, text % "['http://a']"))
    assert "rtc.ice_servers.0.urls" in refusal(written(tmp_path, text % "['turn:a>b']"))
    broken = text.replace("username: u", """credential: 'a"b'""") % "'stun:a'"
    assert "rtc.ice_servers.0.credential" in refusal(written(tmp_path, broken))


def test_webhooks_are_signed_with_a_key_of_ours(tmp_path: Path) -> None:
    text = f"keys: {{k: {SECRET}}}\nwebhook: {{urls: ['https://a.example/h'], api_key: %s}}\n"
    assert load(written(tmp_path, text % "k")).webhook.urls == ("https://a.example/h",)
    assert "webhook.api_key names none" in refusal(written(tmp_path, text % "other"))
    assert "webhook.urls.0" in refusal(written(tmp_path, "webhook: {urls: [ftp://a]}"))


def test_an_unknown_key_is_named_with_the_allowed_ones(tmp_path: Path) -> None:
    sentence = refusal(written(tmp_path, "prot: 7880"))
    assert "unknown key prot;" in sentence
    names = (
        "port, bind, data_dir, keys, rtc, lesson, join, quality, recorder, archive, ingest, push, "
        "webhook"
    )
    assert f"{names}, log" in sentence


def test_an_unknown_inner_key_is_named_with_its_neighbours(tmp_path: Path) -> None:
    sentence = refusal(written(tmp_path, "rtc: {udp_prot: 1}"))
    assert "unknown key rtc.udp_prot; allowed under rtc are: udp_port, tcp_port, shards" in sentence


def test_an_unknown_key_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBU_RTC__UDP_PROT", "1")
    assert "unknown key rtc.udp_prot" in refusal(None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtc: {udp_port: abc}", "rtc.udp_port: 'abc' should be a valid integer"),
        ("rtc: {tcp_port: abc}", "rtc.tcp_port: 'abc' should be a valid integer"),
        ("rtc: {tcp_port: true}", "rtc.tcp_port: True is neither a port nor off"),
        ("rtc: {tcp_port: 65536}", "rtc.tcp_port: 65536 should be less than or equal to 65535"),
        (
            "recorder: {sound_stops_below: 2000000000}",
            "sound_stops_below is above video_stops_below: video yields first",
        ),
        ("port: 70000", "port: 70000 should be less than or equal to 65535"),
        ("rtc: {shards: many}", "rtc.shards: 'many' is neither auto nor a number from 1 to 64"),
        ("rtc: {shards: 0}", "rtc.shards: 0 is neither auto nor"),
        ("rtc: {shards: 65}", "rtc.shards: 65 is neither auto nor"),
        ("rtc: {shards: true}", "rtc.shards: True is neither auto nor"),
        ("rtc: {shards: 1.5}", "rtc.shards: 1.5 is neither auto nor"),
        ("rtc: {node_ip: [nowhere]}", "rtc.node_ip.0: 'nowhere' is not an IPv4 address"),
        ("rtc: {video_codecs: [H265]}", "rtc.video_codecs.0: 'H265' should be 'H264', 'VP9'"),
        ("lesson: 3", "lesson: 3 should be"),
        ("log: {level: loud}", "log.level: 'loud' should be 'debug', 'info'"),
        ("[1, 2]", "must be a mapping"),
        ("port: [", "not valid YAML"),
        ("1: 2", "must be a mapping"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(written(tmp_path, text))


def test_a_short_secret_is_refused_and_not_shown(tmp_path: Path) -> None:
    sentence = refusal(written(tmp_path, "keys: {portal: hunter2}"))
    assert "keys.portal" in sentence
    assert "at least 32" in sentence
    assert "hunter2" not in sentence


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "nothing.yaml")


def test_without_keys_there_is_no_node() -> None:
    assert "No API key" in refusal(None)


def test_a_broken_environment_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBU_RTC", "{bad")
    assert "environment" in refusal(None)


def test_sources_and_hosts_are_read(tmp_path: Path) -> None:
    text = f"""
keys: {{k: {SECRET}}}
ingest:
  allow: [NVR.school.example, 192.168.20.0/24]
  sources:
    - {{lesson: 数学, url: "rtsp://me:geheim@10.0.0.7/1"}}
    - {{lesson: hall, url: "file:///media/hall.mp4", role: teacher, source: slides, audio: true}}
push: {{allow: "*.youtube.com"}}
"""
    config = load(written(tmp_path, text))
    assert config.ingest.allow == ("nvr.school.example", "192.168.20.0/24")
    camera, hall = config.ingest.sources
    assert (camera.lesson, camera.role, camera.transport, camera.audio) == (
        "数学",
        "assistant",
        "tcp",
        None,
    )
    assert (hall.role, hall.source, hall.audio) == ("teacher", "slides", True)
    assert config.push.allow == ("*.youtube.com",)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('{lesson: math, url: "http://me:geheim@10.0.0.7/"}', "ingest.sources.0.url"),
        ('{lesson: "a b", url: "rtsp://me:geheim@10.0.0.7/"}', "ingest.sources.0.lesson"),
        ('{url: "rtsp://me:geheim@10.0.0.7/"}', "ingest.sources.0.lesson"),
        ('{lesson: math, url: "rtsp://me:geheim@h/", role: school}', "ingest.sources.0.role"),
        ('{lesson: math, url: "rtsp://me:geheim@h/", user: x}', "allowed under ingest.sources.0"),
        ('"rtsp://me:geheim@10.0.0.7/"', "ingest.sources.0"),
    ],
)
def test_a_bad_source_is_named_without_its_password(tmp_path: Path, source: str, says: str) -> None:
    text = f"keys: {{k: {SECRET}}}\ningest: {{sources: [{source}]}}\n"
    sentence = refusal(written(tmp_path, text))
    assert says in sentence
    assert "geheim" not in sentence
    if "allowed under" in says:
        assert "lesson, url, source, role, name, transport, audio" in sentence


def test_a_host_that_is_none_is_named(tmp_path: Path) -> None:
    text = f'keys: {{k: {SECRET}}}\npush: {{allow: ["http://x/"]}}\n'
    assert "push.allow.0: 'http://x/' is no host" in refusal(written(tmp_path, text))
