"""From what was observed to figures. Pure.

A run is judged from `WARM_UP` on, and without its dark windows (outages, stalls: from their
beginning until `AFTER_DARK` after their end), which have figures of their own: what passes
nowhere is nobody's fault. `*_all` are the same figures with them.

audio_concealed         samples that the browser made up, of those it played. The teacher's voice
                        never pauses and Opus runs without DTX: silence in a hole counts as well
longest_audio_gap_ms    the longest run of made-up samples, by their counters each 60 ms
camera_frozen           time in gaps between decoded pictures above max(3 times, 150 ms more than)
                        the mean of the last 30, and 150 ms more than the teacher let pass between
                        two pictures meanwhile, of the time that no pause was announced
slide_legible_s         from the teacher's turning a page to the first decoded picture of it whose
                        text has a PSNR of 35 dB or more (median; `_max_`: the longest); a page
                        that never gets there counts with the time it stood
first_frame_s           from the viewer's question to his first decoded picture
queue_p95_ms            what packets waited for the link's transmitter, while nobody else used it
capacity_used           media received, each packet once, of what the link could carry, or of what
                        the teacher sends in the best quality where that is less (`app_limited`)
retransmit_ratio        packets sent again for each that the link lost
layer_switches_per_min  changes of the camera's picture size, from `STEADY` on, in the minute that
                        has most of them
media_age_s             from the drawing of a camera picture to its decoding
page_late_ms            the longest that the viewer's page waited for its core: by its looks at the
                        sound, one each 60 ms
"""

import json
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.linklab.observed import Observed, Sample, Sound
from benchmarks.linklab.profile import WAYS, Window
from benchmarks.span import percentile, percentile_of

WARM_UP = 5.0
STEADY = 15.0
AFTER_DARK = 3.0
AFTER_FLOWS = 3.0
"""Seconds until a queue that others filled is empty again."""
LEGIBLE_DB = 35.0
LOOK_S = 0.06
"""From look to look at the sound (`pages/viewer.js`)."""
TOP_BPS = 1_400_000
"""What the teacher sends in the best quality, about: a peer to peer call adapts, and tells not."""
_HEADER = 12
"""Octets of RTP's fixed header."""
_RATE = 48_000
_MEAN_OF = 30  # pictures
_BACK_S = 0.5
"""Sound is back when so much of it has next to nothing made up."""

Holds = Callable[[float], bool]


def figures(seen: Observed) -> dict[str, Any]:
    """All of them, by name; None where there is nothing to judge."""
    return {
        **_sound(seen),
        **_camera(seen),
        **_slides(seen),
        **_network(seen),
        **_ages(seen),
        **_strong(seen),
        "first_frame_s": _first(seen),
        "first_sound_s": _first_sound(seen),
        "busy_cores": seen.busy_cores,
        "stolen_cpu": seen.stolen_cpu,
        **({"failed": seen.failed} if seen.failed else {}),
    }


def recovery(seen: Observed) -> dict[str, Any]:
    """After the outage that was asked for: seconds from its end until things are back."""
    outage = seen.script.dark[0]
    return {
        "audio_back_s": _since(outage, _sound_back(seen, outage)),
        "slide_back_s": _since(outage, _slide_back(seen, outage)),
        "full_quality_back_s": _since(outage, _quality_back(seen, outage)),
    }


def clear(seen: Observed) -> Holds:
    """Whether a moment is judged."""
    dark = [Window(window.start, window.end + AFTER_DARK) for window in seen.script.dark]
    return lambda at: WARM_UP <= at < seen.seconds and not any(at in window for window in dark)


def alone(seen: Observed) -> Holds:
    """Whether a moment is judged and nobody else used the link."""
    judged = clear(seen)
    flows = [Window(flow.at, flow.until + AFTER_FLOWS) for flow in seen.script.flows]
    return lambda at: judged(at) and not any(at in window for window in flows)


def _sound(seen: Observed) -> dict[str, Any]:
    judged = clear(seen)
    all_of_it = [sound for sound in seen.sound if WARM_UP <= sound.at < seen.seconds]
    return {
        "audio_concealed": _concealed(seen.sound, judged),
        "longest_audio_gap_ms": _longest_gap(seen.sound, judged),
        "audio_concealed_all": _concealed(all_of_it, lambda at: True),
        "audio_concealed_heard": _concealed(seen.sound, judged, but_silent=True),
    }


def _concealed(sound: Sequence[Sound], judged: Holds, *, but_silent: bool = False) -> float | None:
    samples = concealed = 0
    for before, after in pairwise(sound):
        if judged(before.at) and judged(after.at):
            samples += after.samples - before.samples
            concealed += after.concealed - before.concealed
            concealed -= (after.silent - before.silent) if but_silent else 0
    return round(concealed / samples, 5) if samples else None


def _longest_gap(sound: Sequence[Sound], judged: Holds) -> float | None:
    """A gap that began within a poll is taken for as long as all that was made up in it."""
    longest = gap = 0
    for before, after in pairwise(sound):
        made_up = after.concealed - before.concealed
        gap = 0 if made_up == 0 else gap * (after.events == before.events) + made_up
        if judged(before.at) and judged(after.at):
            longest = max(longest, gap)
    return round(longest / _RATE * 1e3, 1) if sound else None


def _first_sound(seen: Observed) -> float | None:
    real = (s.at for s in seen.sound if s.samples - s.concealed > 0)
    return _rounded(next(real, None))


def _camera(seen: Observed) -> dict[str, Any]:
    judged = clear(seen)
    paused = list(pauses(seen))
    shown = [picture for picture in seen.camera if judged(picture.at)]
    frozen = watched = 0.0
    for start, end, limit in _gaps(seen):
        if any(start < window.end and end > window.start for window in paused):
            continue
        if judged(start) or judged(end):
            watched += end - start
            frozen += (end - start) * (end - start > limit)
    steady = [picture for picture in shown if picture.at >= STEADY]
    switches = [after.at for before, after in pairwise(steady) if after.width != before.width]
    return {
        "camera_frozen": round(frozen / watched, 4) if watched else None,
        "camera_paused": round(sum(w.end - w.start for w in paused) / seen.seconds, 3),
        "camera_width": statistics.median(p.width for p in steady) if steady else None,
        "camera_fps": round(len(shown) / _judged_seconds(seen, WARM_UP), 1),
        "layer_switches_per_min": _most_in_a_minute(switches) if steady else None,
    }


def _most_in_a_minute(moments: Sequence[float]) -> int:
    return max((sum(at <= m < at + 60.0 for m in moments) for at in moments), default=0)


def _strong(seen: Observed) -> dict[str, Any]:
    """The schools on the good side: the part of what the teacher sends that the worst-off got, in
    the run and in its worst ten seconds (fewer are too few: pages of slides come in lumps)."""
    if not seen.strong:
        return {}
    start = next(sample for sample in seen.strong if sample.at >= WARM_UP)
    spans = [(start, seen.strong[-1])]
    tens = list(zip(seen.strong, seen.strong[10:], strict=False))
    return {
        "strong_viewers": len(start.counters["bytes"]),
        "strong_share": _least_share(seen, spans),
        "strong_share_of_10s": _least_share(seen, [s for s in tens if s[0].at >= WARM_UP]),
        "strong_lost": sum(seen.strong[-1].counters["lost"]) - sum(start.counters["lost"]),
    }


def _least_share(seen: Observed, spans: Sequence[tuple[Sample, Sample]]) -> float | None:
    shares = []
    for before, after in spans:
        sent = [_at(seen.published, sample.at)["bytes"] for sample in (before, after)]
        got = zip(before.counters["bytes"], after.counters["bytes"], strict=True)
        if sent[1] > sent[0]:
            shares.append(min(new - old for old, new in got) / (sent[1] - sent[0]))
    return round(min(shares), 3) if shares else None


def _at(samples: Sequence[Sample], at: float) -> Mapping[str, Any]:
    return min(samples, key=lambda sample: abs(sample.at - at)).counters


def pauses(seen: Observed) -> Iterator[Window]:
    """When the camera was announced as paused."""
    start = None
    for said in seen.said:
        state = _camera_state(said.text) if said.label == "tongbu" else None
        if state == "paused" and start is None:
            start = said.at
        elif state == "playing" and start is not None:
            # Its next picture ends the pause: it has to come all the way.
            came = (p.at for p in seen.camera if p.at >= said.at)
            yield Window(start, next(came, said.at))
            start = None
    if start is not None:
        yield Window(start, seen.seconds)


def _camera_state(text: str | None) -> str | None:
    try:
        said = json.loads(text or "null")
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("source") != "camera":
        return None
    return str(said.get("state"))


def _gaps(seen: Observed) -> Iterator[tuple[float, float, float]]:
    """Each gap from picture to picture, and how long it may be.

    Who sees the first one late has waited since the warm-up; the last gap is to the end.
    """
    recent: deque[float] = deque(maxlen=_MEAN_OF)
    shown = [(picture.at, picture.number) for picture in seen.camera if picture.at < seen.seconds]
    late = [(WARM_UP, None)] if not shown or shown[0][0] > WARM_UP else []
    for (before, first), (after, last) in pairwise([*late, *shown, (seen.seconds, None)]):
        mean = statistics.fmean(recent) if recent else 0.1
        yield before, after, max(3 * mean, mean + 0.15, _undrawn(seen, first, last) + 0.15)
        recent.append(after - before)


def _undrawn(seen: Observed, first: int | None, last: int | None) -> float:
    """The longest time from the drawing of a picture to that of the next, between these two."""
    if first is None or last is None or last < first:
        return 0.0
    drawn = [seen.drawn[number] for number in range(first, last + 1) if number in seen.drawn]
    return max((b - a for a, b in pairwise(drawn)), default=0.0)


def _slides(seen: Observed) -> dict[str, Any]:
    judged = clear(seen)
    # A page that stood while nothing could pass, or that the run cut short, is not judged.
    flips = [
        (page, at)
        for page, at in seen.flips
        if judged(at) and judged(at + seen.flip_s) and at + seen.flip_s <= seen.seconds
    ]
    times = [_legible_after(seen, page, at) for page, at in flips]
    delays = [seen.flip_s if time is None else time for time in times]
    longest_gap = max((b.at - a.at for a, b in pairwise(seen.slides)), default=None)
    return {
        "slide_legible_s": _rounded(statistics.median(delays)) if delays else None,
        "slide_legible_max_s": _rounded(max(delays, default=None)),
        "slides_never_legible": sum(time is None for time in times),
        "slides_judged": len(times),
        "slides_longest_gap_s": _rounded(longest_gap),
    }


def _legible_after(seen: Observed, page: int, flipped: float) -> float | None:
    for picture in seen.slides:
        if picture.number == page and (picture.psnr or 0) >= LEGIBLE_DB and picture.at >= flipped:
            return picture.at - flipped
    return None


def _network(seen: Observed) -> dict[str, Any]:
    resent = _counted(seen.sender, "resent")
    missing = sum(
        _lesson(after, "lost")
        + _lesson(after, "queue_drops")
        - _lesson(before, "lost")
        - _lesson(before, "queue_drops")
        for before, after in _ends(seen.link)
    )
    sent = sum(_lesson(b, "pushed") - _lesson(a, "pushed") for a, b in _ends(seen.link))
    estimates = [value for _, value in series(seen.sender, "estimate_bps")]
    return {
        "queue_p95_ms": _queue(seen.link, alone(seen), "down"),
        "queue_p95_all_ms": _queue(seen.link, lambda at: at >= WARM_UP, "down"),
        "queue_up_p95_ms": _queue(seen.link, alone(seen), "up"),
        **_capacity(seen),
        "retransmit_ratio": round(resent / missing, 3) if missing and resent is not None else None,
        "link_loss": round(missing / sent, 4) if sent else None,
        "transport": seen.sender[-1].counters.get("transport") if seen.sender else None,
        "estimate_kbps": round(statistics.median(estimates) / 1e3) if estimates else None,
        "late_us_max": max(_late(seen), default=0),
        "page_late_ms": _page_late(seen),
    }


def _late(seen: Observed) -> Iterator[int]:
    for sample in seen.link:
        yield from (int(sample.counters[way]["late_us_max"]) for way in WAYS)


def _page_late(seen: Observed) -> float:
    looks = [sound.at for sound in seen.sound if WARM_UP <= sound.at < seen.seconds]
    late = max((after - before - LOOK_S for before, after in pairwise(looks)), default=0.0)
    return round(max(0.0, late) * 1e3, 1)


def _ends(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    if len(samples) > 1:
        yield samples[0], samples[-1]


def _lesson(sample: Sample, counter: str) -> int:
    return int(sample.counters["down"]["lesson"][counter])


def _counted(samples: Sequence[Sample], counter: str) -> float | None:
    values = [value for _, value in series(samples, counter)]
    return values[-1] - values[0] if values else None


def series(samples: Iterable[Sample], counter: str) -> list[tuple[float, float]]:
    """A counter over time, where it was told."""
    told = [(sample.at, sample.counters.get(counter)) for sample in samples]
    return [(at, float(value)) for at, value in told if value is not None]


def _queue(samples: Sequence[Sample], judged: Holds, way: str) -> float | None:
    found: Counter[float] = Counter()
    for before, after in pairwise(samples):
        if judged(before.at) and judged(after.at):
            found.update(waits(before, after, way))
    return percentile_of(found, 0.95) if found else None


def waits(before: Sample, after: Sample, way: str) -> Counter[float]:
    """Histogram of what packets waited between two snapshots, in milliseconds."""
    found: Counter[float] = Counter()
    for kind in ("lesson", "flows"):
        old = before.counters[way][kind]["waits_ms"]
        for wait, count in after.counters[way][kind]["waits_ms"].items():
            found[float(wait)] += count - old.get(wait, 0)
    return found


def _capacity(seen: Observed) -> dict[str, Any]:
    """Rates while nobody else used the link: received, carried by the link, offered."""
    judged = alone(seen)
    received = [_rate(_of(seen, source), judged, _bytes) for source in _SOURCES]
    media = sum(rate for rate in received if rate is not None)
    rates = [float(s.counters["down"]["rate_bps"]) for s in seen.link if judged(s.at)]
    offered = _rate(seen.published, judged, lambda row: float(row["bytes"])) or 0.0
    top = offered if seen.broadcast else TOP_BPS
    limit = statistics.fmean(min(rate, top) for rate in rates) if rates else 0.0
    return {
        # More than that is what came twice, and cannot be told from repairs.
        "capacity_used": round(min(1.0, media / limit), 3) if limit else None,
        "app_limited": any(rate > top for rate in rates),
        "media_kbps": round(media / 1e3),
        "link_kbps": round(statistics.fmean(rates) / 1e3) if rates else None,
        "offered_kbps": round(offered / 1e3),
    }


_SOURCES = ("microphone", "camera", "slides")


def _of(seen: Observed, source: str) -> list[Sample]:
    return [sample for sample in seen.tracks if sample.counters["source"] == source]


def _rate(
    samples: Sequence[Sample], judged: Holds, counted: Callable[[Mapping[str, Any]], float]
) -> float | None:
    """Bits a second of a counter of bytes, over the judged time."""
    pairs = [(a, b) for a, b in pairwise(samples) if judged(a.at) and judged(b.at)]
    seconds = sum(after.at - before.at for before, after in pairs)
    octets = sum(counted(after.counters) - counted(before.counters) for before, after in pairs)
    return octets * 8 / seconds if seconds else None


def _bytes(got: Mapping[str, Any]) -> float:
    """Media that was received, each packet once, with the fixed header: no padding, no FEC.

    What was sent again counts as far as there were holes that it could fill.
    """
    packets, again = got.get("packetsReceived", 0), got.get("retransmittedPacketsReceived", 0)
    octets, octets_again = got.get("bytesReceived", 0), got.get("retransmittedBytesReceived", 0)
    useful = min(1.0, max(0, got.get("packetsLost", 0)) / again) if again else 0.0
    first = octets - octets_again - got.get("fecBytesReceived", 0) + (packets - again) * _HEADER
    return float(first + (octets_again + again * _HEADER) * useful)


def _judged_seconds(seen: Observed, start: float) -> float:
    judged = clear(seen)
    tenths = (tenth / 10 for tenth in range(int(start * 10), int(seen.seconds * 10)))
    return sum(0.1 for at in tenths if judged(at))


def _ages(seen: Observed) -> dict[str, Any]:
    judged = clear(seen)
    ages = sorted(
        picture.at - drawn
        for picture in seen.camera
        if judged(picture.at) and (drawn := seen.drawn.get(picture.number or 0)) is not None
    )
    if not ages:
        return {"media_age_s": None, "media_age_p95_s": None}
    return {
        "media_age_s": _rounded(percentile(ages, 0.5)),
        "media_age_p95_s": _rounded(percentile(ages, 0.95)),
    }


def _first(seen: Observed) -> float | None:
    return _rounded(min((p.at for p in (*seen.camera[:1], *seen.slides[:1])), default=None))


def _sound_back(seen: Observed, outage: Window) -> float | None:
    after = [sound for sound in seen.sound if sound.at >= outage.end]
    for start, one in enumerate(after):
        rest = [sound for sound in after[start:] if sound.at <= one.at + _BACK_S]
        samples = rest[-1].samples - one.samples
        if samples > 0.8 * _BACK_S * _RATE and rest[-1].concealed - one.concealed < 0.1 * samples:
            return one.at
    return None


def _slide_back(seen: Observed, outage: Window) -> float | None:
    for picture in seen.slides:
        standing = [page for page, at in seen.flips if at <= picture.at]
        current = picture.number is not None and standing and picture.number == standing[-1]
        if picture.at >= outage.end and current and (picture.psnr or 0) >= LEGIBLE_DB:
            return picture.at
    return None


def _quality_back(seen: Observed, outage: Window) -> float | None:
    usual = [p.width for p in seen.camera if outage.start - 10 <= p.at < outage.start]
    if not usual:
        return None
    width = statistics.median(usual)
    return next((p.at for p in seen.camera if p.at >= outage.end and p.width >= width), None)


def _since(outage: Window, at: float | None) -> float | None:
    return None if at is None else _rounded(at - outage.end)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
