//! Snapshots of counters as dictionaries: their shape is told in `sfu/stats.py`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::MILLISECOND;
use crate::engine::ShardStats;
use crate::journals::Journals;
use crate::tcp::ListenerStats;

pub(super) fn shard_stats<'py>(
    py: Python<'py>,
    stats: &ShardStats,
) -> PyResult<Bound<'py, PyDict>> {
    let counters = &stats.counters;
    let dropped = &counters.dropped;
    let pairs = [
        ("peers", stats.peers as u64),
        ("datagrams_in", counters.datagrams_in),
        ("bytes_in", counters.bytes_in),
        ("receive_calls", counters.receive_calls),
        ("waits", counters.waits),
        ("forwarded", counters.forwarded),
        ("datagrams_out", stats.sent.datagrams),
        ("bytes_out", stats.sent.bytes),
        ("messages_out", stats.sent.messages),
        ("send_calls", stats.sent.calls),
        ("send_refused", stats.sent.refused),
        ("tcp_connections", stats.tcp.connections as u64),
        ("tcp_queue_bytes", stats.tcp.queued as u64),
        ("tcp_refused", stats.tcp.refused),
        ("tcp_expelled", stats.tcp.expelled),
        ("tcp_datagrams_out", stats.tcp.datagrams),
        ("tcp_dropped_stale", stats.tcp.dropped_stale),
        ("tcp_dropped_closed", stats.tcp.dropped_closed),
        ("inbox_overflow", counters.inbox_overflow),
        ("event_overflow", counters.event_overflow),
        ("allocations", stats.allocations),
        ("dropped_malformed", dropped.malformed),
        ("dropped_unauthentic", dropped.unauthentic),
        ("dropped_unknown_address", dropped.unknown_address),
        ("dropped_no_keys", dropped.no_keys),
        ("dropped_replayed", dropped.replayed),
        ("dropped_unbound", dropped.unbound),
        ("dropped_oversized", dropped.oversized),
    ];
    let dict = PyDict::new(py);
    for (name, value) in pairs {
        dict.set_item(name, value)?;
    }
    for (edge, count) in stats.latency.buckets() {
        dict.set_item(format!("forwarding_us_{edge}"), count)?;
    }
    dict.set_item("segmentation", stats.segments)?;
    Ok(dict)
}

pub(super) fn uptrack_stats<'py>(
    py: Python<'py>,
    shards: &[ShardStats],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut all = Vec::new();
    for stats in shards.iter().flat_map(|s| &s.uptracks) {
        let dict = PyDict::new(py);
        dict.set_item("id", stats.id.0)?;
        dict.set_item("peer", stats.peer.0)?;
        dict.set_item("packets", stats.counters.packets)?;
        dict.set_item("octets", stats.counters.octets)?;
        dict.set_item("repaired", stats.counters.repaired)?;
        dict.set_item("keyframes", stats.counters.keyframes)?;
        if let Some(idle) = stats.idle {
            dict.set_item("idle_ms", idle / MILLISECOND)?;
        }
        all.push(dict);
    }
    Ok(all)
}

pub(super) fn downtrack_stats<'py>(
    py: Python<'py>,
    shards: &[ShardStats],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut all = Vec::new();
    for stats in shards.iter().flat_map(|s| &s.downtracks) {
        let dict = PyDict::new(py);
        dict.set_item("id", stats.id.0)?;
        dict.set_item("peer", stats.peer.0)?;
        dict.set_item("source", stats.source.map(|s| s.0))?;
        dict.set_item("packets", stats.counters.packets)?;
        dict.set_item("octets", stats.counters.octets)?;
        dict.set_item("padded", stats.counters.padded)?;
        dict.set_item("resent", stats.counters.resent)?;
        dict.set_item("unavailable", stats.counters.unavailable)?;
        dict.set_item("deferred", stats.counters.deferred)?;
        dict.set_item("copies", stats.counters.copies)?;
        dict.set_item("fec_packets", stats.counters.fec_packets)?;
        dict.set_item("probes", stats.counters.probes)?;
        dict.set_item("keyframes_refused", stats.counters.keyframes_refused)?;
        dict.set_item(
            "fraction_lost",
            f64::from(stats.counters.fraction_lost) / 256.0,
        )?;
        all.push(dict);
    }
    Ok(all)
}

pub(super) fn link_stats<'py>(
    py: Python<'py>,
    shards: &[ShardStats],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut all = Vec::new();
    for stats in shards.iter().flat_map(|s| &s.links) {
        let dict = PyDict::new(py);
        dict.set_item("peer", stats.peer.0)?;
        dict.set_item("rtt_ms", stats.rtt as f64 / MILLISECOND as f64)?;
        dict.set_item("delivered", stats.counters.delivered)?;
        dict.set_item("lost", stats.counters.lost)?;
        dict.set_item("delivered_bps", stats.counters.delivered_per_second * 8)?;
        dict.set_item("estimate_bps", stats.estimate)?;
        dict.set_item("feedback_refused", stats.counters.refused)?;
        dict.set_item(
            "feedback_ms",
            stats.counters.feedback_delay as f64 / MILLISECOND as f64,
        )?;
        let transport = stats.tcp_queued.map_or("udp", |_| "tcp");
        dict.set_item("transport", transport)?;
        dict.set_item("queue_bytes", stats.tcp_queued.unwrap_or(0))?;
        all.push(dict);
    }
    Ok(all)
}

/// One row for the node's TCP port, none without.
pub(super) fn listener_stats(
    py: Python<'_>,
    stats: Option<ListenerStats>,
) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let row = |stats: ListenerStats| {
        let dict = PyDict::new(py);
        dict.set_item("accepted", stats.accepted)?;
        dict.set_item("delivered", stats.delivered)?;
        dict.set_item("dropped_crowded", stats.crowded)?;
        dict.set_item("dropped_late", stats.late)?;
        dict.set_item("dropped_malformed", stats.malformed)?;
        dict.set_item("dropped_unknown", stats.unknown)?;
        Ok(dict)
    };
    stats.into_iter().map(row).collect()
}

pub(super) fn journal_stats<'py>(
    py: Python<'py>,
    journals: &Journals,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut all = Vec::new();
    for (id, stats) in journals.stats() {
        let dict = PyDict::new(py);
        dict.set_item("id", id.0)?;
        dict.set_item("bytes", stats.bytes)?;
        dict.set_item("records", stats.records)?;
        dict.set_item("dropped_video", stats.dropped_video)?;
        dict.set_item("dropped_other", stats.dropped_other)?;
        all.push(dict);
    }
    Ok(all)
}
