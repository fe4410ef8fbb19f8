//! Events as Python hears them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::object;
use crate::clock::SECOND;
use crate::ids::{JournalId, PeerId, UptrackId};
use crate::journals::JournalEvent;
use crate::outbox::Carrier;
use crate::shard;

#[pyclass(frozen, get_all)]
pub(super) struct Dtls {
    peer: u32,
    datagram: Py<PyBytes>,
}

#[pyclass(frozen, get_all)]
pub(super) struct Connected {
    peer: u32,
    host: String,
    port: u16,
}

#[pyclass(frozen, get_all)]
pub(super) struct ConsentLost {
    peer: u32,
}

#[pyclass(frozen, get_all)]
pub(super) struct StreamStarted {
    uptrack: u32,
    rid: String,
    ssrc: u32,
}

#[pyclass(frozen, get_all)]
pub(super) struct LayersChanged {
    uptrack: u32,
    rates: Vec<(u8, u8, u8, u64)>,
}

#[pyclass(frozen, get_all)]
pub(super) struct LayersWanted {
    uptrack: u32,
    streams: Vec<u32>,
}

#[pyclass(frozen, get_all)]
pub(super) struct Speaking {
    uptrack: u32,
    level: f32,
    active: bool,
}

#[pyclass(frozen, get_all)]
pub(super) struct LinkChanged {
    peer: u32,
    bits_per_second: u64,
    rtt: f64,
    loss: f64,
    tcp: bool,
}

#[pyclass(frozen, get_all)]
pub(super) struct JournalFailed {
    journal: u32,
    reason: String,
}

#[pyclass(frozen, get_all)]
pub(super) struct JournalRecovered {
    journal: u32,
    dropped: u64,
}

pub(super) fn event_object(py: Python<'_>, event: shard::Event) -> PyResult<Py<PyAny>> {
    match event {
        shard::Event::Dtls(PeerId(peer), datagram) => object(
            py,
            Dtls {
                peer,
                datagram: PyBytes::new(py, &datagram).unbind(),
            },
        ),
        shard::Event::Connected(PeerId(peer), address) => {
            let (host, port) = (address.ip().to_string(), address.port());
            object(py, Connected { peer, host, port })
        }
        shard::Event::ConsentLost(PeerId(peer)) => object(py, ConsentLost { peer }),
        shard::Event::StreamStarted(UptrackId(uptrack), rid, ssrc) => {
            object(py, StreamStarted { uptrack, rid, ssrc })
        }
        shard::Event::LayersChanged(UptrackId(uptrack), rates) => {
            let rates = rates
                .iter()
                .map(|r| (r.stream, r.spatial, r.temporal, r.bits_per_second))
                .collect();
            object(py, LayersChanged { uptrack, rates })
        }
        shard::Event::LayersWanted(UptrackId(uptrack), streams) => {
            // As numbers: bytes would become `bytes`.
            let streams = streams.into_iter().map(u32::from).collect();
            object(py, LayersWanted { uptrack, streams })
        }
        shard::Event::Speaking(UptrackId(uptrack), speech) => object(
            py,
            Speaking {
                uptrack,
                level: speech.level,
                active: speech.active,
            },
        ),
        shard::Event::LinkChanged(PeerId(peer), link, carrier) => object(
            py,
            LinkChanged {
                peer,
                bits_per_second: link.bits_per_second,
                rtt: link.rtt as f64 / SECOND as f64,
                loss: link.loss,
                tcp: carrier == Carrier::Tcp,
            },
        ),
    }
}

pub(super) fn journal_event_object(py: Python<'_>, event: JournalEvent) -> PyResult<Py<PyAny>> {
    match event {
        JournalEvent::Failed(JournalId(journal), reason) => {
            object(py, JournalFailed { journal, reason })
        }
        JournalEvent::Recovered(JournalId(journal), dropped) => {
            object(py, JournalRecovered { journal, dropped })
        }
    }
}
