//! What comes from the network is hostile: counted, dropped, and felt by nobody else.

mod network;

use std::net::SocketAddr;

use network::{Link, Network, Publisher, Viewer, check, credentials};
use proptest::prelude::*;
use tongbu_media::clock::{MILLISECOND, SECOND};
use tongbu_media::crypto::Profile;
use tongbu_media::ice::Credentials;
use tongbu_media::shard::{Command, Event};

fn stranger() -> SocketAddr {
    ([203, 0, 113, 9], 9).into()
}

/// A second of lesson; how many packets the viewer got in it.
fn lesson(network: &mut Network, teacher: &mut Publisher, viewer: &mut Viewer) -> usize {
    let before = viewer.got.len();
    for _ in 0..30 {
        teacher.send_picture(network, 4);
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
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), 120);
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
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), 120);
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
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), 120);
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
    assert_eq!(lesson(&mut network, &mut teacher, &mut viewer), 120);
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
    network.command(0, Command::RequestKeyframe(teacher.track));
    assert_eq!(network.shards[0].peers().count(), 0);
    let again = network.client(0, Link::default(), Profile::AeadAes128Gcm);
    assert_eq!(
        network.shards[0].peers().map(|p| p.id).collect::<Vec<_>>(),
        [again.peer]
    );
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
