"""Figures of runs that were made up: each is what a viewer would say it is."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from benchmarks.linklab.link import Settings
from benchmarks.linklab.metrics import figures, recovery
from benchmarks.linklab.observed import Observed, Picture, Said, Sample, Sound
from benchmarks.linklab.plot import plot
from benchmarks.linklab.profile import Flow, Script, Window

SECONDS = 60.0
LINKS: dict[Any, Settings] = {"down": Settings(2e6), "up": Settings(5e5)}
RATE = 48_000


def run(**seen: Any) -> Observed:
    """A run in which all went well, but for what is said."""
    whole: dict[str, Any] = {
        "script": Script(LINKS),
        "sound": sound(),
        "camera": camera(),
        "slides": slides(),
        "flips": [(page, page * 8.0) for page in range(8)],
        "drawn": {number: number / 15 - 0.3 for number in range(int(SECONDS * 15))},
        "link": [link(at) for at in range(int(SECONDS))],
        "published": [Sample(at, {"bytes": at * 150_000}) for at in range(int(SECONDS))],
        "tracks": tracks(),
    }
    return Observed(SECONDS, flip_s=8.0, **{**whole, **seen})


def sound(*gaps: tuple[float, float]) -> list[Sound]:
    """Polled each 60 ms; a gap (start, length in s) is made up from its beginning to its end."""
    rows, at, events = [], 0.0, 0
    while at < SECONDS:
        made_up = sum(min(max(at - start, 0.0), length) for start, length in gaps)
        events = sum(start < at for start, _ in gaps)
        rows.append(Sound(at, int(at * RATE), int(made_up * RATE), 0, events))
        at = round(at + 0.06, 2)
    return rows


def camera(*holes: tuple[float, float], width: int = 960) -> list[Picture]:
    numbers = range(int(SECONDS * 15))
    pictures = [Picture(number / 15, number, width) for number in numbers]
    return [p for p in pictures if not any(start < p.at < end for start, end in holes)]


def slides(delay: float = 0.5) -> list[Picture]:
    """Each page is blurred first and legible after the delay."""
    pictures = []
    for page in range(8):
        flip = page * 8.0
        pictures += [
            Picture(flip + 0.2, page, 1280, 26.0),
            Picture(flip + delay, page, 1280, 41.0),
            Picture(flip + delay + 1, page, 1280, None),
        ]
    return pictures


def link(at: float, *, lost: int = 0, wait: str = "4", flows: int = 0) -> Sample:
    packets = int(at * 100)
    lesson = {"pushed": packets, "lost": lost, "queue_drops": 0, "waits_ms": {wait: packets}}
    other = {"pushed": flows, "lost": 0, "queue_drops": 0, "waits_ms": {"140": flows}}
    for counts in (lesson, other):
        counts["delivered_bytes"] = counts["pushed"] * 1_000
    way = {"lesson": lesson, "flows": other, "rate_bps": 2e6, "late_us_max": 900}
    return Sample(at, {"down": way, "up": way})


def tracks() -> list[Sample]:
    rates = {"microphone": 5_000, "camera": 100_000, "slides": 30_000}
    return [
        Sample(at, {"source": source, "bytesReceived": at * rate, "headerBytesReceived": 0})
        for at in range(int(SECONDS))
        for source, rate in rates.items()
    ]


def test_a_good_run():
    said = figures(run())
    assert said["audio_concealed"] == said["camera_frozen"] == 0
    assert said["longest_audio_gap_ms"] == 0
    assert said["slide_legible_s"] == said["slide_legible_max_s"] == 0.5
    assert said["slides_never_legible"] == 0
    assert said["first_frame_s"] == 0
    assert said["queue_p95_ms"] == 4
    assert said["late_us_max"] == 900
    assert said["page_late_ms"] == 0
    assert said["media_age_s"] == pytest.approx(0.3)
    assert said["camera_fps"] == pytest.approx(15, abs=0.1)
    assert said["layer_switches_per_min"] == 0


def test_a_page_that_was_kept_from_its_core_is_known_by_its_looks():
    looks = [look for look in sound() if not 30 < look.at < 30.3]
    assert figures(run(sound=looks))["page_late_ms"] == pytest.approx(300, abs=60)
    early = [look for look in sound() if look.at > 2]
    assert figures(run(sound=early))["page_late_ms"] == 0


def test_made_up_sound_is_counted_and_its_longest_run_told():
    said = figures(run(sound=sound((20, 0.3), (40, 0.1), (40.3, 0.1))))
    assert said["audio_concealed"] == pytest.approx(0.5 / 55, rel=0.01)
    assert said["longest_audio_gap_ms"] == pytest.approx(300, abs=1)


def test_sound_before_the_warm_up_is_not_judged():
    assert figures(run(sound=sound((1, 2))))["audio_concealed"] == 0


def test_a_dark_window_has_figures_of_its_own():
    dark = Script(LINKS, dark=(Window(20, 22),))
    seen = run(script=dark, sound=sound((20, 2)), camera=camera((20, 22)))
    said = figures(seen)
    assert said["audio_concealed"] == said["camera_frozen"] == 0
    assert said["audio_concealed_all"] == pytest.approx(2 / 55, rel=0.01)


def test_a_frozen_camera():
    # The second hole is two pictures long: nobody calls that frozen.
    frozen = figures(run(camera=camera((20, 21), (30, 30.15))))["camera_frozen"]
    assert frozen == pytest.approx(1 / 55, abs=0.0001)


def test_a_camera_that_never_came_back_is_frozen():
    frozen = figures(run(camera=camera((20, 99))))["camera_frozen"]
    assert frozen == pytest.approx(40 / 55, rel=0.01)


def test_an_announced_pause_is_not_frozen():
    said = [
        Said(at, "tongbu", json.dumps({"type": "quality", "source": "camera", "state": state}))
        for at, state in ((20.0, "paused"), (30.0, "playing"))
    ]
    seen = run(camera=camera((20.1, 30.5)), said=said)
    told = figures(seen)
    assert told["camera_frozen"] == 0
    assert told["camera_paused"] == pytest.approx(10.5 / 60, abs=0.003)
    others = [Said(20.0, "switches", said[0].text), Said(20.0, "tongbu", "no json")]
    assert figures(run(camera=camera((20.1, 30.5)), said=others))["camera_frozen"] > 0.15


def test_a_page_that_never_gets_legible_counts_as_long_as_it_stood():
    blurred = [p._replace(psnr=30.0) if p.number == 3 and p.psnr else p for p in slides()]
    said = figures(run(slides=blurred))
    assert (said["slide_legible_max_s"], said["slides_never_legible"]) == (8, 1)
    assert said["slides_judged"] == 6  # those that stood for 8 s within the judged time


def test_switches_are_changes_of_the_picture_size_once_it_is_steady():
    pictures = [p._replace(width=240) if p.at < 12 or 30 < p.at < 40 else p for p in camera()]
    assert figures(run(camera=pictures))["layer_switches_per_min"] == 2


def test_of_a_long_run_the_minute_with_most_switches_counts():
    long = [Picture(at, at, 240 if at // 20 % 2 else 960) for at in range(200)]
    seen = run(camera=long)
    seen.seconds = 200.0
    assert figures(seen)["layer_switches_per_min"] == 3


def test_capacity_is_what_the_link_has_or_the_teacher_sends():
    said = figures(run())
    assert said["capacity_used"] == pytest.approx(135 / 150, abs=0.001)
    assert said["app_limited"]
    rich = [Sample(at, {"bytes": at * 900_000}) for at in range(60)]
    assert figures(run(published=rich))["capacity_used"] == pytest.approx(0.54, abs=0.001)


def test_what_comes_twice_is_media_once():
    twice = [
        Sample(
            at,
            {
                "source": "camera",
                "bytesReceived": at * 200_000,
                "packetsReceived": at * 200,
                "retransmittedBytesReceived": at * 100_000,
                "retransmittedPacketsReceived": at * 100,
                "packetsLost": at * 10,
            },
        )
        for at in range(60)
    ]
    said = figures(run(tracks=twice))
    assert said["media_kbps"] == pytest.approx((100_000 + 10_000 + 12 * 110) * 8 / 1e3, abs=1)


def test_what_others_queue_is_not_ours():
    script = Script(LINKS, flows=(Flow(20, 30, "down"),))
    links = [link(at, flows=max(0, min(at, 30) - 20) * 1_000) for at in range(60)]
    said = figures(run(script=script, link=links))
    assert said["queue_p95_ms"] == 4
    assert said["queue_p95_all_ms"] == 140


def test_retransmissions_are_told_by_packet_lost():
    links = [link(at, lost=at * 2) for at in range(60)]
    sender = [Sample(at, {"resent": at * 3, "estimate_bps": 8e5}) for at in range(60)]
    said = figures(run(link=links, sender=sender))
    assert said["retransmit_ratio"] == 1.5
    assert said["link_loss"] == pytest.approx(0.02)
    assert said["estimate_kbps"] == 800


def test_recovery_after_an_outage():
    dark = Script(LINKS, dark=(Window(30, 40),))
    low = [p._replace(width=240) if 30 < p.at < 44 else p for p in camera((30.3, 41))]
    shown = [p for p in slides() if not 30 < p.at < 41.5]
    seen = run(script=dark, sound=sound((30.2, 10.8)), camera=low, slides=shown)
    back = recovery(seen)
    assert back["audio_back_s"] == pytest.approx(1, abs=0.15)
    assert back["slide_back_s"] == pytest.approx(8.5)  # the page turned at 48 is the next one seen
    assert back["full_quality_back_s"] == pytest.approx(4, abs=0.1)


def test_who_never_got_in_has_no_figures():
    told = Observed(SECONDS, Script(LINKS), 8.0, failed="no answer in time")
    said = figures(told)
    assert said["failed"] == "no answer in time"
    assert said["audio_concealed"] is said["first_frame_s"] is None
    assert said["camera_frozen"] == 1
    dark = Observed(SECONDS, Script(LINKS, dark=(Window(30, 40),)), 8.0)
    assert set(recovery(dark).values()) == {None}


def test_the_worst_off_of_the_strong_is_told():
    strong = [
        Sample(at, {"bytes": [at * 150_000, at * 150_000 - 300_000 * (at > 30)], "lost": [0, 0]})
        for at in range(60)
    ]
    said = figures(run(strong=strong))
    assert (said["strong_viewers"], said["strong_lost"]) == (2, 0)
    assert said["strong_share"] == pytest.approx(1 - 2 / 54, abs=0.001)
    assert said["strong_share_of_10s"] == pytest.approx(0.8)


def test_a_plot_is_one_document_with_both_charts():
    root = ET.fromstring(plot(run(), "a title"))
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["a title", "Queue of the link"]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10
