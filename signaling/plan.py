"""Which section of an offer carries what. Pure.

A publisher says it by order or by `a=content:slides` (RFC 4796); so does a viewer. What a section
becomes is an intent, one for each section of the offer; `None` is a section we reject.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sfu.errors import NegotiationError
from sfu.negotiation import Codec, Offer, Section, choose_audio, choose_video
from signaling.events import CAMERA, MICROPHONE, SLIDES, SOURCES, Whose


@dataclass(frozen=True, slots=True)
class Take:
    """The peer publishes this source here."""

    source: str
    codec: Codec


@dataclass(frozen=True, slots=True)
class Give:
    """The peer watches this source here, the teacher's or that of whoever has the floor."""

    source: str
    codec: Codec
    whose: Whose = Whose.TEACHER


@dataclass(frozen=True, slots=True)
class Talk:
    """The peer opens data channels here."""


Intent = Take | Give | Talk | None


Place = tuple[Whose, str]
"""Whose source."""

_SENT: tuple[tuple[Place, ...], ...] = (
    ((Whose.TEACHER, MICROPHONE),),
    ((Whose.TEACHER, CAMERA), (Whose.TEACHER, SLIDES)),
)
"""What a publisher's audio and video sections carry, in their order."""
_SHOWN = (
    (*_SENT[0], (Whose.FLOOR, MICROPHONE)),
    (*_SENT[1], (Whose.FLOOR, CAMERA)),
)
"""What a viewer's carry: who has room for more hears and sees the school that has the floor."""


def plan_publish(
    offer: Offer, preference: Sequence[str], allowed: frozenset[str] = SOURCES
) -> list[Intent]:
    """Take microphone, camera and slides, those `allowed`, each in the codec we like best.

    Raises NegotiationError when there is nothing we can take.
    """
    intents: list[Intent] = []
    for section, place in _places(offer, [s.sends for s in offer.sections], _SENT):
        codec = _choose(section, preference) if place and place[1] in allowed else None
        intents.append(Take(place[1], codec) if place and codec else _talk(section))
    if not any(isinstance(intent, Take) for intent in intents):
        raise NegotiationError(
            "The offer sends nothing we can take: audio must be Opus, video one of "
            f"{', '.join(preference)}."
        )
    return intents


def plan_watch(offer: Offer, live: Mapping[Place, str], preference: Sequence[str]) -> list[Intent]:
    """Give camera, slides and microphone, then those of the floor; `live` names the codec of each
    that is published.

    What is not published yet gets the codec we would ask its publisher for.
    Raises NegotiationError when there is nothing we can give.
    """
    intents: list[Intent] = []
    for section, place in _places(offer, [s.receives for s in offer.sections], _SHOWN):
        wanted = [live[place]] if place is not None and place in live else []
        codec = _choose(section, [*wanted, *preference]) if place else None
        intents.append(Give(place[1], codec, place[0]) if place and codec else _talk(section))
    if not any(isinstance(intent, Give) for intent in intents):
        raise NegotiationError(
            "The offer receives nothing we can give: audio must be Opus, video one of "
            f"{', '.join(preference)}."
        )
    return intents


def _places(
    offer: Offer, usable: Sequence[bool], places: tuple[tuple[Place, ...], ...]
) -> Iterator[tuple[Section, Place | None]]:
    """Each section with what it carries: the first of its kind gets the first, and so on."""
    audio, video = list(places[0]), list(places[1])
    slides = next(place for place in video if place[1] == SLIDES)
    pairs = list(zip(offer.sections, usable, strict=True))
    named = [s.kind == "video" and s.content == SLIDES and use for s, use in pairs]
    if any(named):
        video.remove(slides)
    for index, (section, use) in enumerate(pairs):
        free = {"audio": audio, "video": video}.get(section.kind, []) if use else []
        if named[index]:  # the first that says so; a second one is nothing else
            yield section, slides if index == named.index(True) else None
        else:
            yield section, free.pop(0) if free else None


def _choose(section: Section, preference: Sequence[str]) -> Codec | None:
    return choose_audio(section) if section.kind == "audio" else choose_video(section, preference)


def _talk(section: Section) -> Talk | None:
    return Talk() if section.is_data_channel else None
