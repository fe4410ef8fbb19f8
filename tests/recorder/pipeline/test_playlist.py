"""Playlists as text."""

import pytest

from recorder.pipeline.playlist import (
    MediaPlaylist,
    Segment,
    Stream,
    end,
    for_safari,
    master,
    segments_listed,
)

ZERO = 1_790_000_000.25


@pytest.fixture
def two_segments() -> MediaPlaylist:
    playlist = MediaPlaylist(ZERO)
    playlist.append(Segment("000001.m4s", "init-0001.mp4", 0.0, 2.0, 50_000))
    playlist.append(Segment("000002.m4s", "init-0001.mp4", 2.0, 1.5, 75_000))
    return playlist


def test_a_live_playlist(two_segments: MediaPlaylist):
    assert two_segments.render().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:6",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init-0001.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.250Z",
        "#EXTINF:2.000000,",
        "000001.m4s",
        "#EXTINF:1.500000,",
        "000002.m4s",
    ]


def test_a_new_init_has_its_map_and_date(two_segments: MediaPlaylist):
    two_segments.append(Segment("000003.m4s", "init-0002.mp4", 3.5, 2.0, 1))
    lines = two_segments.render().splitlines()
    at = lines.index('#EXT-X-MAP:URI="init-0002.mp4"')
    assert lines[at + 1] == "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:23.750Z"
    assert lines.count('#EXT-X-MAP:URI="init-0001.mp4"') == 1


def test_it_only_ever_grows(two_segments: MediaPlaylist):
    before = two_segments.render()
    two_segments.append(Segment("000003.m4s", "init-0001.mp4", 3.5, 2.0, 1))
    two_segments.ended = True
    after = two_segments.render()
    assert after.startswith(before)
    assert after.endswith("\n#EXT-X-ENDLIST\n")


def test_a_publisher_without_keyframes_raises_the_target(two_segments: MediaPlaylist):
    two_segments.append(Segment("000003.m4s", "init-0001.mp4", 3.5, 9.6, 1))
    assert "#EXT-X-TARGETDURATION:10" in two_segments.render()


def test_bandwidth_is_the_fullest_segments(two_segments: MediaPlaylist):
    assert two_segments.peak == 75_000 * 8 / 1.5
    assert two_segments.average == pytest.approx(125_000 * 8 / 3.5)


def test_a_master_names_the_video_and_the_shared_audio(two_segments: MediaPlaylist):
    video = Stream("camera/index.m3u8", "avc1.42c01f", two_segments, 1280, 720)
    audio = Stream("audio/index.m3u8", "opus", two_segments)
    assert master(video, audio).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="microphone",DEFAULT=YES,'
        'AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"',
        '#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.42c01f,opus",RESOLUTION=1280x720,'
        'AUDIO="audio"',
        "camera/index.m3u8",
        '#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="opus",AUDIO="audio"',
        "audio/index.m3u8",
    ]


def test_safari_is_told_of_opus_by_its_mp4_object_type(two_segments: MediaPlaylist):
    video = Stream("opus/index.m3u8", "avc1.42c01f", two_segments, 1280, 720)
    text = for_safari(master(video, Stream("audio/index.m3u8", "opus", two_segments)))
    assert 'CODECS="avc1.42c01f,mp4a.ad"' in text
    assert 'CODECS="mp4a.ad"' in text
    assert "opus/index.m3u8" in text


def test_a_master_of_sound_alone(two_segments: MediaPlaylist):
    two_segments.ended = True
    assert master(None, Stream("audio/index.m3u8", "opus", two_segments)).splitlines()[-2:] == [
        '#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="opus",AVERAGE-BANDWIDTH=285714',
        "audio/index.m3u8",
    ]


def test_ending_a_playlist_twice_is_ending_it_once(two_segments: MediaPlaylist):
    text = two_segments.render()
    assert segments_listed(text) == 2
    assert end(end(text)) == text + "#EXT-X-ENDLIST\n"
