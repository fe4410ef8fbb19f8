from sfu.stats import parse_stats


def test_counters_are_summed_over_shards() -> None:
    stats = parse_stats({"shards": [{"packets_in": 2}, {"packets_in": 3, "other": 1}]})
    assert stats.total("packets_in") == 5
    assert stats.total("never_heard_of") == 0


def test_what_is_not_known_is_left_out() -> None:
    stats = parse_stats({"shards": "no list", "uptracks": [3, {"uptrack": 1, "odd": object()}]})
    assert stats.as_json() == {
        "shards": [],
        "uptracks": [{"uptrack": 1}],
        "downtracks": [],
        "links": [],
        "listeners": [],
        "journals": [],
    }
