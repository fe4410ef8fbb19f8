"""Whose track an archive shows."""

from recorder.pipeline.publishers import Publishers


def shown(publishers: Publishers, *numbers: int) -> list[int]:
    return [number for number in numbers if publishers.shows(number)]


def test_what_one_publishes_shares_a_clock() -> None:
    publishers = Publishers()
    first = publishers.publish(1, "wang", "teacher", "camera")
    assert publishers.publish(2, "wang", "teacher", "microphone") == first
    assert publishers.publish(3, "hilltop", "school", "camera") != first
    assert publishers.publish(4, "wang", "teacher", "slides") == first


def test_of_one_unknown_publisher_a_source_that_comes_again_has_another_clock() -> None:
    publishers = Publishers()
    first = publishers.publish(1, "", "teacher", "camera")
    second = publishers.publish(2, "", "teacher", "camera")
    assert second != first
    assert publishers.publish(3, "", "teacher", "microphone") == second
    assert shown(publishers, 1, 2) == [2]


def test_a_second_camera_of_one_member_is_not_mixed_into_the_first() -> None:
    publishers = Publishers()
    first = publishers.publish(1, "li", "assistant", "camera")
    assert publishers.publish(2, "li", "assistant", "camera") == first
    assert shown(publishers, 1, 2) == [1]
    publishers.unpublish(1)
    assert shown(publishers, 1, 2) == [2]


def test_the_teacher_comes_before_assistants_and_they_are_shown_again_afterwards() -> None:
    publishers = Publishers()
    publishers.publish(1, "li", "assistant", "camera")
    publishers.publish(2, "zhao", "assistant", "camera")
    assert shown(publishers, 1, 2) == [1]
    publishers.publish(3, "wang", "teacher", "camera")
    publishers.publish(4, "sun", "assistant", "camera")
    assert shown(publishers, 1, 2, 3, 4) == [3]
    publishers.unpublish(3)
    assert shown(publishers, 1, 2, 4) == [1]
    publishers.unpublish(1)
    assert shown(publishers, 2, 4) == [2]


def test_a_teacher_who_takes_over_is_shown_and_the_first_one_again_when_he_leaves() -> None:
    publishers = Publishers()
    publishers.publish(1, "wang", "teacher", "camera")
    publishers.publish(2, "zhou", "teacher", "camera")
    assert shown(publishers, 1, 2) == [2]
    publishers.unpublish(2)
    assert shown(publishers, 1, 2) == [1]


def test_a_school_has_the_floor_beside_the_teacher() -> None:
    publishers = Publishers()
    publishers.publish(1, "wang", "teacher", "camera")
    publishers.publish(2, "hilltop", "school", "camera")
    publishers.publish(3, "hilltop", "school", "slides")
    assert shown(publishers, 1, 2, 3) == [1, 2, 3]
    publishers.publish(4, "riverside", "school", "camera")  # before the first has gone
    assert shown(publishers, 1, 2, 4) == [1, 4]
    publishers.unpublish(2)
    assert shown(publishers, 1, 4) == [1, 4]


def test_what_is_not_published_is_not_shown() -> None:
    publishers = Publishers()
    assert not publishers.any
    publishers.publish(1, "wang", "teacher", "camera")
    assert publishers.any
    publishers.unpublish(1)
    publishers.unpublish(99)
    assert shown(publishers, 1, 99) == []
    assert not publishers.any
