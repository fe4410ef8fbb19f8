//! When packets leave, and in what size: pacing, holding, evening out, and what viewers tell of it.

mod network;

use network::{Link, Network, Publisher, Viewer, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::crypto::Profile;

const PICTURE: Micros = 33 * MILLISECOND;
const LINK: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};

fn pass(
    network: &mut Network,
    teachers: &mut [&mut Publisher],
    viewers: &mut [Viewer],
    time: Micros,
) {
    let until = network.now + time;
    while network.now < until {
        settle(network, teachers, viewers);
    }
}

/// From the first to the last packet of a viewer's.
fn spread(viewer: &Viewer) -> Micros {
    let times = || viewer.got.values().map(|g| g.at);
    times().max().unwrap_or(0) - times().min().unwrap_or(0)
}

/// A viewer shows by what arrives that his line is wide; what he got meanwhile is forgotten.
fn prove_wide(network: &mut Network, teacher: &mut Publisher, viewers: &mut [Viewer]) {
    for _ in 0..100 {
        teacher.send_picture(network, 20);
        pass(network, &mut [teacher], viewers, PICTURE);
    }
    viewers.iter_mut().for_each(|v| v.got.clear());
}

#[test]
fn a_keyframe_is_spread_and_whole() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    prove_wide(&mut network, &mut teacher, &mut viewers);
    // 60 packets are 56 kB: what carries the lesson 2.5 times, and 10 Mbit/s at least, carries
    // them in 20 to 45 ms, of which 10 ms may leave at once.
    teacher.send_picture(&mut network, 60);
    pass(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        200 * MILLISECOND,
    );
    assert_eq!(viewers[0].got.len(), 60);
    assert_eq!((viewers[0].holes(), viewers[0].repaired), (0, 0));
    let spread = spread(&viewers[0]);
    assert!(
        (10 * MILLISECOND..50 * MILLISECOND).contains(&spread),
        "{spread} us"
    );
}

#[test]
fn sound_passes_by_a_keyframe() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut voice = Publisher::of_sound(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    viewers[0].listen(&mut network, voice.track);
    teacher.send_picture(&mut network, 60);
    let begun = network.now;
    for _ in 0..4 {
        voice.send_picture(&mut network, 1);
        pass(
            &mut network,
            &mut [&mut teacher, &mut voice],
            &mut viewers,
            10 * MILLISECOND,
        );
    }
    let sent = (0..).map(|i| begun + i * 10 * MILLISECOND);
    let delays = sent.zip(&viewers[0].sounds).map(|(sent, came)| came - sent);
    let delays: Vec<Micros> = delays.collect();
    // Two links of 5 ms, and nothing else.
    assert_eq!(delays, [10 * MILLISECOND; 4]);
    assert!(
        viewers[0].got.len() < 60,
        "the keyframe is still on its way"
    );
}

#[test]
fn large_pictures_come_whole_and_in_order_to_all() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers: Vec<_> = (0..3)
        .map(|_| Viewer::new(&mut network, LINK, teacher.track))
        .collect();
    for picture in 0..90 {
        // Every third is larger than a pacer lets pass at once.
        teacher.send_picture(&mut network, if picture % 3 == 0 { 20 } else { 4 });
        pass(&mut network, &mut [&mut teacher], &mut viewers, PICTURE);
    }
    for viewer in &viewers {
        assert_eq!(viewer.numbers(), (0..teacher.next).collect::<Vec<_>>());
        assert_eq!((viewer.holes(), viewer.repaired), (0, 0));
    }
}

#[test]
fn packets_of_a_picture_have_one_size_on_the_wire_and_their_own_when_read() {
    let sizes = [1_001, 1_001, 1_000, 1_000, 1_000, 999];
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    teacher.send_picture_of(&mut network, &sizes);
    pass(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        100 * MILLISECOND,
    );
    teacher.send_picture_of(&mut network, &sizes);
    pass(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        100 * MILLISECOND,
    );
    let read: Vec<_> = viewers[0].got.values().map(|g| g.size).collect();
    assert_eq!(read, [sizes, sizes].concat());
    // The second came at once and was held till its end; the last may be shorter.
    let wire: Vec<_> = viewers[0].got.values().skip(6).map(|g| g.wire).collect();
    assert_eq!(wire[..5], [wire[0]; 5], "{wire:?}");
    assert_eq!(wire[5], wire[0] - 2);
}

#[test]
fn a_stream_that_repeats_packets_to_the_bit_is_not_padded() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let viewer = Viewer::with(
        &mut network,
        0,
        LINK,
        teacher.track,
        false,
        Profile::AeadAes128Gcm,
    );
    let mut viewers = [viewer];
    for _ in 0..2 {
        teacher.send_picture_of(&mut network, &[1_001, 1_000, 1_000]);
        pass(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            100 * MILLISECOND,
        );
    }
    let overheads: Vec<_> = viewers[0].got.values().map(|g| g.wire - g.size).collect();
    assert_eq!(overheads, [overheads[0]; 6]);
    // The viewer compares whatever comes twice.
    let wanted: Vec<_> = viewers[0].got.keys().map(|s| *s as u16).collect();
    viewers[0].ask(&mut network, &wanted);
    pass(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        100 * MILLISECOND,
    );
    assert_eq!(viewers[0].replays, 6);
}

#[test]
fn under_load_a_picture_waits_for_its_end_and_no_longer_than_told() {
    for (hold, times) in [(0, 3), (3 * MILLISECOND, 1)] {
        let mut network = Network::new(1, 1);
        let mut teacher = Publisher::new(&mut network, LINK);
        let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
        prove_wide(&mut network, &mut teacher, &mut viewers);
        network.shards[0].set_hold(hold);
        for picture in 1_001..1_004 {
            for (i, last) in [(0, false), (1, false), (2, true)] {
                teacher.send_part(&mut network, picture * 3_000, i == 0, last);
                pass(&mut network, &mut [&mut teacher], &mut viewers, MILLISECOND);
            }
            pass(
                &mut network,
                &mut [&mut teacher],
                &mut viewers,
                30 * MILLISECOND,
            );
        }
        let mut arrivals: Vec<_> = viewers[0].got.values().skip(6).map(|g| g.at).collect();
        assert_eq!(arrivals.len(), 3);
        arrivals.dedup();
        assert_eq!(arrivals.len(), times, "with a hold of {hold} us");
    }
}

#[test]
fn a_picture_without_an_end_is_not_held_for_ever() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    network.shards[0].set_hold(3 * MILLISECOND);
    let sent = network.now;
    teacher.send_part(&mut network, 3_000, true, false);
    pass(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        100 * MILLISECOND,
    );
    let waited = viewers[0]
        .got
        .values()
        .next()
        .map(|g| g.at - sent - 10 * MILLISECOND);
    assert_eq!(waited, Some(3 * MILLISECOND));
}

#[test]
fn what_viewers_tell_of_their_packets_is_kept() {
    let lossy = Link { loss: 0.1, ..LINK };
    let mut network = Network::new(1, 5);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, lossy, teacher.track)];
    for _ in 0..300 {
        teacher.send_picture(&mut network, 5);
        pass(&mut network, &mut [&mut teacher], &mut viewers, PICTURE);
    }
    let id = viewers[0].client.peer;
    let peer = network.shards[0]
        .peers()
        .find(|p| p.id == id)
        .expect("it is there");
    let told = peer.sent.counters();
    let share = told.lost as f64 / (told.lost + told.delivered) as f64;
    // A tenth of the packets, and all of which a tenth of the feedback told.
    assert!((0.14..0.24).contains(&share), "{share} of {told:?}");
    assert!(told.lost + told.delivered > 1_400, "{told:?}");
    let bytes = told.delivered_per_second;
    assert!((90_000..150_000).contains(&bytes), "{bytes} bytes a second");
    assert!(
        told.feedback_delay < 100 * MILLISECOND + SECOND / 20,
        "{told:?}"
    );
}
