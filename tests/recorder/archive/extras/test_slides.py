"""Slide changes from packet sizes: each one found, to the frame, and nothing else."""

import pytest

from recorder.archive.extras import slides
from recorder.archive.extras.slides import Differ
from recorder.archive.reading import Sample
from tests.recorder.archive.extras.screen import FPS, screen

CHANGES = [7.4, 19.0, 31.2, 38.0, 52.6, 61.0, 71.8]


def never(one: float, other: float) -> bool:
    raise AssertionError(f"the keyframes at {one} and {other} need not be looked at")


def nothing_new(one: float, other: float) -> bool:
    return False


def who_knows(*changes: float) -> Differ:
    return lambda one, other: any(one < change <= other + 1e-6 for change in changes)


def samples(coded: list) -> list[Sample]:
    return [Sample(float(c.seconds), len(c.data), c.keyframe) for c in coded]


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
@pytest.mark.parametrize("mouse", [True, False])
def test_every_change_is_found_to_the_frame(codec: str, mouse: bool):
    coded = screen(80, CHANGES, codec=codec, mouse=mouse)
    found = slides.changes(samples(coded), who_knows(*CHANGES))
    assert found == pytest.approx(CHANGES, abs=1 / FPS / 2)


def test_a_change_that_comes_just_with_a_keyframe_is_found():
    coded = screen(40, [20.0])
    assert slides.changes(samples(coded), who_knows(20.0)) == pytest.approx([20.0])


def test_a_screen_that_stands_still_has_no_changes():
    assert slides.changes(samples(screen(60, [])), nothing_new) == []


def test_who_leafs_through_shows_the_slide_he_stays_at():
    leafed = [20.2, 21.4, 22.8, 24.2]
    found = slides.changes(samples(screen(40, leafed)), who_knows(*leafed))
    assert found == pytest.approx([24.2], abs=0.1)


def test_a_film_on_the_screen_is_not_a_hundred_slides():
    film = [Sample(n / 15, 9_000 + n * 7919 % 4_000, n % 60 == 0) for n in range(900)]
    assert slides.changes(film, never) == []


def test_only_keyframes_in_doubt_are_looked_at():
    still = [Sample(n / 5, 30_000 if n % 20 == 0 else 60, n % 20 == 0) for n in range(200)]
    other = [Sample(40 + n / 5, 50_000 if n % 20 == 0 else 60, n % 20 == 0) for n in range(100)]
    asked = []

    def differ(one: float, two: float) -> bool:
        asked.append((one, two))
        return True

    assert slides.changes(still + other, differ) == [40.0]
    assert asked == [(36.0, 40.0)]


def test_looks_are_bounded():
    asked = []

    def differ(one: float, two: float) -> bool:
        asked.append(one)
        return False

    restless = [
        Sample(n / 5, 30_000 + n * 977 % 9_000 if n % 5 == 0 else 60, n % 5 == 0)
        for n in range(5_000)
    ]
    assert slides.changes(restless, differ) == []
    assert len(asked) == slides.LOOKS


def test_nothing_comes_of_nothing():
    assert slides.changes([], never) == []
    assert slides.changes([Sample(0.0, 0, False), Sample(0.0, 0, True)], never) == []
