//! The cases of RFC 8867 and of our link profiles on a virtual bottleneck, one JSON line each:
//! `cargo run --release --example rfc8867`; what `python -m benchmarks rfc8867` draws.

#[path = "../tests/bottleneck/mod.rs"]
mod bottleneck;

use bottleneck::{Case, Series, cases};
use serde_json::json;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut all = cases::rfc8867();
    all.extend([
        cases::bad_4g(1),
        cases::satellite(1),
        cases::satellite_in_rain(1),
        cases::narrow_satellite(1),
        cases::low_satellites(1),
        cases::adsl(1),
        cases::shallow(bottleneck::Gilbert::default(), 1),
        cases::outage(10.0, 1),
        cases::outage(30.0, 1),
        cases::camera_joins(cases::adsl(1), 2.5e6),
        cases::camera_joins(cases::satellite(2), 1.5e6),
    ]);
    let chosen = |case: &Case| wanted.is_empty() || wanted.iter().any(|w| case.name.contains(w));
    for case in all.iter().filter(|case| chosen(case)) {
        println!("{}", told(case, &case.run()));
    }
}

fn told(case: &Case, series: &Series) -> serde_json::Value {
    let end = case.seconds as f64;
    let samples: Vec<_> = series
        .samples
        .iter()
        .map(|s| json!([s.at, s.capacity, s.queue, s.rates, s.targets, s.tcp]))
        .collect();
    json!({
        "name": case.name,
        "utilisation": series.utilisation(10.0, end),
        "queue_p95_ms": series.queue(0.95, 10.0, end),
        "fairness": series.fairness(end / 2.0, end),
        "inherent": series.inherent,
        "padded": series.padded,
        "changes": series.changes,
        "samples": samples,
    })
}
