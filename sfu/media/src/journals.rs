//! The journals an engine holds open, by name.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::clock::Micros;
use crate::ids::JournalId;
use crate::journal::{
    Journal, JournalConfig, JournalEntry, JournalNotice, JournalSink, JournalStats, Keeps,
};

/// What a journal's writer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEvent {
    /// It cannot write; the reason.
    Failed(JournalId, String),
    /// It writes again; how many records were lost.
    Recovered(JournalId, u64),
}

type Events = Arc<Mutex<VecDeque<JournalEvent>>>;

/// All open journals of one engine.
pub struct Journals {
    open: Mutex<FxHashMap<JournalId, Journal>>,
    /// Of all of them, and of those that are opened later.
    keeps: Mutex<Keeps>,
    events: Events,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Journals {
    /// None yet; `wake` is called whenever an event waits.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            open: Mutex::default(),
            keeps: Mutex::default(),
            events: Events::default(),
            wake: Arc::new(wake),
        }
    }

    /// Open a journal and take its lock.
    pub fn open(&self, id: JournalId, directory: &Path) -> io::Result<()> {
        let (events, wake) = (Arc::clone(&self.events), Arc::clone(&self.wake));
        let notify = move |notice| {
            let event = match notice {
                JournalNotice::Failed { reason } => JournalEvent::Failed(id, reason),
                JournalNotice::Recovered { dropped } => JournalEvent::Recovered(id, dropped),
            };
            locked(&events).push_back(event);
            wake();
        };
        let config = JournalConfig {
            notify: Box::new(notify),
            ..JournalConfig::default()
        };
        let journal = Journal::open(directory, config)?;
        let mut open = locked(&self.open);
        journal.sink().keep(*locked(&self.keeps));
        open.insert(id, journal);
        Ok(())
    }

    /// What all journals take from now on, those that are opened later as well.
    pub fn keep(&self, keeps: Keeps) {
        let open = locked(&self.open);
        *locked(&self.keeps) = keeps;
        open.values().for_each(|journal| journal.sink().keep(keeps));
    }

    /// Where to push entries of a journal, while it is open.
    pub fn sink(&self, id: JournalId) -> Option<JournalSink> {
        locked(&self.open).get(&id).map(Journal::sink)
    }

    /// Append a lesson event.
    pub fn event(&self, id: JournalId, arrival: Micros, json: String) {
        if let Some(sink) = self.sink(id) {
            // What the queue refuses is counted by the journal.
            sink.push(JournalEntry::Event { arrival, json });
        }
    }

    /// Write what waits, and the end.
    pub fn close(&self, id: JournalId) -> io::Result<()> {
        let journal = locked(&self.open).remove(&id);
        journal.map_or(Ok(()), Journal::close)
    }

    /// Close them all. What cannot be written any more has been told as [`JournalEvent::Failed`].
    pub fn close_all(&self) {
        let all: Vec<_> = locked(&self.open).drain().collect();
        all.into_iter()
            .for_each(|(_, journal)| drop(journal.close()));
    }

    /// Events that wait.
    pub fn poll_events(&self) -> VecDeque<JournalEvent> {
        std::mem::take(&mut *locked(&self.events))
    }

    /// A snapshot of each.
    pub fn stats(&self) -> Vec<(JournalId, JournalStats)> {
        locked(&self.open)
            .iter()
            .map(|(id, journal)| (*id, journal.sink().stats()))
            .collect()
    }
}

/// These maps hold whole values whatever thread died with the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
