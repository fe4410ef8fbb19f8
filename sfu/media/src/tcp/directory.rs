//! Which shard a peer is on, by our user fragment in its checks: what the listener must know of
//! peers, and all it knows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::ids::PeerId;

/// User fragments a peer has at once: the current one, and the one before an ICE restart.
const MAX_UFRAGS: usize = 2;

/// Shared by the listener and whoever announces peers; asked once a connection, not once a packet.
#[derive(Debug, Default)]
pub struct Directory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    shards: FxHashMap<String, usize>,
    ufrags: FxHashMap<PeerId, Vec<String>>,
}

impl Directory {
    /// A peer has a (new) user fragment.
    pub fn handle_ufrag(&self, peer: PeerId, ufrag: &str) {
        let mut entries = self.locked();
        let ufrags = entries.ufrags.entry(peer).or_default();
        ufrags.push(ufrag.to_owned());
        let forgotten = (ufrags.len() > MAX_UFRAGS).then(|| ufrags.remove(0));
        if let Some(ufrag) = forgotten {
            entries.shards.remove(&ufrag);
        }
        entries.shards.insert(ufrag.to_owned(), peer.shard());
    }

    /// The peer is gone.
    pub fn handle_removal(&self, peer: PeerId) {
        let mut entries = self.locked();
        for ufrag in entries.ufrags.remove(&peer).into_iter().flatten() {
            entries.shards.remove(&ufrag);
        }
    }

    /// Where the peer with this user fragment is.
    pub fn shard_of(&self, ufrag: &str) -> Option<usize> {
        self.locked().shards.get(ufrag).copied()
    }

    /// The maps hold whole entries whatever thread died with the lock.
    fn locked(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_found_by_its_last_two_names_until_it_goes() {
        let directory = Directory::default();
        let peer = PeerId(0x0103);
        for ufrag in ["a", "b", "c"] {
            directory.handle_ufrag(peer, ufrag);
        }
        let found = ["a", "b", "c"].map(|ufrag| directory.shard_of(ufrag));
        assert_eq!(found, [None, Some(3), Some(3)]);
        directory.handle_removal(peer);
        assert_eq!(directory.shard_of("c"), None);
    }
}
