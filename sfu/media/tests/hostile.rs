//! What comes from the network is hostile: counted, dropped, and felt by nobody else.

mod network;

use std::net::SocketAddr;

use network::{Link, Network, Publisher, Viewer, check, credentials};
use proptest::prelude::*;
use tongbu_media::clock::{MILLISECOND, SECOND};
use tongbu_media::crypto::Profile;
use tongbu_media::ice::Credentials;
use tongbu_media::packet::rtcp;
use tongbu_media::shard::{Command, Event};

fn stranger() -> SocketAddr {
    ([203, 0, 113, 9], 9).into()
}

/// Packets of a picture; thirty a second are less than is sent to who has told nothing yet.
const PICTURE: u32 = 2;
/// Of a second.
const ALL: usize = 30 * PICTURE as usize;

/// A second of lesson; how many packets the viewer got in it.
fn lesson(network: &mut Network, teacher: &mut Publisher, viewer: &mut Viewer) -> usize {
    let before = viewer.got.len();
    for _ in 0..30 {
        teacher.send_picture(network, PICTURE);
        for _ in 0..33 {
            for (client, datagram) in network.step() {
                if client == teacher.address() {
                    teacher.handle(network, datagram);
                } else if client == viewer.address() {
                    viewer.handle(network.now, datagram);
                }
            }
        }
    }
    viewer.got.len() - before
}

fn connected(seed: u64) -> (Network, Publisher, Viewer) {
    let mut network = Network::new(1, seed);
    let teacher = Publisher::new(&mut network, Link::default());
    let viewer = Viewer::new(&mut network, Link::default(), teacher.track);
    (network, teacher, viewer)
}

#[test]
fn replays_wrong_tags_and_cut_packets_are_counted_and_harmless() {
    let (mut network, mut teacher, mut viewer) = connected(1);
    lesson(&mut network, &mut teacher, &mut viewer);
    let address = teacher.address();
    let mut forged = vec![0x80, 96, 0x04, 0x00, 0, 0, 0, 0, 0, 0, 0, 100];
    forged.resize(200, 0x5a);
    for cut in 0..forged.len() {
        network.deliver_to_shard(0, address, forged[..cut].to_vec());
    }
    let mut rtcp = vec![0x80, 200, 0, 6];
    rtcp.resize(60, 0xa5);
    for cut in 1..rtcp.len() {
        network.deliver_to_shard(0, address, rtcp[..cut].to_vec());
    }
    let dropped = network.shards[0].counters.dropped;
    assert!(dropped.unauthentic > 150, "{dropped:?}");
    assert!(dropped.malformed > 10, "{dropped:?}");
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), ALL);
}

#[test]
fn a_stranger_is_not_heard() {
    let (mut network, mut teacher, mut viewer) = connected(2);
    lesson(&mut network, &mut teacher, &mut viewer);
    let events = network.events.len();
    for first in [20, 22, 63, 128, 144, 191] {
        network.deliver_to_shard(0, stranger(), vec![first; 100]);
    }
    let dropped = network.shards[0].counters.dropped;
    assert_eq!(dropped.unknown_address, 6);
    assert_eq!(network.events.len(), events, "Python heard of a stranger");
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), ALL);
}

#[test]
fn a_check_with_the_wrong_password_moves_nobody() {
    let (mut network, mut teacher, mut viewer) = connected(3);
    lesson(&mut network, &mut teacher, &mut viewer);
    let mut wrong = credentials(viewer.client.peer);
    wrong.pwd.push('x');
    let unknown = Credentials {
        ufrag: "nobody".into(),
        pwd: "whatever".into(),
    };
    for credentials in [&wrong, &unknown] {
        network.deliver_to_shard(0, stranger(), check(credentials, true));
    }
    assert_eq!(network.shards[0].counters.dropped.unauthentic, 2);
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), ALL);
}

#[test]
fn a_restart_takes_new_credentials_and_follows_the_peer() {
    let (mut network, mut teacher, mut viewer) = connected(4);
    lesson(&mut network, &mut teacher, &mut viewer);
    let old = credentials(viewer.client.peer);
    let new = Credentials {
        ufrag: "fresh".into(),
        pwd: "fresh-password-of-it".into(),
    };
    network.command(
        0,
        Command::RotateCredentials(viewer.client.peer, new.clone()),
    );
    network.events.clear();
    network.deliver_to_shard(0, viewer.address(), check(&old, false));
    assert_eq!(
        network.shards[0].counters.dropped.unauthentic, 0,
        "the old still counts"
    );
    let elsewhere = SocketAddr::from(([10, 0, 0, 9], 4_000));
    network.deliver_to_shard(0, elsewhere, check(&new, true));
    assert_eq!(
        network.events,
        [Event::Connected(viewer.client.peer, elsewhere)]
    );
    for _ in 0..11 * SECOND / network::STEP {
        network.step();
    }
    network.deliver_to_shard(0, elsewhere, check(&old, false));
    assert_eq!(
        network.shards[0].counters.dropped.unauthentic, 1,
        "the old has expired"
    );
}

#[test]
fn a_peer_in_a_thousand_places_is_known_in_a_few() {
    let (mut network, mut teacher, mut viewer) = connected(5);
    let mine = credentials(viewer.client.peer);
    for port in 1..1_000 {
        let elsewhere = SocketAddr::from(([10, 9, 9, 9], port));
        network.deliver_to_shard(0, elsewhere, check(&mine, false));
    }
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), ALL);
}

#[test]
fn silence_of_checks_is_told_once() {
    let (mut network, teacher, viewer) = connected(6);
    network.events.clear();
    for second in 0..40 {
        if second % 5 == 0 {
            let mine = credentials(viewer.client.peer);
            network.deliver_to_shard(0, viewer.address(), check(&mine, false));
        }
        for _ in 0..SECOND / network::STEP {
            network.step();
        }
    }
    assert_eq!(network.events, [Event::ConsentLost(teacher.client.peer)]);
}

#[test]
fn what_names_somebody_gone_is_ignored() {
    let (mut network, teacher, viewer) = connected(7);
    let peer = viewer.client.peer;
    network.command(0, Command::RemovePeer(peer));
    network.command(0, Command::RemovePeer(peer));
    network.command(0, Command::SetPaused(viewer.track, true));
    network.command(0, Command::SetSource(viewer.track, None));
    network.command(0, Command::SendDtls(peer, vec![22; 100]));
    network.command(0, Command::RotateCredentials(peer, credentials(peer)));
    network.command(0, Command::RemovePeer(teacher.client.peer));
    network.command(0, Command::Freshen(teacher.track));
    assert_eq!(network.shards[0].peers().count(), 0);
    let again = network.client(0, Link::default(), Profile::AeadAes128Gcm);
    assert_eq!(
        network.shards[0].peers().map(|p| p.id).collect::<Vec<_>>(),
        [again.peer]
    );
}

/// A teacher, an attacker, a school; the attack lasts a second, and after it what of the attacker's
/// link is told: bits a second, and what was refused.
fn attacked(
    seed: u64,
    times: u64,
    mut compound: impl FnMut(&Network, &Viewer, u64) -> Vec<u8>,
) -> (Option<u64>, u64) {
    let (mut network, mut teacher, mut attacker) = connected(seed);
    let mut school = Viewer::new(&mut network, Link::default(), teacher.track);
    lesson(&mut network, &mut teacher, &mut attacker);
    for attack in 0..times {
        let compound = compound(&network, &attacker, attack);
        attacker.send_rtcp(&mut network, compound);
        if attack % (times / 30).max(1) == 0 {
            teacher.send_picture(&mut network, PICTURE);
            for _ in 0..33 {
                for (client, datagram) in network.step() {
                    if client == teacher.address() {
                        teacher.handle(&mut network, datagram);
                    } else if client == school.address() {
                        school.handle(network.now, datagram);
                    }
                }
            }
        }
    }
    assert_eq!(lesson(&mut network, &mut teacher, &mut school), ALL);
    assert_eq!(school.holes(), 0);
    let mut peers = network.shards[0].peers();
    let sent = &peers
        .find(|p| p.id == attacker.client.peer)
        .expect("there")
        .sent;
    let estimate = sent.state().map(|state| state.bits_per_second);
    (estimate, sent.counters().refused)
}

fn feedback(base: u16, count: u8, arrivals: &[Option<u64>]) -> Vec<u8> {
    let mut out = Vec::new();
    rtcp::transport_feedback(&mut out, 1, 2, base, count, arrivals);
    out
}

#[test]
fn feedback_on_what_was_never_sent_is_refused() {
    let (estimate, refused) = attacked(10, 60, |network, _, attack| {
        let base = 20_000 + attack as u16 * 100;
        feedback(base, attack as u8, &[Some(network.now); 50])
    });
    assert_eq!((estimate, refused), (None, 60));
    // It begins with the truth and goes on beyond it.
    let (estimate, refused) = attacked(11, 60, |network, _, attack| {
        feedback(1, attack as u8, &[Some(network.now); 5_000])
    });
    assert!(refused >= 60, "{refused}");
    assert!(estimate.is_some_and(is_sane), "{estimate:?}");
}

/// Between what sound needs and what no school has.
fn is_sane(bits_per_second: u64) -> bool {
    (5_000..=100_000_000).contains(&bits_per_second)
}

#[test]
fn clocks_that_run_backwards_or_leap_ahead_move_no_estimate_out_of_bounds() {
    let leaps: [fn(u64, u64) -> u64; 3] = [
        |now, attack| now - attack * 15 * SECOND,
        |now, attack| now + attack * attack * SECOND,
        |now, attack| now ^ (attack.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24),
    ];
    for (seed, leap) in (12..).zip(leaps) {
        let (estimate, refused) = attacked(seed, 60, |network, _, attack| {
            let at = Some(leap(network.now, attack));
            feedback(1 + 2 * attack as u16, attack as u8, &[at; 2])
        });
        assert!(estimate.is_some_and(is_sane), "{estimate:?} for {seed}");
        assert!(refused > 10, "{refused} refused for {seed}");
    }
}

#[test]
fn a_thousand_feedbacks_a_second_are_not_all_heard() {
    let (estimate, refused) = attacked(15, 1_000, |network, _, attack| {
        feedback(1 + attack as u16 % 100, attack as u8, &[Some(network.now)])
    });
    // A hundred a second are, and a hundred in a burst.
    assert!((700..900).contains(&refused), "{refused}");
    assert!(estimate.is_some_and(is_sane), "{estimate:?}");
}

#[test]
fn absurd_bounds_of_bitrate_change_nothing() {
    for (seed, bitrate) in [(16, 0), (17, u64::MAX)] {
        let told = attacked(seed, 60, |_, attacker, _| {
            let mut out = Vec::new();
            rtcp::remb(&mut out, 1, bitrate, &[attacker.ssrc()]);
            out
        });
        assert_eq!(told, (None, 0), "REMB is not listened to");
    }
}

#[test]
fn who_asks_for_every_packet_there_can_be_hurts_nobody() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let chunks: Vec<&[u16]> = all.chunks(256).collect();
    let (estimate, _) = attacked(18, 3 * chunks.len() as u64, |_, attacker, attack| {
        let mut out = Vec::new();
        let lost = chunks[attack as usize % chunks.len()];
        rtcp::nack(&mut out, 1, attacker.ssrc(), lost);
        out
    });
    assert_eq!(estimate, None);
}

#[test]
fn extended_reports_of_garbage_are_borne() {
    attacked(19, 300, |network, _, attack| {
        let mut out = Vec::new();
        rtcp::xr_rrtr(&mut out, attack as u32, u64::MAX - attack);
        let mut garbage = network::Random::new(attack + network.now);
        let body = (0..8 * (attack as usize % 30)).map(|_| garbage.bits() as u8);
        let body: Vec<u8> = body.collect();
        let words = (body.len() / 4 + 1) as u16;
        out.extend_from_slice(&[0x80, 207]);
        out.extend_from_slice(&words.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(&body);
        out
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bytes come, from whomever: no panic, and the lesson goes on.
    #[test]
    fn arbitrary_datagrams_end_nothing(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        from_teacher in any::<bool>(),
    ) {
        let (mut network, mut teacher, mut viewer) = connected(8);
        let from = if from_teacher { teacher.address() } else { stranger() };
        for datagram in datagrams {
            network.deliver_to_shard(0, from, datagram);
        }
        teacher.send_picture(&mut network, 3);
        for _ in 0..50 {
            for (client, datagram) in network.step() {
                if client == viewer.address() {
                    viewer.handle(network.now, datagram);
                }
            }
        }
        prop_assert_eq!(viewer.got.len(), 3);
        prop_assert!(network.now > MILLISECOND);
    }
}
