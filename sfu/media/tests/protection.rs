//! Parity for viewers far away: it mends, it costs others nothing, and it takes only what is left.

mod network;

use network::{Link, Network, Publisher, Viewer, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::track::SinkCounters;

const LOCAL: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};
const SATELLITE: Link = Link {
    delay: 300 * MILLISECOND,
    loss: 0.02,
    ..LOCAL
};
const PICTURE: Micros = 33 * MILLISECOND;

fn run(network: &mut Network, teacher: &mut Publisher, viewers: &mut [Viewer], time: Micros) {
    let until = network.now + time;
    while network.now < until {
        if network.now % PICTURE < network::STEP {
            teacher.send_picture(network, 3);
        }
        settle(network, &mut [teacher], viewers);
    }
}

fn counters(network: &Network, viewer: &Viewer) -> SinkCounters {
    let sinks = network.shards[0].peers().flat_map(|p| &p.sinks);
    let mut sinks = sinks.filter(|s| s.id == viewer.track);
    sinks.next().expect("it is there").counters
}

/// Half a minute over this link, with parity offered or not.
fn lesson(seed: u64, link: Link, rate: Option<u64>, parity: bool) -> (Viewer, SinkCounters) {
    let mut network = Network::new(1, seed);
    let mut teacher = Publisher::new(&mut network, LOCAL);
    let mut viewer = Viewer::new(&mut network, link, teacher.track);
    if parity {
        viewer.protect(&mut network, teacher.track);
    }
    network.set_rate(viewer.address(), rate);
    let mut viewers = [viewer];
    run(&mut network, &mut teacher, &mut viewers, 30 * SECOND);
    let counters = counters(&network, &viewers[0]);
    let [viewer] = viewers;
    (viewer, counters)
}

#[test]
fn most_losses_of_a_satellite_are_mended_without_asking() {
    let (viewer, counters) = lesson(1, SATELLITE, None, true);
    assert_eq!(viewer.parity.received > 0, counters.fec_packets > 0);
    let lost = counters.packets / 50;
    let mended = viewer.parity.mended as u64;
    assert!(mended > lost / 2, "{mended} of about {lost}");
    let share = counters.fec_packets as f64 / counters.packets as f64;
    assert!((0.02..0.27).contains(&share), "{share} of the packets");
    // It began when the loss was known, and every number was used once (the viewer looks).
    assert!(viewer.got.len() as u64 > counters.packets * 98 / 100);
}

#[test]
fn a_short_or_a_clean_way_has_no_parity() {
    let near = Link {
        delay: 60 * MILLISECOND,
        ..SATELLITE
    };
    let clean = Link {
        loss: 0.0,
        ..SATELLITE
    };
    for link in [near, clean] {
        let (viewer, counters) = lesson(2, link, None, true);
        assert_eq!(
            (viewer.parity.received, counters.fec_packets),
            (0, 0),
            "{link:?}"
        );
    }
}

#[test]
fn who_did_not_ask_for_parity_gets_none() {
    let (viewer, counters) = lesson(3, SATELLITE, None, false);
    assert_eq!((viewer.parity.received, counters.fec_packets), (0, 0));
}

/// When each number came, after it was sent; the slowest of all but one in a hundred.
fn lateness(viewer: &Viewer) -> Micros {
    let sent = |timestamp: u32, first: (Micros, u32)| {
        first.0 + u64::from(timestamp.wrapping_sub(first.1)) * 100 / 9
    };
    let first = viewer.got.values().next().expect("something came");
    let first = (first.at, first.timestamp);
    let late = |g: &network::viewer::Got| g.at.saturating_sub(sent(g.timestamp, first));
    let mut all: Vec<_> = viewer.got.values().map(late).collect();
    all.sort_unstable();
    all[all.len() * 99 / 100]
}

#[test]
fn where_the_line_is_full_parity_gives_way() {
    // The pictures take 690 kbit/s on the wire.
    for rate in [720_000, 800_000] {
        let (without, _) = lesson(4, SATELLITE, Some(rate), false);
        let (with, _) = lesson(4, SATELLITE, Some(rate), true);
        let (before, after) = (without.got.len(), with.got.len());
        assert!(after * 100 >= before * 99, "{after} of {before} at {rate}");
        let bits = with.parity.bytes as u64 * 8 / 30;
        assert!(bits < 60_000, "{bits} bits a second of parity at {rate}");
        let (before, after) = (lateness(&without), lateness(&with));
        assert!(
            after < before + 150 * MILLISECOND,
            "{after} us, not {before}"
        );
    }
}
