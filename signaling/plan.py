"""Which section of an offer carries what. Pure.

A publisher says it by order or by `a=content:slides` (RFC 4796); so does a viewer. What a section
becomes is an intent, one for each section of the offer; `None` is a section we reject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfu.errors import NegotiationError
from sfu.negotiation import Codec, Offer, Section, choose_audio, choose_video


@dataclass(frozen=True, slots=True)
class Take:
    """The peer publishes this source here."""

    source: str
    codec: Codec


@dataclass(frozen=True, slots=True)
class Give:
    """The peer watches this source here."""

    source: str
    codec: Codec


@dataclass(frozen=True, slots=True)
class Talk:
    """The peer opens data channels here."""


Intent = Take | Give | Talk | None


def plan_publish(offer: Offer, preference: Sequence[str]) -> list[Intent]:
    """Take microphone, camera and slides, each in the codec we like best.

    Raises NegotiationError when there is nothing we can take.
    """
    sources = _sources([s if s.sends else None for s in offer.sections])
    intents: list[Intent] = []
    for section, source in zip(offer.sections, sources, strict=True):
        codec = _choose(section, preference) if source else None
        intents.append(Take(source, codec) if source and codec else _talk(section))
    if not any(isinstance(intent, Take) for intent in intents):
        raise NegotiationError(
            "The offer sends nothing we can take: audio must be Opus, video one of "
            f"{', '.join(preference)}."
        )
    return intents


def plan_watch(offer: Offer, live: Mapping[str, str], preference: Sequence[str]) -> list[Intent]:
    """Give camera, slides and microphone; `live` names the codec of each published source.

    A source that is not published yet gets the codec we would ask its publisher for.
    Raises NegotiationError when there is nothing we can give.
    """
    sources = _sources([s if s.receives else None for s in offer.sections])
    intents: list[Intent] = []
    for section, source in zip(offer.sections, sources, strict=True):
        wanted = [live[source]] if source is not None and source in live else []
        codec = _choose(section, [*wanted, *preference]) if source else None
        intents.append(Give(source, codec) if source and codec else _talk(section))
    if not any(isinstance(intent, Give) for intent in intents):
        raise NegotiationError(
            "The offer receives nothing we can give: audio must be Opus, video one of "
            f"{', '.join(preference)}."
        )
    return intents


def _sources(sections: Sequence[Section | None]) -> list[str | None]:
    """The source of each section: the first of its kind gets it, what is left over gets none."""
    named = [_named_source(section) for section in sections]
    free = [source for source in ("camera", "slides") if source not in named]
    sources: list[str | None] = []
    for section, name in zip(sections, named, strict=True):
        source = name
        if source is None and section is not None and section.kind == "video" and free:
            source = free.pop(0)
        sources.append(source if source not in sources else None)
    return sources


def _named_source(section: Section | None) -> str | None:
    """The source that a section names by itself."""
    match section:
        case Section(kind="audio"):
            return "microphone"
        case Section(kind="video", content="slides"):
            return "slides"
        case _:
            return None


def _choose(section: Section, preference: Sequence[str]) -> Codec | None:
    return choose_audio(section) if section.kind == "audio" else choose_video(section, preference)


def _talk(section: Section) -> Talk | None:
    return Talk() if section.is_data_channel else None
