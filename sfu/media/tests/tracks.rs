//! Tracks come and go while their peers stay connected.

mod network;

use network::{Link, Network, Publisher, Viewer, settle};
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

fn run(
    network: &mut Network,
    teachers: &mut [&mut Publisher],
    viewers: &mut [Viewer],
    time: Micros,
) {
    let until = network.now + time;
    while network.now < until {
        if network.now % PICTURE < network::STEP {
            teachers.iter_mut().for_each(|t| t.send_picture(network, 3));
        }
        if network.now % SECOND < network::STEP {
            teachers.iter_mut().for_each(|t| t.send_report(network));
        }
        settle(network, teachers, viewers);
    }
}

/// The SSRCs under which streams of this track began.
fn started(network: &Network, track: tongbu_media::ids::UptrackId) -> Vec<u32> {
    let ssrc = |event: &Event| match event {
        Event::StreamStarted(of, _, ssrc) if *of == track => Some(*ssrc),
        _ => None,
    };
    network.events.iter().filter_map(ssrc).collect()
}

fn unbound(network: &Network) -> u64 {
    network.shards[0].counters.dropped.unbound
}

#[test]
fn a_removed_track_leaves_its_viewers_waiting_and_another_takes_its_place() {
    for viewers_shard in [0, 1] {
        let mut network = Network::new(2, 1);
        let mut teacher = Publisher::new(&mut network, LOCAL);
        let profile = Profile::AeadAes128Gcm;
        let viewer = Viewer::with(
            &mut network,
            viewers_shard,
            LOCAL,
            teacher.track,
            true,
            profile,
        );
        let mut viewers = [viewer];
        run(&mut network, &mut [&mut teacher], &mut viewers, SECOND);
        let old = teacher.track;
        network.command(0, Command::RemoveUptrack(old));
        network.command(0, Command::RemoveUptrack(old));
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            100 * MILLISECOND,
        );
        let seen = viewers[0].got.len();
        assert!(seen > 50, "{seen} packets");
        run(&mut network, &mut [&mut teacher], &mut viewers, SECOND);
        assert_eq!(viewers[0].got.len(), seen, "it is gone");
        assert!(unbound(&network) > 50);
        // What names a track that is gone is ignored.
        network.command(
            viewers_shard,
            Command::SetSource(viewers[0].track, Some(old)),
        );
        teacher.track = teacher.add_track(&mut network, "0");
        let source = Command::SetSource(viewers[0].track, Some(teacher.track));
        network.command(viewers_shard, source);
        run(&mut network, &mut [&mut teacher], &mut viewers, SECOND);
        assert!(
            viewers[0].got.len() > seen + 50,
            "the same SSRC, a new track"
        );
        assert_eq!(viewers[0].holes(), 0);
        assert_eq!(started(&network, teacher.track).len(), 1);
        let next = viewers[0].got.values().nth(seen).expect("it went on");
        assert!(next.keyframe, "began between keyframes");
    }
}

#[test]
fn what_comes_before_its_track_is_dropped_and_the_track_begins_all_the_same() {
    let mut network = Network::new(1, 2);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    network.command(0, Command::RemoveUptrack(teacher.track));
    // The first numbers are just below a wrap: who missed it would not open what follows.
    run(&mut network, &mut [&mut teacher], &mut [], 2 * SECOND);
    assert!(unbound(&network) > 100);
    teacher.track = teacher.add_track(&mut network, "0");
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut [&mut teacher], &mut viewers, SECOND);
    assert!(viewers[0].got.len() > 50);
    assert_eq!(network.shards[0].counters.dropped.unauthentic, 0);
    assert!(viewers[0].got.values().next().expect("a packet").keyframe);
}

#[test]
fn packets_of_a_removed_track_are_not_taken_for_another_s() {
    let mut network = Network::new(1, 3);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let other = teacher.add_track(&mut network, "other");
    run(&mut network, &mut [&mut teacher], &mut [], SECOND);
    assert_eq!(started(&network, teacher.track).len(), 1);
    network.command(0, Command::RemoveUptrack(teacher.track));
    // They say no more where they belong, and one track is left that has their payload type.
    teacher.mid = None;
    run(&mut network, &mut [&mut teacher], &mut [], SECOND);
    assert!(started(&network, other).is_empty(), "misbound");
    teacher.mid = Some("0");
    run(&mut network, &mut [&mut teacher], &mut [], SECOND);
    assert!(
        started(&network, other).is_empty(),
        "misbound by a MID that is gone"
    );
    let dropped = unbound(&network);
    // The section is used again, under the SSRC it had, and says no more where it belongs.
    teacher.mid = None;
    teacher.track = teacher.add_track(&mut network, "0");
    run(&mut network, &mut [&mut teacher], &mut [], SECOND);
    assert_eq!(started(&network, teacher.track).len(), 1);
    assert_eq!(unbound(&network), dropped);
}

#[test]
fn simulcast_streams_find_their_layers_again_without_rid() {
    let layers = [("q", 200), ("h", 500), ("f", 1_100)];
    let mut network = Network::new(1, 4);
    let mut teacher = Publisher::with_layers(&mut network, 0, LOCAL, &layers, true);
    run(&mut network, &mut [&mut teacher], &mut [], SECOND);
    teacher.replace_track(&mut network, "0");
    teacher.mid = None;
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    run(&mut network, &mut [&mut teacher], &mut viewers, 3 * SECOND);
    let mut ssrcs = started(&network, teacher.track);
    ssrcs.sort_unstable();
    assert_eq!(ssrcs, [100, 101, 102]);
    assert_eq!(viewers[0].got.values().last().map(|g| g.size), Some(1_100));
}

#[test]
fn a_thousand_tracks_of_one_peer_come_and_go() {
    let mut network = Network::new(1, 5);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut steady = Publisher::new(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    viewers[0].watch(&mut network, steady.track);
    for round in 0..1_000 {
        let mid = if round % 2 == 0 { "0" } else { "elsewhere" };
        teacher.replace_track(&mut network, mid);
        teacher.change_ssrcs();
        viewers[0].leave(&mut network);
        viewers[0].return_to(&mut network, teacher.track);
        let before = viewers[0].got.len();
        run(
            &mut network,
            &mut [&mut teacher, &mut steady],
            &mut viewers,
            2 * PICTURE,
        );
        let got = viewers[0].got.len() - before;
        assert!(got > 0, "nothing of track {round}");
    }
    run(
        &mut network,
        &mut [&mut teacher, &mut steady],
        &mut viewers,
        50 * MILLISECOND,
    );
    assert_eq!(network.shards[0].counters.dropped.unauthentic, 0);
    assert!(viewers[0].second.len() > 1_000, "the other track went on");
}

#[test]
fn who_stays_is_sent_on_and_mended_when_a_track_before_it_goes() {
    let mut network = Network::new(1, 6);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut slides = Publisher::new(&mut network, LOCAL);
    let mut sound = Publisher::of_sound(&mut network, LOCAL);
    let mut viewers = [Viewer::new(&mut network, LOCAL, teacher.track)];
    viewers[0].watch(&mut network, slides.track);
    viewers[0].listen(&mut network, sound.track);
    let mut all = [&mut teacher, &mut slides, &mut sound];
    run(&mut network, &mut all, &mut viewers, SECOND);
    viewers[0].leave(&mut network);
    viewers[0].leave(&mut network);
    run(&mut network, &mut all, &mut viewers, 50 * MILLISECOND);
    let before = (
        viewers[0].got.len(),
        viewers[0].second.len(),
        viewers[0].sounds.len(),
    );
    run(&mut network, &mut all, &mut viewers, SECOND);
    assert_eq!(viewers[0].got.len(), before.0, "it was removed");
    assert!(viewers[0].second.len() > before.1 + 50);
    assert!(viewers[0].sounds.len() > before.2 + 50);
    let lost = *viewers[0].sound_sequences.last().expect("sound");
    let resent = |network: &Network| -> u64 {
        let sinks = network.shards[0].peers().flat_map(|p| &p.sinks);
        sinks.map(|s| s.counters.resent).sum()
    };
    assert_eq!(resent(&network), 0);
    viewers[0].ask_for_sound(&mut network, &[lost]);
    run(&mut network, &mut all, &mut viewers, 50 * MILLISECOND);
    assert_eq!(resent(&network), 1);
    // Back under the SSRC it had: no number is used twice, none is left out.
    let source = all[0].track;
    viewers[0].return_to(&mut network, source);
    run(&mut network, &mut all, &mut viewers, SECOND);
    assert!(viewers[0].got.len() > before.0 + 50);
    assert_eq!(viewers[0].holes(), 0);
}

#[test]
fn a_viewer_that_waits_for_its_pacer_may_move_and_may_go() {
    let mut network = Network::new(1, 7);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut slides = Publisher::new(&mut network, LOCAL);
    let mut viewers = [
        Viewer::new(&mut network, LOCAL, teacher.track),
        Viewer::new(&mut network, LOCAL, teacher.track),
    ];
    for viewer in &mut viewers {
        viewer.watch(&mut network, slides.track);
    }
    for _ in 0..20 {
        teacher.send_picture(&mut network, 3);
        slides.send_picture(&mut network, 400);
        run(
            &mut network,
            &mut [&mut teacher, &mut slides],
            &mut viewers,
            20 * MILLISECOND,
        );
        let source = teacher.track;
        for viewer in &mut viewers {
            viewer.leave(&mut network); // the slides move to the first place while they wait
            viewer.return_to(&mut network, source);
        }
    }
    run(
        &mut network,
        &mut [&mut teacher, &mut slides],
        &mut viewers,
        3 * SECOND,
    );
    for viewer in &viewers {
        assert_eq!(viewer.holes(), 0);
        let newest = viewer.second.iter().map(|(_, number)| *number).max();
        assert!(
            newest.is_some_and(|n| n + 20 > slides.next),
            "the slides stopped"
        );
    }
}

#[test]
fn who_speaks_is_told_and_not_with_each_packet() {
    let mut network = Network::new(1, 8);
    let mut sound = Publisher::of_sound(&mut network, LOCAL);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    (sound.level, teacher.level) = (Some(80), Some(0));
    let mut all = [&mut sound, &mut teacher];
    let heard = |network: &mut Network| -> Vec<Event> {
        let speaking = |event: &Event| matches!(event, Event::Speaking(..));
        let mut events = std::mem::take(&mut network.events);
        events.retain(speaking);
        events
    };
    run(&mut network, &mut all, &mut [], 2 * SECOND);
    assert_eq!(heard(&mut network), [], "quiet, and pictures are not loud");
    all[0].level = Some(0x80 | 26);
    run(&mut network, &mut all, &mut [], 2 * SECOND);
    let events = heard(&mut network);
    assert!((5..=7).contains(&events.len()), "{events:?}");
    for event in &events {
        assert!(
            matches!(event, Event::Speaking(track, speech)
                if *track == all[0].track && speech.active && speech.level < 0.06),
            "{event:?}"
        );
    }
    all[0].level = Some(127);
    run(&mut network, &mut all, &mut [], 2 * SECOND);
    let events = heard(&mut network);
    let ended = |e: &Event| matches!(e, Event::Speaking(_, speech) if !speech.active);
    assert_eq!(events.iter().filter(|e| ended(e)).count(), 1);
    assert!(events.last().is_some_and(ended) && events.len() < 5);
}
