"""Whose track an archive shows."""

from recorder.publishers import Placed, Publishers


def publish(
    publishers: Publishers, number: int, owner: str, role: str, source: str = "camera"
) -> Placed:
    place = "audio" if source == "microphone" else source
    return publishers.publish(number, owner, role, source, place)


def test_what_one_publishes_shares_a_clock() -> None:
    publishers = Publishers()
    first = publish(publishers, 1, "wang", "teacher")
    assert publish(publishers, 2, "wang", "teacher", "microphone").publisher == first.publisher
    assert publish(publishers, 3, "hilltop", "school").publisher != first.publisher
    assert publish(publishers, 4, "wang", "teacher", "slides").publisher == first.publisher


def test_of_one_unknown_publisher_a_source_that_comes_again_has_another_clock() -> None:
    publishers = Publishers()
    first = publish(publishers, 1, "", "teacher")
    assert publish(publishers, 2, "", "teacher") == Placed(first.publisher + 1, True)
    assert publish(publishers, 3, "", "teacher", "microphone") == Placed(2, True)


def test_a_second_camera_of_one_member_is_not_mixed_into_the_first() -> None:
    publishers = Publishers()
    first = publish(publishers, 1, "li", "assistant")
    assert publish(publishers, 2, "li", "assistant") == Placed(first.publisher, False)


def test_the_teacher_comes_before_others() -> None:
    publishers = Publishers()
    assert publish(publishers, 1, "li", "assistant").shown
    assert not publish(publishers, 2, "hilltop", "school").shown
    assert publish(publishers, 3, "wang", "teacher").displaced == 1
    assert not publish(publishers, 4, "li2", "assistant").shown


def test_a_place_is_free_again() -> None:
    publishers = Publishers()
    publish(publishers, 1, "wang", "teacher")
    publishers.unpublish(1)
    assert publish(publishers, 2, "hilltop", "school").shown
    publishers.unpublish(99)
