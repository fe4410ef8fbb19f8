//! TCP connections of peers. Bytes, queues and sockets are the business of [`crate::tcp`]; here a
//! connection is a name by which datagrams come and go, and whose it is.

use super::Shard;
use crate::outbox::ConnectionId;

/// Connections one peer may have at once: a browser makes one to each address of ours, from each
/// of its own.
const MAX_CONNECTIONS: usize = 8;

impl Shard {
    /// Whether a peer has proved itself on the connection.
    pub fn knows(&self, connection: ConnectionId) -> bool {
        self.by_connection.contains_key(&connection)
    }

    /// The connection is closed, by whomever. Who had nothing else waits for a check on another,
    /// or for the loss of his consent.
    pub fn handle_disconnect(&mut self, connection: ConnectionId) {
        let Some(slot) = self.by_connection.remove(&connection) else {
            return;
        };
        if let Some(peer) = self.peers[slot].as_mut() {
            peer.ice.handle_disconnect(connection);
        }
    }

    /// A check of this peer has come by the connection; false if it is another's.
    pub(super) fn remember_connection(&mut self, connection: ConnectionId, slot: usize) -> bool {
        if let Some(owner) = self.by_connection.get(&connection) {
            return *owner == slot;
        }
        self.by_connection.insert(connection, slot);
        if self.connections_of(slot).count() > MAX_CONNECTIONS {
            self.close_oldest_of(slot);
        }
        true
    }

    pub(super) fn close_connections_of(&mut self, slot: usize) {
        let closed: Vec<_> = self.connections_of(slot).collect();
        for connection in &closed {
            self.by_connection.remove(connection);
        }
        self.disconnects.extend(closed);
    }

    /// The oldest goes, but never the one we send by.
    fn close_oldest_of(&mut self, slot: usize) {
        let current = self.peers[slot]
            .as_ref()
            .and_then(|peer| peer.ice.path()?.connection);
        let others = self.connections_of(slot).filter(|c| Some(*c) != current);
        if let Some(oldest) = others.min_by_key(|c| c.0) {
            self.by_connection.remove(&oldest);
            self.disconnects.push(oldest);
        }
    }

    /// Looks at all there are: asked when a connection begins and when a peer leaves.
    fn connections_of(&self, slot: usize) -> impl Iterator<Item = ConnectionId> {
        let all = self.by_connection.iter();
        all.filter(move |(_, owner)| **owner == slot)
            .map(|(connection, _)| *connection)
    }
}
