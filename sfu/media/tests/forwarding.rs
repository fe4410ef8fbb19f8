//! Lessons on a virtual network and clock: what is published is what is seen.

mod network;

use network::{Link, Network, Publisher, Viewer, publisher, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::crypto::Profile;
use tongbu_media::shard::{Command, Event};

const LOCAL: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};
const PICTURE: Micros = 33 * MILLISECOND;

/// A lesson of one publisher goes on for a while; every client acts on what reaches it.
fn run(network: &mut Network, teacher: &mut Publisher, viewers: &mut [Viewer], time: Micros) {
    let until = network.now + time;
    while network.now < until {
        if network.now % PICTURE < network::STEP {
            teacher.send_picture(network, 5);
        }
        if network.now % SECOND < network::STEP {
            teacher.send_report(network);
        }
        settle(network, &mut [teacher], viewers);
    }
}

/// As [`run`], with nothing new published.
fn drain(network: &mut Network, teacher: &mut Publisher, viewers: &mut [Viewer], time: Micros) {
    let until = network.now + time;
    while network.now < until {
        settle(network, &mut [teacher], viewers);
    }
}

/// Everything from the first packet seen on, once, in order.
fn assert_whole(viewer: &Viewer, teacher: &Publisher) {
    let numbers = viewer.numbers();
    let first = *numbers.first().expect("the viewer saw something");
    let expected: Vec<u32> = (first..teacher.next).collect();
    assert_eq!(viewer.holes(), 0);
    assert!(
        numbers == expected,
        "{} of {} from {first}",
        numbers.len(),
        expected.len()
    );
}

#[test]
fn what_is_published_is_seen() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 5 * SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_whole(&viewers[0], &teacher);
    assert_eq!(viewers[0].numbers()[0], 0);
    assert_eq!((teacher.nacked, viewers[0].repaired), (0, 0));
    assert_eq!(teacher.keyframes_sent, 1);
    assert_eq!(teacher.reported_lost, 0);
    assert_eq!(teacher.reported_arrived as u32, teacher.next);
    assert_eq!(teacher.loses.last(), Some(&0));
}

#[test]
fn loss_on_both_links_is_mended_by_rtx() {
    let lossy = Link {
        loss: 0.05,
        delay: 40 * MILLISECOND,
        ..LOCAL
    };
    let mut network = Network::new(1, 2);
    let mut teacher = Publisher::new(&mut network, lossy);
    let mut viewers = [Viewer::new(&mut network, lossy, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 20 * SECOND);
    // Only what follows tells that the last packet was lost.
    network.set_link(teacher.address(), LOCAL);
    network.set_link(viewers[0].address(), LOCAL);
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    drain(&mut network, &mut teacher, &mut viewers, 3 * SECOND);
    assert_whole(&viewers[0], &teacher);
    assert!(teacher.nacked > 50, "{} NACKs upstream", teacher.nacked);
    assert!(viewers[0].repaired > 50, "{} repairs", viewers[0].repaired);
    assert!(
        teacher.reported_lost > 50,
        "{} told lost",
        teacher.reported_lost
    );
}

#[test]
fn a_publisher_and_a_viewer_without_rtx_are_mended_too() {
    let lossy = Link {
        loss: 0.05,
        delay: 20 * MILLISECOND,
        ..LOCAL
    };
    for profile in [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80] {
        let mut network = Network::new(1, 3);
        let mut teacher = Publisher::with_layers(&mut network, 0, lossy, &[], false);
        let viewer = Viewer::with(&mut network, 0, lossy, teacher.track, false, profile);
        let mut viewers = [viewer];
        run(&mut network, &mut teacher, &mut viewers, 10 * SECOND);
        drain(&mut network, &mut teacher, &mut viewers, 3 * SECOND);
        assert_whole(&viewers[0], &teacher);
    }
}

#[test]
fn reordering_and_duplication_cost_nothing() {
    let wild = Link {
        late: 0.2,
        late_by: 4 * MILLISECOND,
        twice: 0.2,
        ..LOCAL
    };
    let mut network = Network::new(1, 4);
    let mut teacher = Publisher::new(&mut network, wild);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 10 * SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_whole(&viewers[0], &teacher);
    assert_eq!(
        viewers[0].replays, 0,
        "a repeated packet was forwarded twice"
    );
    assert_eq!(teacher.keyframes_sent, 1);
    assert!(network.shards[0].counters.dropped.replayed > 100);
}

#[test]
fn a_late_joiner_begins_at_a_keyframe_and_a_class_of_them_costs_one() {
    let mut network = Network::new(1, 5);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    run(&mut network, &mut teacher, &mut [], 3 * SECOND);
    let joined = network.now;
    let mut viewers: Vec<_> = (0..20)
        .map(|_| Viewer::new(&mut network, LOCAL, teacher.track))
        .collect();
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    for viewer in &viewers {
        let first = viewer.got.values().next().expect("a picture");
        assert!(first.keyframe, "began between keyframes");
        assert!(
            first.at - joined < 100 * MILLISECOND,
            "waited {} us",
            first.at - joined
        );
        assert_whole(viewer, &teacher);
    }
    assert_eq!(
        teacher.keyframes_sent, 2,
        "one at the start, one for all who joined"
    );
}

#[test]
fn keyframe_requests_are_throttled() {
    let mut network = Network::new(1, 6);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    let before = teacher.keyframes_asked;
    for _ in 0..100 {
        viewers[0].ask_for_keyframe(&mut network);
        run(&mut network, &mut teacher, &mut viewers, 20 * MILLISECOND);
    }
    let asked = teacher.keyframes_asked - before;
    assert!((2..=5).contains(&asked), "{asked} requests in 2 s");
}

#[test]
fn a_nack_storm_is_bounded_and_hurts_nobody() {
    let mut network = Network::new(1, 7);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [
        Viewer::new(&mut network, LOCAL, teacher.track),
        Viewer::new(&mut network, LOCAL, teacher.track),
    ];
    run(&mut network, &mut teacher, &mut viewers, 2 * SECOND);
    let highest = *viewers[0].got.keys().last().expect("packets") as u16;
    let all: Vec<u16> = (0..250).map(|i| highest.wrapping_sub(250 - i)).collect();
    for _ in 0..200 {
        viewers[0].ask(&mut network, &all);
        run(&mut network, &mut teacher, &mut viewers, 5 * MILLISECOND);
    }
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert!(
        viewers[0].repaired <= 2_000,
        "{} resent in a second",
        viewers[0].repaired
    );
    assert_eq!(viewers[1].repaired, 0);
    assert_whole(&viewers[1], &teacher);
}

#[test]
fn the_publisher_may_change_its_ssrc() {
    let mut network = Network::new(1, 8);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 2 * SECOND);
    teacher.change_ssrcs();
    run(&mut network, &mut teacher, &mut viewers, 2 * SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_whole(&viewers[0], &teacher);
    let timestamps: Vec<u32> = viewers[0].got.values().map(|g| g.timestamp).collect();
    let steps = timestamps.windows(2).map(|w| w[1].wrapping_sub(w[0]));
    assert!(
        steps.into_iter().all(|step| step < 90_000 / 10),
        "the clock jumped"
    );
}

#[test]
fn of_simulcast_layers_the_best_is_forwarded_and_its_loss_leaves_no_gap() {
    let layers = [("q", 200), ("h", 500), ("f", 1_100)];
    let mut network = Network::new(1, 9);
    let mut teacher = Publisher::with_layers(&mut network, 0, LOCAL, &layers, true);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 4 * SECOND);
    assert_eq!(viewers[0].got.values().last().map(|g| g.size), Some(1_100));
    teacher.drop_layer("f");
    run(&mut network, &mut teacher, &mut viewers, 4 * SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].got.values().last().map(|g| g.size), Some(500));
    assert_eq!(viewers[0].holes(), 0);
    let sizes: Vec<usize> = viewers[0].got.values().map(|g| g.size).collect();
    for (at, pair) in sizes.windows(2).enumerate() {
        let changed = pair[0] != pair[1];
        let keyframe = viewers[0].got.values().nth(at + 1).expect("there").keyframe;
        assert!(
            !changed || keyframe,
            "a layer was entered between keyframes"
        );
    }
    let started = network
        .events
        .iter()
        .filter(|e| matches!(e, Event::StreamStarted(..)))
        .count();
    assert_eq!(started, 3);
}

#[test]
fn viewers_on_another_shard_see_the_same_and_get_repairs() {
    let lossy = Link {
        loss: 0.03,
        delay: 20 * MILLISECOND,
        ..LOCAL
    };
    let mut network = Network::new(2, 10);
    let mut teacher = Publisher::new(&mut network, lossy);
    let far = Viewer::with(
        &mut network,
        1,
        lossy,
        teacher.track,
        true,
        Profile::AeadAes128Gcm,
    );
    let near = Viewer::new(&mut network, lossy, teacher.track);
    let mut viewers = [near, far];
    run(&mut network, &mut teacher, &mut viewers, 5 * SECOND);
    drain(&mut network, &mut teacher, &mut viewers, 3 * SECOND);
    assert_whole(&viewers[0], &teacher);
    assert_whole(&viewers[1], &teacher);
    assert!(viewers[1].repaired > 5, "{} repairs", viewers[1].repaired);
    assert!(
        !viewers[1].reports.is_empty(),
        "the publisher's clock crossed"
    );
    network.command(0, Command::RemovePeer(teacher.client.peer));
    network.command(1, Command::RemovePeer(viewers[1].client.peer));
    assert_eq!(network.shards[1].peers().count(), 0);
}

#[test]
fn the_teacher_returns_and_the_viewers_stay() {
    let mut network = Network::new(1, 11);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    network.command(0, Command::RemovePeer(teacher.client.peer));
    drain(&mut network, &mut teacher, &mut viewers, 5 * SECOND);
    let before = viewers[0].got.len();
    let mut back = Publisher::new(&mut network, LOCAL);
    back.next = teacher.next;
    network.command(0, Command::SetSource(viewers[0].track, Some(back.track)));
    run(&mut network, &mut back, &mut viewers, SECOND);
    drain(&mut network, &mut back, &mut viewers, SECOND);
    assert!(viewers[0].got.len() > before + 100);
    assert_whole(&viewers[0], &back);
}

#[test]
fn sender_reports_carry_the_publishers_clock() {
    let mut network = Network::new(1, 12);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 6 * SECOND);
    let viewer = &viewers[0];
    assert!(
        viewer.reports.len() >= 3,
        "{} reports",
        viewer.reports.len()
    );
    // A picture is stamped as it is sent, and a report says when that was: so the report's
    // clock, run back to a picture's timestamp, must tell when the picture was sent.
    let (report, picture) = (
        viewer.reports[2],
        viewer.got.values().last().expect("a picture"),
    );
    let ticks = i64::from(picture.timestamp.wrapping_sub(report.rtp) as i32);
    let since_epoch = i128::from(report.ntp) - i128::from(publisher::ntp(0));
    let reported_us = (since_epoch * 1_000_000) >> 32;
    let sent_us = reported_us as i64 + ticks * 1_000_000 / 90_000;
    let error = sent_us - (picture.at - 2 * LOCAL.delay) as i64;
    // Reports carry the arrival of the publisher's report: one way of the link late at most.
    assert!(error.abs() <= 6_000, "off by {error} us");
}

#[test]
fn a_pause_stops_the_track_and_a_keyframe_resumes_it() {
    let mut network = Network::new(1, 13);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    network.command(0, Command::SetPaused(viewers[0].track, true));
    drain(&mut network, &mut teacher, &mut viewers, 50 * MILLISECOND);
    let seen = viewers[0].got.len();
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].got.len(), seen);
    network.command(0, Command::SetPaused(viewers[0].track, false));
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].holes(), 0);
    let resumed = viewers[0].got.values().nth(seen).expect("it went on");
    assert!(resumed.keyframe);
}

#[test]
fn the_mid_is_sent_until_the_viewer_knows_the_ssrc() {
    let mut network = Network::new(1, 14);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].mids, viewers[0].got.len());
    viewers[0].report(&mut network);
    drain(&mut network, &mut teacher, &mut viewers, 50 * MILLISECOND);
    let before = viewers[0].mids;
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].mids, before);
}

#[test]
fn what_a_publisher_sends_before_its_keys_are_in_place_is_not_lost() {
    let mut network = Network::new(1, 15);
    let profile = Profile::AeadAes128Gcm;
    let (client, keys) = network.client_in_handshake(0, LOCAL, profile);
    let mut teacher = Publisher::of_client(&mut network, 0, client, &[], true);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut teacher, &mut viewers, 100 * MILLISECOND);
    network.command(0, Command::SetKeys(teacher.client.peer, Box::new(keys)));
    run(&mut network, &mut teacher, &mut viewers, SECOND);
    drain(&mut network, &mut teacher, &mut viewers, SECOND);
    assert_eq!(viewers[0].numbers().first(), Some(&0));
    assert_whole(&viewers[0], &teacher);
}
