//! Each school its own quality: layers, repair ahead of loss, probes, and what is told of a link.

mod network;

use network::{Link, Network, Publisher, Viewer, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::codec::Layer;
use tongbu_media::crypto::Profile;
use tongbu_media::outbox::Carrier;
use tongbu_media::packet::rtcp;
use tongbu_media::shard::{Command, Event};
use tongbu_media::track::{Limit, PlayoutDelay, SinkCounters};

const PICTURE: Micros = 33 * MILLISECOND;
const LINK: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};
const LAYERS: [(&str, usize); 3] = [("q", 200), ("h", 500), ("f", 1_100)];

/// The first teacher sends pictures of so many packets; everybody acts on what reaches him.
fn run(
    network: &mut Network,
    teachers: &mut [&mut Publisher],
    viewers: &mut [Viewer],
    packets: u32,
    time: Micros,
) {
    let until = network.now + time;
    while network.now < until {
        if network.now % PICTURE < network::STEP {
            teachers[0].send_picture(network, packets);
        }
        settle(network, teachers, viewers);
    }
}

fn limit(stream: u8) -> Limit {
    Limit {
        stream: Some(stream),
        layer: Layer::HIGHEST,
    }
}

fn newest_size(viewer: &Viewer) -> usize {
    viewer.got.values().last().map_or(0, |g| g.size)
}

/// A layer is entered at a keyframe, and nothing is missing.
fn assert_clean_changes(viewer: &Viewer) {
    let got: Vec<_> = viewer.got.values().collect();
    for pair in got.windows(2) {
        let changed = pair[0].size != pair[1].size;
        assert!(!changed || pair[1].keyframe, "entered between keyframes");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step < 90_000 / 2, "the clock jumped by {step} ticks");
    }
    assert_eq!(viewer.holes(), 0);
}

fn counters(network: &Network, viewer: &Viewer, sink: usize) -> SinkCounters {
    let mut peers = network.shards[0].peers();
    let peer = peers.find(|p| p.id == viewer.client.peer);
    peer.expect("it is there").sinks[sink].counters
}

#[test]
fn a_limit_asks_that_layer_for_a_keyframe_and_leaves_no_hole() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::with_layers(&mut network, 0, LINK, &LAYERS, true);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        3,
        3 * SECOND,
    );
    assert_eq!(newest_size(&viewers[0]), 1_100);
    for (stream, rid, size) in [(0, "q", 200), (2, "f", 1_100), (1, "h", 500)] {
        let asked = LAYERS.map(|(rid, _)| teacher.asked_of(rid));
        network.command(0, Command::SetLimit(viewers[0].track, limit(stream)));
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            3,
            SECOND / 5,
        );
        assert_eq!(newest_size(&viewers[0]), size, "within 200 ms");
        for ((other, _), before) in LAYERS.into_iter().zip(asked) {
            let more = teacher.asked_of(other) - before;
            assert_eq!(more, usize::from(other == rid), "of {other} for {rid}");
        }
        run(&mut network, &mut [&mut teacher], &mut viewers, 3, SECOND);
    }
    assert_clean_changes(&viewers[0]);
}

#[test]
fn for_a_layer_that_stops_stands_the_best_of_the_cheaper_ones() {
    for (dropped, most, before, after) in [("f", 2, 1_100, 500), ("h", 1, 500, 200)] {
        let mut network = Network::new(1, 2);
        let mut teacher = Publisher::with_layers(&mut network, 0, LINK, &LAYERS, true);
        let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
        network.command(0, Command::SetLimit(viewers[0].track, limit(most)));
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            3,
            4 * SECOND,
        );
        assert_eq!(newest_size(&viewers[0]), before);
        teacher.drop_layer(dropped);
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            3,
            2 * SECOND,
        );
        assert_eq!(newest_size(&viewers[0]), after, "instead of {dropped}");
        let sizes = viewers[0].got.values().map(|g| g.size);
        assert_eq!(viewers[0].holes(), 0);
        assert!(sizes.skip(100).all(|size| size <= before));
    }
}

#[test]
fn two_viewers_with_different_limits_each_get_theirs() {
    let mut network = Network::new(1, 3);
    let mut teacher = Publisher::with_layers(&mut network, 0, LINK, &LAYERS, true);
    let mut viewers = [0, 1, 2].map(|_| Viewer::new(&mut network, LINK, teacher.track));
    for (stream, viewer) in (0..2).zip(&viewers) {
        network.command(0, Command::SetLimit(viewer.track, limit(stream)));
    }
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        3,
        4 * SECOND,
    );
    viewers.iter_mut().for_each(|v| v.got.clear());
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        3,
        4 * SECOND,
    );
    for (viewer, (_, size)) in viewers.iter().zip(LAYERS) {
        assert!(viewer.got.len() > 300);
        assert!(viewer.got.values().all(|g| g.size == size));
        assert_clean_changes(viewer);
    }
}

#[test]
fn who_comes_late_begins_with_the_past_and_asks_nobody() {
    for shard in [0, 1] {
        begins_with_the_past(shard);
    }
}

/// Comes on that shard, where nobody has the track yet.
fn begins_with_the_past(shard: usize) {
    let mut network = Network::new(2, 4);
    let mut teacher = Publisher::new(&mut network, LINK);
    run(&mut network, &mut [&mut teacher], &mut [], 1, SECOND);
    let (asked, sent) = (teacher.keyframes_asked, teacher.keyframes_sent);
    let (joined, past) = (network.now, teacher.next);
    let profile = Profile::AeadAes128Gcm;
    let viewer = Viewer::with(&mut network, shard, LINK, teacher.track, true, profile);
    let mut viewers = [viewer];
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        1,
        4 * SECOND,
    );
    assert_eq!(
        (teacher.keyframes_asked, teacher.keyframes_sent),
        (asked, sent)
    );
    let viewer = &viewers[0];
    let numbers = viewer.numbers();
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
    assert_eq!(viewer.holes(), 0);
    assert!(numbers.len() as u32 > past + 100, "{} came", numbers.len());
    let got: Vec<_> = viewer.got.values().collect();
    assert!(got[0].keyframe && got[0].at - joined < 50 * MILLISECOND);
    for pair in got.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        if pair[1].number < past {
            assert!(step <= 90, "{step} ticks in the past");
        } else if pair[1].number > past + 30 && step > 0 {
            // What came meanwhile was hurried too: a link that has told nothing yet carries little.
            assert!((2_700..=3_300).contains(&step), "{step} ticks live");
        }
    }
}

#[test]
fn where_the_past_is_too_long_a_class_of_joiners_asks_once() {
    let mut network = Network::new(1, 5);
    let mut teacher = Publisher::new(&mut network, LINK);
    run(&mut network, &mut [&mut teacher], &mut [], 4, 4 * SECOND);
    let (asked, next) = (teacher.keyframes_asked, teacher.next);
    let join = |_| Viewer::new(&mut network, LINK, teacher.track);
    let mut viewers: Vec<_> = (0..20).map(join).collect();
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        4,
        2 * SECOND,
    );
    assert_eq!(teacher.keyframes_asked, asked + 1);
    for viewer in &viewers {
        let first = viewer.got.values().next().expect("a picture");
        assert!(first.keyframe && first.number >= next);
        assert_eq!(viewer.holes(), 0);
    }
}

#[test]
fn who_is_expected_begins_at_once_though_the_past_was_too_long() {
    let mut network = Network::new(1, 5);
    let mut teacher = Publisher::new(&mut network, LINK);
    run(&mut network, &mut [&mut teacher], &mut [], 4, 4 * SECOND);
    let asked = teacher.keyframes_asked;
    for _ in 0..20 {
        network.command(0, Command::Freshen(teacher.track));
        run(&mut network, &mut [&mut teacher], &mut [], 4, SECOND / 50);
    }
    let joined = network.now;
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    run(&mut network, &mut [&mut teacher], &mut viewers, 4, SECOND);
    assert_eq!(teacher.keyframes_asked, asked + 1);
    let first = viewers[0].got.values().next().expect("a picture");
    assert!(first.keyframe && first.at - joined < 50 * MILLISECOND);
    assert_eq!(viewers[0].holes(), 0);
}

#[test]
fn a_storm_of_keyframe_requests_costs_its_allowance_and_is_counted() {
    let mut network = Network::new(1, 6);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [0, 1].map(|_| Viewer::new(&mut network, LINK, teacher.track));
    run(&mut network, &mut [&mut teacher], &mut viewers, 3, SECOND);
    let before = teacher.keyframes_asked;
    viewers[1].got.clear();
    for _ in 0..2_000 {
        viewers[0].ask_for_keyframe(&mut network);
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            3,
            5 * MILLISECOND,
        );
    }
    // Four in a row, and one each two seconds.
    let asked = teacher.keyframes_asked - before;
    assert!((4..=9).contains(&asked), "{asked} in 10 s");
    let refused = counters(&network, &viewers[0], 0).keyframes_refused;
    assert!((1_980..2_000).contains(&refused), "{refused} refused");
    let keyframes = viewers[1].got.values().filter(|g| g.keyframe).count();
    assert!(keyframes <= asked, "{keyframes} reached the other");
    assert_eq!(
        (
            viewers[1].holes(),
            counters(&network, &viewers[1], 0).keyframes_refused
        ),
        (0, 0)
    );
}

/// Sound of 50 packets a second, as small as Opus makes it.
fn speak(network: &mut Network, voice: &mut Publisher, viewers: &mut [Viewer], time: Micros) {
    let until = network.now + time;
    while network.now < until {
        if network.now % (20 * MILLISECOND) < network::STEP {
            voice.send_picture_of(network, &[80]);
        }
        if network.now % SECOND < network::STEP {
            for viewer in viewers.iter_mut() {
                let newest = viewer.sound_sequences.split_off(0);
                viewer.ask_for_sound(network, &newest[newest.len().saturating_sub(20)..]);
            }
        }
        settle(network, &mut [voice], viewers);
    }
}

#[test]
fn sound_on_a_lossy_link_carries_copies_until_the_loss_ends() {
    let loss = 0.06;
    let mut network = Network::new(1, 7);
    let mut voice = Publisher::of_sound(&mut network, LINK);
    let lossy = Link { loss, ..LINK };
    let mut viewers = [0, 1].map(|_| Viewer::new(&mut network, lossy, voice.track));
    viewers[0].listen_with_red(&mut network, voice.track);
    viewers[1].listen(&mut network, voice.track);
    speak(&mut network, &mut voice, &mut viewers, 15 * SECOND);
    viewers.iter_mut().for_each(|v| v.replays = 0);
    let from = voice.next;
    let (copies, had) = (
        viewers[0].copies,
        viewers.each_ref().map(|v| v.sounds.len()),
    );
    speak(&mut network, &mut voice, &mut viewers, 60 * SECOND);
    let until = voice.next - 10;
    let missing = |viewer: &Viewer| {
        let heard = viewer.heard.range(from..until).count();
        1.0 - heard as f64 / f64::from(until - from)
    };
    assert!(
        viewers[0].copies - copies > 2_000,
        "{} copies",
        viewers[0].copies
    );
    assert_eq!(viewers[1].copies, 0, "RED was not negotiated");
    let [with, without] = viewers.each_ref().map(missing);
    assert!((0.04..0.08).contains(&without), "{without} is lost");
    assert!(with < without / 5.0, "{with} of {without} remains");
    // What was asked for again though it had come was the same to the bit: the viewer compares.
    let came = viewers[0].sounds.len() - had[0];
    assert!(viewers[0].replays > 500, "{} of {came}", viewers[0].replays);

    viewers
        .iter()
        .for_each(|v| network.set_link(v.address(), LINK));
    speak(&mut network, &mut voice, &mut viewers, 60 * SECOND);
    let copies = viewers[0].copies;
    speak(&mut network, &mut voice, &mut viewers, 10 * SECOND);
    assert_eq!(viewers[0].copies, copies, "nothing is lost any more");
}

/// Bytes of probes in a minute on a link of 1 Mbit/s, after the first.
fn probed(rtx: bool, wanted: u64) -> usize {
    let mut network = Network::new(1, 8);
    let mut teacher = Publisher::new(&mut network, LINK);
    let profile = Profile::AeadAes128Gcm;
    let viewer = Viewer::with(&mut network, 0, LINK, teacher.track, rtx, profile);
    network.set_rate(viewer.address(), Some(1_000_000));
    network.command(0, Command::SetWanted(viewer.client.peer, wanted));
    let mut viewers = [viewer];
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        2,
        20 * SECOND,
    );
    let before = viewers[0].probe_bytes;
    run(
        &mut network,
        &mut [&mut teacher],
        &mut viewers,
        2,
        60 * SECOND,
    );
    assert_eq!(viewers[0].holes(), 0);
    viewers[0].probe_bytes - before
}

#[test]
fn a_link_is_tried_where_more_is_wanted_at_little_cost() {
    let minute = 1_000_000 / 8 * 60;
    let bytes = probed(true, 5_000_000);
    assert!((1..minute * 4 / 100).contains(&bytes), "{bytes} bytes");
    assert_eq!(probed(true, 0), 0, "nobody wants more");
    assert_eq!(probed(false, 5_000_000), 0, "it cannot be told from media");
}

#[test]
fn a_playout_delay_is_told_with_pictures_and_where_repeats_need_not_be_exact() {
    let mut network = Network::new(1, 9);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut voice = Publisher::of_sound(&mut network, LINK);
    let profile = Profile::AeadAes128Gcm;
    let plain = Viewer::with(&mut network, 0, LINK, teacher.track, false, profile);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track), plain];
    viewers
        .iter_mut()
        .for_each(|v| v.listen(&mut network, voice.track));
    let both =
        |network: &mut Network, viewers: &mut [Viewer], teacher: &mut _, voice: &mut Publisher| {
            for _ in 0..50 {
                voice.send_picture_of(network, &[80]);
                run(network, &mut [teacher, voice], viewers, 2, 20 * MILLISECOND);
            }
        };
    both(&mut network, &mut viewers, &mut teacher, &mut voice);
    assert!(viewers[0].delays.0.is_empty());
    let delay = PlayoutDelay::from_seconds(0.4, 2.0).expect("in order");
    for viewer in &viewers {
        network.command(0, Command::SetPlayoutDelay(viewer.track, delay));
    }
    let before = viewers[0].got.len();
    both(&mut network, &mut viewers, &mut teacher, &mut voice);
    let (pictures, sounds) = &viewers[0].delays;
    // 40 and 200 hundredths, 12 bits each; packets on their way have none.
    assert!(pictures.iter().all(|d| *d == [0x02, 0x80, 0xc8]));
    assert!(pictures.len() + 4 >= viewers[0].got.len() - before && pictures.len() > 50);
    assert!(sounds.is_empty() && viewers[0].sounds.len() > 90);
    assert_eq!(viewers[1].delays, (vec![], vec![]));
}

#[test]
fn a_reference_time_is_answered_within_a_second_with_the_delay_it_waited() {
    let mut network = Network::new(1, 10);
    let mut teacher = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, teacher.track)];
    run(&mut network, &mut [&mut teacher], &mut viewers, 2, SECOND);
    for round in 0..3 {
        let ntp = network::publisher::ntp(network.now);
        let mut compound = Vec::new();
        rtcp::receiver_report(&mut compound, 77, &[]);
        rtcp::xr_rrtr(&mut compound, 77, ntp);
        let asked = network.now;
        viewers[0].send_rtcp(&mut network, compound);
        run(
            &mut network,
            &mut [&mut teacher],
            &mut viewers,
            2,
            1_300 * MILLISECOND,
        );
        assert_eq!(viewers[0].answers.len(), round + 1, "once each");
        let (at, answer) = viewers[0].answers[round];
        assert_eq!((answer.ssrc, answer.lrr), (77, (ntp >> 16) as u32));
        assert!(at - asked <= 1_030 * MILLISECOND, "{} us", at - asked);
        let waited = u64::from(answer.dlrr) * SECOND / 65_536;
        let trip = at - asked - waited;
        let off = trip.abs_diff(2 * LINK.delay);
        assert!(off <= 2 * MILLISECOND, "a round trip of {trip} us");
    }
}

#[test]
fn what_a_link_carries_and_layers_cost_is_told_now_and_then() {
    let mut network = Network::new(1, 11);
    let mut teacher = Publisher::with_layers(&mut network, 0, LINK, &LAYERS, true);
    let mut viewers = [0, 1].map(|_| Viewer::new(&mut network, LINK, teacher.track));
    let silent = viewers[1].client.peer;
    let mut told = [Vec::new(), Vec::new()];
    for second in 0..60 {
        network.events.clear();
        let until = network.now + SECOND;
        while network.now < until {
            if network.now % PICTURE < network::STEP {
                teacher.send_picture(&mut network, 3);
            }
            let heard = if second < 30 { 1 } else { 0 };
            settle(&mut network, &mut [&mut teacher], &mut viewers[..heard]);
        }
        let (mut links, mut layers) = (0, 0);
        for event in &network.events {
            match event {
                Event::LinkChanged(peer, state, Carrier::Udp) => {
                    assert_ne!(*peer, silent, "it told nothing");
                    assert!(state.feedback && state.bits_per_second > 0);
                    links += 1;
                }
                Event::LayersChanged(track, rates) => {
                    assert_eq!(*track, teacher.track);
                    assert!(!rates.is_empty());
                    layers += 1;
                }
                _ => {}
            }
        }
        told[0].push(links);
        told[1].push(layers);
    }
    let [links, layers] = &told;
    assert!(links[..30].iter().sum::<usize>() > 0);
    assert!(links.iter().all(|n| *n <= 4), "{links:?}");
    assert_eq!(
        links[31..].iter().sum::<usize>(),
        0,
        "nothing is heard: {links:?}"
    );
    assert!(layers[..5].iter().sum::<usize>() > 0 && layers.iter().all(|n| *n <= 1));
    assert_eq!(
        layers[40..].iter().sum::<usize>(),
        0,
        "a steady stream is no news"
    );
}

#[test]
fn a_page_of_slides_does_not_hold_up_the_camera() {
    let mut network = Network::new(1, 12);
    let mut camera = Publisher::new(&mut network, LINK);
    let mut slides = Publisher::new(&mut network, LINK);
    let mut viewers = [Viewer::new(&mut network, LINK, slides.track)];
    viewers[0].watch(&mut network, camera.track);
    network.set_rate(viewers[0].address(), Some(1_000_000));
    slides.send_picture(&mut network, 1);
    let mut show = |network: &mut Network, slides: &mut Publisher, viewers: &mut [Viewer], time| {
        let (mut sent, until) = (Vec::new(), network.now + time);
        while network.now < until {
            if network.now % PICTURE < network::STEP {
                sent.push((network.now, camera.next));
                camera.send_picture_of(network, &[600, 600]);
            }
            settle(network, &mut [&mut camera, slides], viewers);
        }
        sent
    };
    // The estimate meets the link's limit by a first page.
    for _ in 0..3 {
        slides.send_picture(&mut network, 150);
        show(&mut network, &mut slides, &mut viewers, 6 * SECOND);
    }
    let peer = viewers[0].client.peer;
    let estimate = |network: &Network| {
        let mut peers = network.shards[0].peers();
        let state = peers.find(|p| p.id == peer).and_then(|p| p.sent.state());
        state.expect("it was heard").bits_per_second
    };
    assert!(estimate(&network) < 1_500_000, "{}", estimate(&network));
    // What leaves is seen at once where the link adds nothing of its own.
    network.set_rate(viewers[0].address(), None);
    let (pages, seen) = (viewers[0].got.len(), viewers[0].second.len());
    slides.send_picture(&mut network, 220); // 200 kB
    let sent = show(&mut network, &mut slides, &mut viewers, SECOND);
    let page = viewers[0].got.len() - pages;
    assert!(
        (30..220).contains(&page),
        "{page} packets of the page after a second"
    );
    let came = &viewers[0].second[seen..];
    let wait = |&(at, number): &(Micros, u32)| {
        let last = came
            .iter()
            .filter(|(_, n)| *n == number || *n == number + 1);
        last.map(|(came, _)| came - at - 2 * LINK.delay).max()
    };
    let waits: Vec<Micros> = sent[..sent.len() - 2].iter().filter_map(wait).collect();
    assert!(waits.len() >= 27, "{} pictures", waits.len());
    assert!(waits.iter().all(|w| *w <= 20 * MILLISECOND), "{waits:?}");
}
