//! What a shard counts. Plain numbers of one thread; read as a snapshot.

use crate::peer::Dropped;

/// Datagrams dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedCounters {
    /// Not a protocol we speak, or cut short.
    pub malformed: u64,
    /// A wrong STUN integrity or SRTP tag.
    pub unauthentic: u64,
    /// From an address no check has come from.
    pub unknown_address: u64,
    /// SRTP before the handshake was through.
    pub no_keys: u64,
    /// SRTP seen before.
    pub replayed: u64,
    /// Of no negotiated track.
    pub unbound: u64,
    /// Larger than what can be forwarded.
    pub oversized: u64,
}

impl DroppedCounters {
    /// Count a datagram that a peer refused.
    pub fn count(&mut self, reason: Dropped) {
        let counter = match reason {
            Dropped::NoKeys => &mut self.no_keys,
            Dropped::Malformed => &mut self.malformed,
            Dropped::Unauthentic => &mut self.unauthentic,
            Dropped::Replayed => &mut self.replayed,
            Dropped::Unbound => &mut self.unbound,
            Dropped::Oversized => &mut self.oversized,
        };
        *counter += 1;
    }
}

/// Totals of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// System calls to receive them.
    pub receive_calls: u64,
    /// Times the shard slept.
    pub waits: u64,
    /// Media packets times viewers they were lined up for.
    pub forwarded: u64,
    /// Media messages another shard's full inbox refused.
    pub inbox_overflow: u64,
    /// DTLS datagrams that Python was too slow to take.
    pub event_overflow: u64,
    /// Datagrams dropped.
    pub dropped: DroppedCounters,
}
