//! Congestion control on a virtual bottleneck: the cases of RFC 8867 section 5, the links that
//! schools have, and what is ours: outages, lessons that send little, loss that is not ours.

mod bottleneck;

use bottleneck::{Gilbert, Series, cases};

/// At least so much of the capacity, a queue of at most so many milliseconds (p95).
fn assert_used(series: &Series, from: f64, until: f64, used: f64, queue: f64) {
    let (is, waits) = (
        series.utilisation(from, until),
        series.queue(0.95, from, until),
    );
    assert!(
        is >= used,
        "{}: {is:.2} used between {from} and {until}",
        series.name
    );
    assert!(
        waits <= queue,
        "{}: {waits:.0} ms between {from} and {until}",
        series.name
    );
}

// ------------------------------------------------------------------ RFC 8867

#[test]
fn case_5_1_follows_the_capacity_up_and_down() {
    let series = cases::variable_capacity().run();
    assert_used(&series, 10.0, 40.0, 0.85, 80.0);
    assert_used(&series, 45.0, 60.0, 0.8, 80.0);
    assert_used(&series, 65.0, 80.0, 0.8, 120.0);
    assert_used(&series, 90.0, 100.0, 0.85, 80.0);
    let found = series.reaches(0, 40.0, |rate| rate > 2e6);
    assert!(found < 10.0, "2.5 Mbit/s found after {found} s");
    let gave_way = series.reaches(0, 60.0, |rate| rate < 0.62e6);
    assert!(gave_way < 2.0, "gave way after {gave_way} s");
}

#[test]
fn case_5_2_two_flows_follow_together() {
    let series = cases::variable_capacity_two_flows().run();
    for from in [5.0, 30.0, 60.0, 85.0, 110.0] {
        assert_used(&series, from, from + 15.0, 0.75, 120.0);
    }
    assert!(series.fairness(10.0, 125.0) > 0.95);
}

#[test]
fn case_5_3_a_congested_feedback_link_is_no_congestion_of_ours() {
    let series = cases::congested_feedback().run();
    // Flow 0 goes there, flow 1 back.
    let there = [
        (5.0, 20.0, 1.5e6),
        (25.0, 40.0, 1e6),
        (45.0, 60.0, 0.5e6),
        (75.0, 100.0, 1.5e6),
    ];
    for (from, until, most) in there {
        let rate = series.rate(0, from, until);
        assert!(rate > 0.7 * most, "{rate} bit/s of {most} from {from}");
    }
    for (from, until, most) in [
        (5.0, 35.0, 1.5e6),
        (45.0, 70.0, 0.8e6),
        (85.0, 100.0, 1.5e6),
    ] {
        let rate = series.rate(1, from, until);
        assert!(
            rate > 0.65 * most,
            "{rate} bit/s of {most} back from {from}"
        );
    }
    assert!(series.queue(0.95, 5.0, 100.0) < 120.0);
}

#[test]
fn case_5_4_who_comes_later_gets_as_much() {
    let series = cases::competing_flows().run();
    assert_used(&series, 60.0, 120.0, 0.85, 80.0);
    assert!(
        series.fairness(60.0, 120.0) > 0.9,
        "{}",
        series.fairness(60.0, 120.0)
    );
}

#[test]
fn case_5_5_a_longer_round_trip_gets_as_much() {
    let series = cases::round_trip_fairness().run();
    assert_used(&series, 100.0, 300.0, 0.85, 80.0);
    assert!(
        series.fairness(100.0, 300.0) > 0.9,
        "{}",
        series.fairness(100.0, 300.0)
    );
}

#[test]
fn case_5_6_neither_starves_beside_tcp() {
    for queue in [300, 1_000] {
        let series = cases::long_tcp(queue).run();
        let (media, tcp) = (series.rate(0, 60.0, 120.0), series.tcp(60.0, 120.0));
        assert!(
            media > 0.4e6 && tcp > 0.4e6,
            "{media} beside {tcp} bit/s, {queue} ms"
        );
    }
}

#[test]
fn case_5_7_short_tcp_leaves_enough() {
    let series = cases::short_tcp().run();
    for flow in 0..2 {
        let rate = series.rate(flow, 60.0, 300.0);
        assert!(rate > 0.3e6, "{rate} bit/s");
    }
    assert!(series.fairness(60.0, 300.0) > 0.9);
}

// ------------------------------------------------------------------ links of schools

#[test]
fn loss_of_the_link_takes_nothing_away() {
    for seed in 1..=5 {
        assert_used(&cases::bad_4g(seed).run(), 20.0, 120.0, 0.8, 150.0);
        assert_used(&cases::satellite(seed).run(), 20.0, 120.0, 0.8, 200.0);
        assert_used(
            &cases::satellite_in_rain(seed).run(),
            20.0,
            120.0,
            0.75,
            200.0,
        );
        assert_used(
            &cases::narrow_satellite(seed).run(),
            20.0,
            120.0,
            0.8,
            250.0,
        );
        assert_used(&cases::low_satellites(seed).run(), 20.0, 120.0, 0.8, 100.0);
        assert_used(&cases::adsl(seed).run(), 20.0, 120.0, 0.85, 80.0);
    }
}

#[test]
fn the_link_s_loss_is_told_from_ours() {
    for seed in 1..=3 {
        let told = cases::bad_4g(seed).run().inherent[0];
        assert!((0.02..0.09).contains(&told), "{told} of 0.05");
        let told = cases::adsl(seed).run().inherent[0];
        assert!(told < 0.02, "{told} of 0.003");
    }
}

#[test]
fn a_queue_too_short_to_be_seen_is_found_by_its_loss() {
    for inherent in [
        Gilbert::default(),
        Gilbert {
            into: 0.01,
            out: 0.5,
        },
    ] {
        let series = cases::shallow(inherent, 1).run();
        let offered = series.target(0, 20.0, 120.0);
        assert!(
            (0.6e6..1.1e6).contains(&offered),
            "{offered} bit/s offered to 1 Mbit/s"
        );
        assert!(series.utilisation(20.0, 120.0) > 0.6);
    }
}

#[test]
fn the_rate_comes_back_after_an_outage() {
    for (seconds, seed) in [
        (10.0, 1),
        (10.0, 2),
        (10.0, 3),
        (30.0, 1),
        (30.0, 2),
        (30.0, 3),
    ] {
        let series = cases::outage(seconds, seed).run();
        let before = series.target(0, 30.0, 40.0);
        let least = series.between(40.0, 40.0 + seconds).map(|s| s.targets[0]);
        let least = least.fold(f64::MAX, f64::min);
        assert!(
            least < before / 4.0,
            "{least} bit/s at the end of {seconds} s of silence"
        );
        let back = series.reaches(0, 40.0 + seconds, |rate| rate > 0.85 * before);
        assert!(back < 5.0, "back {back} s after an outage of {seconds} s");
        let end = 40.0 + seconds;
        assert_used(&series, end + 5.0, 120.0, 0.75, 200.0);
    }
}

#[test]
fn neighbours_who_download_leave_a_lesson_most_of_what_it_had() {
    let mut kept = Vec::new();
    for (connections, seed) in (1..=3).flat_map(|n| (1..=4).map(move |seed| (n, seed))) {
        let series = cases::neighbours(connections, seed).run();
        let (before, beside) = (series.rate(0, 15.0, 24.0), series.rate(0, 26.0, 42.0));
        kept.push(beside / before);
        assert!(
            series.tcp(26.0, 42.0) > 2.5e6,
            "{connections} connections starve"
        );
    }
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    assert!(mean > 0.8, "{kept:.2?}");
}

#[test]
fn a_link_that_changes_each_few_seconds_is_used() {
    let (mut rates, mut queues) = (Vec::new(), Vec::new());
    for seed in 1..=20 {
        let series = cases::rural_4g(seed).run();
        rates.push(series.rate(0, 10.0, 120.0));
        queues.push(series.queue(0.95, 10.0, 120.0));
    }
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    assert!(mean > 0.8e6, "{rates:.0?} bit/s");
    assert!(queues.iter().all(|queue| *queue < 100.0), "{queues:.0?} ms");
}

// ------------------------------------------------------------------ what lessons send

#[test]
fn a_lesson_that_sends_little_keeps_and_bounds_the_estimate() {
    let series = cases::camera_joins(cases::adsl(1), 2.5e6).run();
    let targets = || series.between(20.0, 40.0).map(|s| s.targets[0]);
    let (least, most) = (
        targets().fold(f64::MAX, f64::min),
        targets().fold(0.0, f64::max),
    );
    assert!(least > 300e3, "decayed to {least}");
    assert!(most < 5e6, "grew to {most}");
}

#[test]
fn what_is_wanted_is_found_before_it_is_sent() {
    for seed in 1..=5 {
        let links = [(cases::adsl(seed), 2.5e6), (cases::satellite(seed), 1.5e6)];
        for (link, rate) in links {
            let series = cases::camera_joins(link, rate).run();
            let found = series.target(0, 58.0, 60.0);
            // Jitter blurs the answer of a probe by some percent.
            assert!(found >= 0.95 * rate, "{found} of {rate} bit/s, seed {seed}");
            let got = series.rate(0, 62.0, 120.0);
            assert!(got > 0.95 * rate, "{got} of {rate} bit/s, seed {seed}");
            assert!(series.queue(0.95, 62.0, 120.0) < 100.0);
        }
    }
}

#[test]
fn probes_do_not_harm_a_narrow_line() {
    // 200 kbit/s of 250 are used, and a layer is wanted that will never fit.
    let mut case = cases::narrow_satellite(1);
    case.there.rate = vec![(0.0, 250e3)];
    case.flows = vec![bottleneck::FlowConfig::new(bottleneck::Source::Fixed(
        vec![(0.0, 200e3)],
        vec![(0.0, 600e3)],
    ))];
    let series = case.run();
    assert!(
        series.queue(0.99, 20.0, 120.0) < 250.0,
        "{}",
        series.queue(0.99, 20.0, 120.0)
    );
    assert!(
        series.padded[0] < 40_000,
        "{} bytes of padding",
        series.padded[0]
    );
}

#[test]
fn changes_are_told_seldom() {
    for case in [
        cases::bad_4g(1),
        cases::satellite(1),
        cases::low_satellites(1),
    ] {
        let told = case.run().changes[0];
        assert!(
            told < 2 * case.seconds,
            "{told} in {} s of {}",
            case.seconds,
            case.name
        );
    }
}
