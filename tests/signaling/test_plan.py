from dataclasses import replace

import pytest

from sfu.errors import NegotiationError
from sfu.negotiation import Offer
from sfu.sdp_offer import parse_offer
from signaling.plan import Give, Intent, Take, Talk, plan_publish, plan_watch
from tests.sfu.offers import VIDEO, capture


def summary(intents: list[Intent]) -> list[tuple[str, str] | str | None]:
    return [
        (i.source, i.codec.name) if isinstance(i, Take | Give) else ("talk" if i else None)
        for i in intents
    ]


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
    live = {"camera": "VP8", "microphone": "opus"}
    assert summary(plan_watch(offer, live, VIDEO)) == [
        ("microphone", "opus"),
        ("camera", "VP8"),
        ("slides", "H264"),  # not published yet
        "talk",
    ]


def test_a_viewer_without_the_live_codec_is_still_answered() -> None:
    offer = parse_offer(capture("chromium_watch").replace("VP8/90000", "XYZ/90000"))
    assert summary(plan_watch(offer, {"camera": "VP8"}, VIDEO))[1] == ("camera", "H264")


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
