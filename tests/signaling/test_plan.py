from dataclasses import replace

import pytest

from sfu.errors import NegotiationError
from sfu.negotiation import Offer
from sfu.sdp_offer import parse_offer
from signaling.events import Whose
from signaling.plan import Give, Intent, Take, Talk, plan_publish, plan_watch
from tests.sfu.offers import VIDEO, capture

CAMERA = (Whose.TEACHER, "camera")


def summary(intents: list[Intent]) -> list[tuple[str, str] | str | None]:
    return [describe(intent) for intent in intents]


def describe(intent: Intent) -> tuple[str, str] | str | None:
    match intent:
        case Give(source, codec, Whose.FLOOR):
            return (f"floor's {source}", codec.name)
        case Take(source, codec) | Give(source, codec):
            return (source, codec.name)
        case Talk():
            return "talk"
        case None:
            return None


def mark_slides(offer: Offer, index: int) -> Offer:
    sections = list(offer.sections)
    sections[index] = replace(sections[index], content="slides")
    return replace(offer, sections=tuple(sections))


def test_the_second_video_is_slides() -> None:
    offer = parse_offer(capture("chromium_publish"))
    assert summary(plan_publish(offer, VIDEO)) == [
        ("microphone", "opus"),
        ("camera", "H264"),
        ("slides", "H264"),
        "talk",
    ]


def test_a_section_may_say_that_it_is_slides() -> None:
    offer = mark_slides(parse_offer(capture("chromium_publish")), 1)
    assert summary(plan_publish(offer, VIDEO))[1:3] == [("slides", "H264"), ("camera", "H264")]


def test_a_third_video_and_a_second_microphone_are_rejected() -> None:
    offer = parse_offer(capture("chromium_publish"))
    audio, camera, slides, _ = offer.sections
    more = replace(offer, sections=(audio, audio, camera, slides, camera))
    assert summary(plan_publish(more, VIDEO)) == [
        ("microphone", "opus"),
        None,
        ("camera", "H264"),
        ("slides", "H264"),
        None,
    ]


def test_what_the_token_does_not_allow_is_not_taken() -> None:
    offer = parse_offer(capture("chromium_publish"))
    intents = plan_publish(offer, VIDEO, frozenset({"microphone"}))
    assert summary(intents) == [("microphone", "opus"), None, None, "talk"]


def test_a_section_that_does_not_send_is_rejected() -> None:
    offer = parse_offer(capture("chromium_publish").replace("a=mid:0\r\n", "a=mid:0\r\n", 1))
    audio = replace(offer.sections[0], direction="recvonly")
    offer = replace(offer, sections=(audio, *offer.sections[1:]))
    assert summary(plan_publish(offer, VIDEO))[0] is None


def test_firefox_without_h264_gets_the_next_best() -> None:
    offer = parse_offer(capture("firefox_publish"))
    assert summary(plan_publish(offer, VIDEO))[1] == ("camera", "VP9")
    assert summary(plan_publish(offer, ["VP8"]))[1] == ("camera", "VP8")


def test_a_viewer_gets_the_codec_that_is_live() -> None:
    offer = parse_offer(capture("chromium_watch"))
    live = {CAMERA: "VP8"}
    assert summary(plan_watch(offer, live, VIDEO)) == [
        ("microphone", "opus"),
        ("camera", "VP8"),
        ("slides", "H264"),  # not published yet
        "talk",
    ]


def test_who_has_room_for_more_hears_and_sees_the_floor() -> None:
    offer = parse_offer(capture("chromium_watch"))
    audio, camera, slides, _ = offer.sections
    more = replace(offer, sections=(audio, camera, slides, audio, camera, audio, camera))
    live = {(Whose.FLOOR, "camera"): "VP8"}
    assert summary(plan_watch(more, live, VIDEO)) == [
        ("microphone", "opus"),
        ("camera", "H264"),
        ("slides", "H264"),
        ("floor's microphone", "opus"),
        ("floor's camera", "VP8"),
        None,
        None,
    ]


def test_slides_are_shown_where_they_are_asked_for() -> None:
    offer = parse_offer(capture("chromium_watch"))
    audio, video, _, _ = offer.sections
    slides = replace(video, content="slides")
    more = replace(offer, sections=(slides, video, video, slides, audio))
    assert summary(plan_watch(more, {}, VIDEO)) == [
        ("slides", "H264"),
        ("camera", "H264"),
        ("floor's camera", "H264"),
        None,
        ("microphone", "opus"),
    ]


def test_a_viewer_without_the_live_codec_is_still_answered() -> None:
    offer = parse_offer(capture("chromium_watch").replace("VP8/90000", "XYZ/90000"))
    assert summary(plan_watch(offer, {CAMERA: "VP8"}, VIDEO))[1] == ("camera", "H264")


@pytest.mark.parametrize("plan", [plan_publish, lambda o, p: plan_watch(o, {}, p)])
def test_nothing_usable_is_one_sentence(plan: object) -> None:
    name = "chromium_publish" if plan is plan_publish else "chromium_watch"
    text = capture(name)
    for codec in ("opus/", "H264/", "VP8/", "VP9/", "AV1/"):
        text = text.replace(codec, "nix/")
    with pytest.raises(NegotiationError, match="audio must be Opus, video one of H264"):
        plan(parse_offer(text), VIDEO)  # type: ignore[operator]


def test_data_alone_is_no_lesson() -> None:
    offer = parse_offer(capture("chromium_publish"))
    offer = replace(offer, sections=offer.sections[3:])
    with pytest.raises(NegotiationError):
        plan_publish(offer, VIDEO)
    assert Talk() == Talk()
