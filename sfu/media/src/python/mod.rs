//! The seam, from this side: the only folder that names pyo3. It converts and delegates.
//!
//! The contract stands in `sfu/_media.pyi`. Every call that may wait releases the GIL.

mod config;
mod events;
mod reader;
mod records;
mod samples;
mod stats;
mod timeline;

use std::os::fd::AsRawFd;
use std::path::Path;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::config::{DowntrackArgument, EngineArgument, UptrackArgument};
use self::events::{
    Connected, ConsentLost, Dtls, JournalFailed, JournalRecovered, LayersChanged, LayersWanted,
    LinkChanged, Speaking, StreamStarted, event_object, journal_event_object,
};
use self::reader::{
    Damage, Frame, JournalEnd, JournalReader, LessonEvent, RawJournalReader, RawRecord,
    SenderReport, read_packets,
};
use self::samples::Samples;
use self::stats::{
    downtrack_stats, journal_stats, link_stats, listener_stats, shard_stats, uptrack_stats,
};
use self::timeline::{Timed, Timeline};
use crate::codec::Layer;
use crate::crypto::{Inbound, Outbound, Profile};
use crate::engine;
use crate::ice::Credentials;
use crate::ids::{DowntrackId, IdSource, JournalId, PeerId, UptrackId};
use crate::journal::Keeps;
use crate::journals::Journals;
use crate::peer::Srtp;
use crate::shard::Command;
use crate::track::{Limit, PlayoutDelay, Recording};

/// Counts; see `allocations` in the statistics of a shard.
#[global_allocator]
static ALLOCATOR: crate::allocations::CountingAllocator = crate::allocations::CountingAllocator;

#[pymodule]
mod _media {
    #[pymodule_export]
    use super::{
        Connected, ConsentLost, Damage, Dtls, Engine, Frame, JournalEnd, JournalFailed,
        JournalReader, JournalRecovered, LayersChanged, LayersWanted, LessonEvent, LinkChanged,
        RawJournalReader, RawRecord, Samples, SenderReport, Speaking, StreamStarted, Timed,
        Timeline, read_packets,
    };
}

#[pyclass(frozen)]
struct Engine {
    inner: engine::Engine,
    journals: Journals,
    ids: IdSource,
    shards: usize,
}

impl Engine {
    fn command(&self, shard: usize, command: Command) {
        self.inner.command(shard, command);
    }
}

#[pymethods]
impl Engine {
    #[new]
    fn new(py: Python<'_>, config: EngineArgument) -> PyResult<Self> {
        let config = config.parse()?;
        let inner = py.detach(|| engine::Engine::start(config))?;
        let journals = Journals::new(inner.wake());
        let ids = IdSource::default();
        Ok(Self {
            inner,
            journals,
            ids,
            shards: config.shards,
        })
    }

    #[getter]
    fn event_fd(&self) -> i32 {
        self.inner.event_fd().as_raw_fd()
    }

    #[getter]
    fn ports(&self) -> Vec<u16> {
        self.inner.ports()
    }

    #[getter]
    fn tcp_port(&self) -> Option<u16> {
        self.inner.tcp_port()
    }

    fn poll_events(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let events = self.inner.poll_events();
        let journal_events = self.journals.poll_events();
        let events = events.into_iter().map(|e| event_object(py, e));
        let journal_events = journal_events
            .into_iter()
            .map(|e| journal_event_object(py, e));
        events.chain(journal_events).collect()
    }

    fn add_peer(&self, shard: usize, ufrag: String, pwd: String) -> PyResult<u32> {
        if shard >= self.shards {
            return Err(invalid("there is no such shard"));
        }
        let id = self.ids.next(shard);
        self.command(
            shard,
            Command::AddPeer(PeerId(id), Credentials { ufrag, pwd }),
        );
        Ok(id)
    }

    fn remove_peer(&self, peer: u32) {
        let peer = PeerId(peer);
        self.command(peer.shard(), Command::RemovePeer(peer));
    }

    fn rotate_credentials(&self, peer: u32, ufrag: String, pwd: String) {
        let peer = PeerId(peer);
        let credentials = Credentials { ufrag, pwd };
        self.command(peer.shard(), Command::RotateCredentials(peer, credentials));
    }

    fn send_dtls(&self, peer: u32, datagram: Vec<u8>) -> PyResult<()> {
        if datagram.len() > crate::outbox::MAX_DATAGRAM {
            return Err(invalid("a DTLS datagram is at most 2048 bytes"));
        }
        let peer = PeerId(peer);
        self.command(peer.shard(), Command::SendDtls(peer, datagram));
        Ok(())
    }

    fn set_keys(&self, peer: u32, profile: &str, rx: &[u8], tx: &[u8]) -> PyResult<()> {
        let profile = Profile::from_name(profile).ok_or_else(|| invalid("unknown SRTP profile"))?;
        let wrong = |_| invalid("the key does not have the profile's length");
        let inbound = Inbound::new(profile, rx).map_err(wrong)?;
        let outbound = Outbound::new(profile, tx).map_err(wrong)?;
        let peer = PeerId(peer);
        let srtp = Box::new(Srtp { inbound, outbound });
        self.command(peer.shard(), Command::SetKeys(peer, srtp));
        Ok(())
    }

    fn add_uptrack(&self, peer: u32, config: UptrackArgument) -> PyResult<u32> {
        let (peer, config) = (PeerId(peer), Box::new(config.parse()?));
        let id = self.ids.next(peer.shard());
        self.command(
            peer.shard(),
            Command::AddUptrack(peer, UptrackId(id), config),
        );
        Ok(id)
    }

    fn add_downtrack(&self, peer: u32, config: DowntrackArgument) -> PyResult<u32> {
        let (peer, config) = (PeerId(peer), Box::new(config.parse()?));
        let id = self.ids.next(peer.shard());
        self.command(
            peer.shard(),
            Command::AddDowntrack(peer, DowntrackId(id), config),
        );
        Ok(id)
    }

    fn remove_uptrack(&self, uptrack: u32) {
        let uptrack = UptrackId(uptrack);
        self.command(uptrack.shard(), Command::RemoveUptrack(uptrack));
    }

    fn remove_downtrack(&self, downtrack: u32) {
        let downtrack = DowntrackId(downtrack);
        self.command(downtrack.shard(), Command::RemoveDowntrack(downtrack));
    }

    #[pyo3(signature = (downtrack, uptrack))]
    fn set_source(&self, downtrack: u32, uptrack: Option<u32>) {
        let downtrack = DowntrackId(downtrack);
        self.command(
            downtrack.shard(),
            Command::SetSource(downtrack, uptrack.map(UptrackId)),
        );
    }

    fn set_paused(&self, downtrack: u32, paused: bool) {
        let downtrack = DowntrackId(downtrack);
        self.command(downtrack.shard(), Command::SetPaused(downtrack, paused));
    }

    #[pyo3(signature = (downtrack, stream, spatial, temporal))]
    fn set_limit(&self, downtrack: u32, stream: Option<u8>, spatial: u8, temporal: u8) {
        let downtrack = DowntrackId(downtrack);
        let layer = Layer { spatial, temporal };
        let limit = Limit { stream, layer };
        self.command(downtrack.shard(), Command::SetLimit(downtrack, limit));
    }

    fn set_playout_delay(&self, downtrack: u32, least: f64, most: f64) -> PyResult<()> {
        let delay = PlayoutDelay::from_seconds(least, most)
            .ok_or_else(|| invalid("a playout delay is 0 to 40.95 s, the least first"))?;
        let downtrack = DowntrackId(downtrack);
        self.command(
            downtrack.shard(),
            Command::SetPlayoutDelay(downtrack, delay),
        );
        Ok(())
    }

    fn set_wanted(&self, peer: u32, bits_per_second: u64) {
        let peer = PeerId(peer);
        self.command(peer.shard(), Command::SetWanted(peer, bits_per_second));
    }

    fn freshen(&self, uptrack: u32) {
        let uptrack = UptrackId(uptrack);
        self.command(uptrack.shard(), Command::Freshen(uptrack));
    }

    fn open_journal(&self, py: Python<'_>, directory: &str) -> PyResult<u32> {
        let id = JournalId(self.ids.next(0));
        py.detach(|| self.journals.open(id, Path::new(directory)))?;
        Ok(id.0)
    }

    fn journal_track(&self, journal: u32, track: u16, uptrack: u32) -> PyResult<()> {
        let (journal, uptrack) = (JournalId(journal), UptrackId(uptrack));
        if track == 0 {
            return Err(invalid("journal tracks are numbered from 1"));
        }
        if let Some(sink) = self.journals.sink(journal) {
            let recording = Recording {
                journal,
                number: track,
                sink,
            };
            self.command(uptrack.shard(), Command::Record(uptrack, recording));
        }
        Ok(())
    }

    fn journal_event(&self, journal: u32, json: String) {
        let now = self.inner.now();
        self.journals.event(JournalId(journal), now, json);
    }

    fn keep_of_journals(&self, keeps: &str) -> PyResult<()> {
        let keeps = match keeps {
            "everything" => Keeps::Everything,
            "sound" => Keeps::Sound,
            "events" => Keeps::Events,
            _ => return Err(invalid("journals keep everything, sound or events")),
        };
        self.journals.keep(keeps);
        Ok(())
    }

    fn close_journal(&self, py: Python<'_>, journal: u32) -> PyResult<()> {
        let journal = JournalId(journal);
        for shard in 0..self.shards {
            self.command(shard, Command::ForgetJournal(journal));
        }
        py.detach(|| {
            // Answered behind the commands above: nothing more comes to the journal.
            self.inner.stats();
            self.journals.close(journal)
        })?;
        Ok(())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (shards, buffers) = py.detach(|| (self.inner.stats(), self.inner.buffers()));
        let all = PyDict::new(py);
        let each: Vec<_> = shards
            .iter()
            .map(|s| shard_stats(py, s))
            .collect::<PyResult<Vec<_>>>()?;
        for (shard, buffers) in each.iter().zip(buffers) {
            shard.set_item("receive_buffer_bytes", buffers.receive)?;
            shard.set_item("send_buffer_bytes", buffers.send)?;
        }
        all.set_item("shards", each)?;
        all.set_item("uptracks", uptrack_stats(py, &shards)?)?;
        all.set_item("downtracks", downtrack_stats(py, &shards)?)?;
        all.set_item("links", link_stats(py, &shards)?)?;
        all.set_item(
            "listeners",
            listener_stats(py, self.inner.listener_stats())?,
        )?;
        all.set_item("journals", journal_stats(py, &self.journals)?)?;
        Ok(all)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            self.inner.stop();
            self.journals.close_all();
        });
    }
}

fn object<T>(py: Python<'_>, value: T) -> PyResult<Py<PyAny>>
where
    T: pyo3::PyClass + Into<pyo3::PyClassInitializer<T>>,
{
    Ok(Py::new(py, value)?.into_any())
}

fn invalid(message: &str) -> PyErr {
    PyValueError::new_err(message.to_owned())
}
