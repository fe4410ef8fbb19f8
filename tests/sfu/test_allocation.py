"""Who gets which layer: sound, then slides, then the camera; down at once, up slowly."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.allocation import (
    GRACE,
    MOST_PATIENCE,
    START,
    TOLERANCE,
    TURN_SHARE,
    WISH,
    Allocator,
    Demand,
    Layer,
    ladder,
    share,
)

MICROPHONE, SLIDES, CAMERA = 1, 2, 3

# Three sizes of a camera, each with three temporal layers; slides and sound have one.
CAMERA_RATES = [
    (stream, 0, temporal, int(full * part))
    for stream, full in enumerate((120_000, 400_000, 1_400_000))
    for temporal, part in enumerate((0.5, 0.7, 1.0))
]
DEMANDS = {
    MICROPHONE: Demand("microphone", ladder([(0, 0, 0, 50_000)])),
    SLIDES: Demand("slides", ladder([(0, 0, 0, 200_000)])),
    CAMERA: Demand("camera", ladder(CAMERA_RATES)),
}


class Viewer:
    """An allocator, and what it has granted so far."""

    def __init__(self, estimate: float = math.inf) -> None:
        self.now = 100.0
        self.allocator = Allocator(self.now, estimates=True)
        self.allocator.set_demands(DEMANDS)
        self.granted: dict[int, Layer | None] = {}
        self.switches = 0
        self.allocator.set_estimate(estimate, self.now - GRACE)
        self.look()

    def tell(self, estimate: float) -> None:
        self.allocator.set_estimate(estimate, self.now)
        self.look()

    def look(self) -> None:
        for grant in self.allocator.poll(self.now):
            self.granted[grant.downtrack] = grant.layer
            self.switches += 1

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            self.look()

    @property
    def camera(self) -> tuple[int, int, int] | None:
        layer = self.granted[CAMERA]
        return layer.place if layer else None


def test_a_ladder_gets_larger_only_where_it_moves() -> None:
    steps = ladder(CAMERA_RATES)
    assert [step.place for step in steps] == [
        (0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 0, 2), (2, 0, 1), (2, 0, 2),
    ]  # fmt: skip
    assert ladder([]) == ()


def test_a_wide_line_gets_everything() -> None:
    viewer = Viewer(10_000_000)
    assert viewer.camera == (2, 0, 2)
    assert viewer.granted[SLIDES] is not None


def test_the_camera_gives_way_first_and_slides_stay() -> None:
    smallest = (0, 0, 0)
    cases = [(900_000, (1, 0, 1)), (550_000, (0, 0, 2)), (330_000, smallest), (270_000, None)]
    for estimate, camera in cases:
        viewer = Viewer(estimate)
        assert viewer.camera == camera, estimate
        assert viewer.granted[SLIDES] is not None
        assert viewer.granted[MICROPHONE] is not None


def test_slides_are_never_suspended_from_150_kbit_on() -> None:
    assert Viewer(150_000).granted[SLIDES] is not None
    below = Viewer(149_000)
    assert below.granted[SLIDES] is None
    assert below.granted[MICROPHONE] is not None


def test_a_step_down_is_at_once_and_a_step_up_is_not() -> None:
    viewer = Viewer(10_000_000)
    viewer.tell(550_000)
    assert viewer.camera == (0, 0, 2)
    viewer.tell(10_000_000)
    assert viewer.camera == (0, 0, 2)
    viewer.wait(1.5)
    assert viewer.camera == (2, 0, 2)


def test_a_step_up_needs_room_to_spare() -> None:
    viewer = Viewer(550_000)
    needed = 50_000 + 200_000 + 280_000  # the next step of the camera
    viewer.tell(needed / (1 - TURN_SHARE))
    viewer.wait(30)
    assert viewer.camera == (0, 0, 2)
    viewer.tell(needed * 1.15 / (1 - TURN_SHARE))
    viewer.wait(30)
    assert viewer.camera == (1, 0, 1)


def test_a_line_that_swings_is_followed_down_and_then_left_alone() -> None:
    viewer = Viewer(550_000)
    for _ in range(60):  # ten minutes, up and down every five seconds
        viewer.tell(2_500_000)
        viewer.wait(5)
        viewer.tell(550_000)
        viewer.wait(5)
    viewer.switches = 0
    for _ in range(30):
        viewer.tell(2_500_000)
        viewer.wait(5)
        viewer.tell(550_000)
        viewer.wait(5)
    assert viewer.switches <= 2 * 5


def test_patience_is_bounded_and_comes_back() -> None:
    viewer = Viewer(550_000)
    for _ in range(20):
        viewer.tell(2_500_000)
        viewer.wait(70)
        viewer.tell(550_000)
    viewer.tell(2_500_000)
    viewer.wait(MOST_PATIENCE + 5)
    assert viewer.camera == (2, 0, 2)


def test_a_wish_costs_neither_patience_nor_steps_until_the_line_objects() -> None:
    viewer = Viewer(550_000)
    allocator, wish = viewer.allocator, viewer.now
    allocator.set_demands({**DEMANDS, CAMERA: replace(DEMANDS[CAMERA], wished=wish)})
    viewer.tell(10_000_000)
    assert viewer.camera == (2, 0, 2)  # at once
    viewer.tell(550_000)
    viewer.now += 0.5
    viewer.tell(10_000_000)
    assert viewer.camera == (0, 0, 2)  # the line objected: patience again
    viewer.wait(WISH)
    assert viewer.camera == (2, 0, 2)


def test_a_wish_is_forgotten_in_time() -> None:
    viewer = Viewer(550_000)
    demand = replace(DEMANDS[CAMERA], wished=viewer.now - WISH)
    viewer.allocator.set_demands({**DEMANDS, CAMERA: demand})
    viewer.tell(10_000_000)
    assert viewer.camera == (0, 0, 2)


def test_before_anything_is_known_the_smaller_picture_is_given_and_none_is_withheld() -> None:
    allocator = Allocator(0.0, estimates=True)
    allocator.set_demands(DEMANDS)
    grants = {grant.downtrack: grant.layer for grant in allocator.poll(0.0)}
    camera = grants[CAMERA]
    assert camera is not None
    assert camera.bits_per_second < START
    single = {CAMERA: Demand("camera", ladder([(0, 0, 0, 3_000_000)]))}
    allocator = Allocator(0.0, estimates=True)
    allocator.set_demands(single)
    assert allocator.poll(0.0)[0].layer is not None


def test_the_first_estimates_are_not_taken_at_their_word() -> None:
    allocator = Allocator(0.0, estimates=True)
    allocator.set_demands(DEMANDS)
    allocator.poll(0.0)
    allocator.set_estimate(100_000, 1.0)
    assert allocator.poll(1.0) == []
    assert allocator.waits()
    grants = {grant.downtrack: grant.layer for grant in allocator.poll(1.0 + GRACE)}
    assert grants[CAMERA] is None


def test_who_never_tells_what_arrives_gets_everything() -> None:
    allocator = Allocator(0.0, estimates=False)
    allocator.set_demands(DEMANDS)
    grants = {grant.downtrack: grant.layer for grant in allocator.poll(0.0)}
    assert grants[CAMERA] == DEMANDS[CAMERA].ladder[-1]


def test_a_cap_bounds_what_the_line_would_carry() -> None:
    viewer = Viewer(10_000_000)
    viewer.allocator.set_cap(550_000)
    viewer.look()
    assert viewer.camera == (0, 0, 2)


def test_a_layer_that_the_publisher_sends_no_more_is_replaced_by_a_cheaper_one() -> None:
    viewer = Viewer(10_000_000)
    without_best = ladder(rate for rate in CAMERA_RATES if rate[0] < 2)
    viewer.allocator.set_demands({**DEMANDS, CAMERA: Demand("camera", without_best)})
    viewer.look()
    assert viewer.camera == (1, 0, 2)


@given(
    budget=st.integers(0, 100_000_000),
    wanted=st.lists(st.integers(0, 10_000_000), max_size=20),
)
def test_a_shared_line_is_used_up_and_nobody_gets_more_than_wanted(
    budget: int, wanted: list[int]
) -> None:
    shares = share(budget, wanted)
    assert sum(shares) <= budget * (1 + 1e-9) or not shares
    assert sum(shares) == pytest.approx(min(budget, sum(wanted)), rel=1e-6, abs=1e-3)
    for mine, want in zip(shares, wanted, strict=True):
        assert 0 <= mine <= want
        if mine < want * (1 - 1e-9):  # who gets less than wanted gets no less than others
            assert mine >= max(shares) * (1 - 1e-6)


@given(estimates=st.lists(st.tuples(st.integers(30_000, 5_000_000), st.floats(0.1, 20))))
def test_what_is_granted_always_fits_or_must_be_given(
    estimates: list[tuple[int, float]],
) -> None:
    viewer = Viewer(1_000_000)
    for estimate, seconds in estimates:
        viewer.tell(estimate)
        viewer.wait(seconds)
        given = [layer for layer in viewer.granted.values() if layer]
        cost = sum(layer.bits_per_second for layer in given)
        assert cost <= estimate * TOLERANCE or viewer.camera is None
