//! The cases: those of RFC 8867 section 5, and the links that schools have.

use tongbu_media::clock::MILLISECOND;

use super::{Case, FlowConfig, Gilbert, LinkConfig, Random, Source, Tcp};

const M: f64 = 1e6;
/// Sections 4.2 and 5: the path of the cases, one way, and its queue.
const DELAY: u64 = 50 * MILLISECOND;
const QUEUE: u64 = 300 * MILLISECOND;
/// Section 4.3: video between 150 kbit/s and 1.5 Mbit/s.
const VIDEO: (f64, f64) = (150e3, 1.5e6);

fn case(name: &'static str, seconds: u64, there: LinkConfig, flows: Vec<FlowConfig>) -> Case {
    let back = LinkConfig::new(100.0 * M, there.delay, QUEUE);
    Case {
        name,
        seconds,
        there,
        back,
        flows,
        tcps: Vec::new(),
        seed: 1,
    }
}

fn path(rate: &[(f64, f64)]) -> LinkConfig {
    LinkConfig {
        rate: rate.to_vec(),
        ..LinkConfig::new(M, DELAY, QUEUE)
    }
}

fn video(from: f64) -> FlowConfig {
    FlowConfig {
        active: (from, f64::MAX),
        ..FlowConfig::new(Source::Adaptive(VIDEO.0, VIDEO.1))
    }
}

fn wide_video(from: f64) -> FlowConfig {
    FlowConfig {
        active: (from, f64::MAX),
        ..FlowConfig::new(Source::Adaptive(VIDEO.0, 2.5 * M))
    }
}

/// Section 5.1.
pub fn variable_capacity() -> Case {
    let rate = [(0.0, M), (40.0, 2.5 * M), (60.0, 0.6 * M), (80.0, M)];
    let there = path(&rate);
    case("5.1 variable capacity", 100, there, vec![wide_video(0.0)])
}

/// Section 5.2.
pub fn variable_capacity_two_flows() -> Case {
    let rate = [
        (0.0, 4.0 * M),
        (25.0, 2.0 * M),
        (50.0, 3.5 * M),
        (75.0, M),
        (100.0, 2.0 * M),
    ];
    let flows = vec![wide_video(0.0), wide_video(0.0)];
    case("5.2 variable capacity, two flows", 125, path(&rate), flows)
}

/// Section 5.3: media both ways, each congests the other's feedback.
pub fn congested_feedback() -> Case {
    let there = [(0.0, 2.0 * M), (20.0, M), (40.0, 0.5 * M), (60.0, 2.0 * M)];
    let back = [(0.0, 2.0 * M), (35.0, 0.8 * M), (70.0, 2.0 * M)];
    let reverse = FlowConfig {
        reverse: true,
        ..video(0.0)
    };
    let flows = vec![video(0.0), reverse];
    Case {
        back: path(&back),
        ..case("5.3 congested feedback", 100, path(&there), flows)
    }
}

/// Section 5.4.
pub fn competing_flows() -> Case {
    let flows = vec![wide_video(0.0), wide_video(20.0), wide_video(40.0)];
    case("5.4 competing flows", 120, path(&[(0.0, 3.5 * M)]), flows)
}

/// Section 5.5: one-way delays of 10, 25, 50, 100 and 150 ms.
pub fn round_trip_fairness() -> Case {
    let flow = |(index, delay): (usize, u64)| FlowConfig {
        extra_delay: (delay - 10) * MILLISECOND,
        ..wide_video(10.0 * index as f64)
    };
    let delays = [10, 25, 50, 100, 150].into_iter().enumerate();
    let there = LinkConfig::new(4.0 * M, 10 * MILLISECOND, QUEUE);
    case(
        "5.5 round trip fairness",
        300,
        there,
        delays.map(flow).collect(),
    )
}

/// Section 5.6: beside one TCP connection, with either queue.
pub fn long_tcp(queue: u64) -> Case {
    let name = match queue {
        300 => "5.6 long TCP, queue 300 ms",
        _ => "5.6 long TCP, queue 1000 ms",
    };
    let there = LinkConfig::new(2.0 * M, DELAY, queue * MILLISECOND);
    Case {
        tcps: vec![Tcp::long(0.0, f64::MAX)],
        ..case(name, 120, there, vec![video(5.0)])
    }
}

/// Section 5.7: ten connections that fetch files of 100 kB to 1 MB now and then.
pub fn short_tcp() -> Case {
    let there = LinkConfig::new(2.0 * M, DELAY, QUEUE);
    let tcp = |seed| Tcp::short(0.0, (67, 667), 10.0, seed);
    Case {
        tcps: (1..=10).map(tcp).collect(),
        ..case("5.7 short TCP", 300, there, vec![video(5.0), video(5.0)])
    }
}

/// All of RFC 8867 that we run.
pub fn rfc8867() -> Vec<Case> {
    vec![
        variable_capacity(),
        variable_capacity_two_flows(),
        congested_feedback(),
        competing_flows(),
        round_trip_fairness(),
        long_tcp(300),
        long_tcp(1_000),
        short_tcp(),
    ]
}

/// 4G at its worst: 1 Mbit/s, 80 ms, 5% lost in bursts of two.
pub fn bad_4g(seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.0263,
        out: 0.5,
    };
    profile("D bad 4G", M, 0.5 * M, 40, 15, QUEUE, loss, seed)
}

/// A geostationary satellite: 2 Mbit/s, 600 ms, 2% in bursts of four.
pub fn satellite(seed: u64) -> Case {
    profile(
        "E satellite",
        2.0 * M,
        0.5 * M,
        300,
        10,
        2 * QUEUE,
        SATELLITE,
        seed,
    )
}

/// The same in rain.
pub fn satellite_in_rain(seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.0083,
        out: 0.2,
    };
    profile(
        "E in rain",
        2.0 * M,
        0.5 * M,
        300,
        10,
        2 * QUEUE,
        loss,
        seed,
    )
}

/// The narrowest satellite: 500 kbit/s.
pub fn narrow_satellite(seed: u64) -> Case {
    profile(
        "F narrow satellite",
        0.5 * M,
        0.25 * M,
        300,
        10,
        2 * QUEUE,
        SATELLITE,
        seed,
    )
}

/// Low satellites: 20 Mbit/s, 50 ms, 1%, a handover each 15 s.
pub fn low_satellites(seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.0101,
        out: 1.0,
    };
    let queue = 200 * MILLISECOND;
    let mut case = profile(
        "G low satellites",
        20.0 * M,
        3.0 * M,
        25,
        8,
        queue,
        loss,
        seed,
    );
    case.there.handover = Some((15.0, 0.15, 0.5, 40 * MILLISECOND));
    case.flows = vec![FlowConfig::new(Source::Adaptive(VIDEO.0, 25.0 * M))];
    case
}

/// Rural ADSL: 4 Mbit/s, 60 ms.
pub fn adsl(seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.001,
        out: 0.33,
    };
    profile("B rural ADSL", 4.0 * M, 0.5 * M, 30, 5, QUEUE, loss, seed)
}

/// A school's line, 10 Mbit/s, 30 ms: a camera in layers, beside whom neighbours download with so
/// many connections between seconds 24 and 42.
pub fn neighbours(connections: usize, seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.005,
        out: 0.995,
    };
    let queue = 150 * MILLISECOND;
    let line = profile("A neighbours", 10.0 * M, 4.0 * M, 15, 5, queue, loss, seed);
    let layers = vec![200e3, 450e3, 1.25 * M];
    Case {
        seconds: 60,
        flows: vec![FlowConfig::new(Source::Layers(layers))],
        tcps: vec![Tcp::long(24.0, 42.0); connections],
        ..line
    }
}

/// Rural 4G: 80 ms, 1% in bursts of three, a queue of 1.5 s; the rate is another each few seconds.
pub fn rural_4g(seed: u64) -> Case {
    let loss = Gilbert {
        into: 0.003,
        out: 0.3,
    };
    let queue = 1_500 * MILLISECOND;
    let mut line = profile("C rural 4G", 3.0 * M, M, 40, 20, queue, loss, seed);
    let mut random = Random::new(seed);
    let mut at = 0.0;
    line.there.rate.clear();
    while at < 120.0 {
        line.there.rate.push((at, (0.5 + 5.5 * random.part()) * M));
        at += 1.0 + 4.0 * random.part();
    }
    let layers = vec![200e3, 450e3, 1.25 * M];
    line.flows = vec![FlowConfig::new(Source::Layers(layers))];
    line
}

/// A line whose queue is next to nothing: what is too much is lost at once.
pub fn shallow(inherent: Gilbert, seed: u64) -> Case {
    let queue = 25 * MILLISECOND;
    profile("shallow queue", M, M, 30, 0, queue, inherent, seed)
}

/// An outage of some seconds on the satellite, from second 40 on.
pub fn outage(seconds: f64, seed: u64) -> Case {
    let mut case = satellite(seed);
    case.name = match seconds {
        10.0 => "E, an outage of 10 s",
        _ => "E, an outage of 30 s",
    };
    case.there.outages = vec![(40.0, seconds)];
    case.back.outages = vec![(40.0, seconds)];
    case
}

/// Slides and a voice for a minute, then the camera as well, on some link.
pub fn camera_joins(mut case: Case, rate: f64) -> Case {
    let rates = vec![(0.0, 120e3), (60.0, rate)];
    let wanted = vec![(0.0, 0.0), (40.0, rate * 1.05)];
    case.name = match case.there.delay > 100 * MILLISECOND {
        true => "the camera joins on E",
        false => "the camera joins on B",
    };
    case.flows = vec![FlowConfig::new(Source::Fixed(rates, wanted))];
    case
}

const SATELLITE: Gilbert = Gilbert {
    into: 0.0051,
    out: 0.25,
};

#[allow(clippy::too_many_arguments, reason = "a row of the table of profiles")]
fn profile(
    name: &'static str,
    down: f64,
    up: f64,
    delay: u64,
    jitter: u64,
    queue: u64,
    loss: Gilbert,
    seed: u64,
) -> Case {
    let link = |rate| LinkConfig {
        jitter: jitter * MILLISECOND,
        loss,
        ..LinkConfig::new(rate, delay * MILLISECOND, queue)
    };
    Case {
        back: link(up),
        seed,
        ..case(
            name,
            120,
            link(down),
            vec![FlowConfig::new(Source::Adaptive(VIDEO.0, 1.5 * down))],
        )
    }
}
