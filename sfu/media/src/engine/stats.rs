//! Snapshots of a shard, for Python.

use super::runner::Runner;
use crate::allocations;
use crate::clock::Micros;
use crate::congestion::LinkCounters;
use crate::counters::ShardCounters;
use crate::ids::{DowntrackId, PeerId, UptrackId};
use crate::latency::Histogram;
use crate::peer::Peer;
use crate::tcp::{Connections, TcpCounters};
use crate::track::{RtpSink, SinkCounters, Uptrack, UptrackCounters};
use crate::udp::SendCounters;

/// A snapshot of one uptrack.
#[derive(Clone, Debug)]
pub struct UptrackStats {
    /// Which.
    pub id: UptrackId,
    /// Of whom.
    pub peer: PeerId,
    /// What has come of it.
    pub counters: UptrackCounters,
    /// Time since its newest packet, or since forever.
    pub idle: Option<Micros>,
}

/// A snapshot of one downtrack.
#[derive(Clone, Debug)]
pub struct DowntrackStats {
    /// Which.
    pub id: DowntrackId,
    /// Of whom.
    pub peer: PeerId,
    /// From where.
    pub source: Option<UptrackId>,
    /// What it carried.
    pub counters: SinkCounters,
}

/// A snapshot of one shard.
#[derive(Clone, Debug)]
pub struct ShardStats {
    /// Peers on it.
    pub peers: usize,
    /// Totals.
    pub counters: ShardCounters,
    /// What its socket sent.
    pub sent: SendCounters,
    /// What its TCP connections do.
    pub tcp: TcpCounters,
    /// Whether the network does UDP segmentation.
    pub segments: bool,
    /// Memory its thread has asked for, in times; 0 where the allocator does not count.
    pub allocations: u64,
    /// From the arrival of a packet at this machine to its last step out of it, each viewer.
    pub latency: Histogram,
    /// Its publishers' tracks.
    pub uptracks: Vec<UptrackStats>,
    /// Its viewers' tracks.
    pub downtracks: Vec<DowntrackStats>,
    /// The ways to its peers.
    pub links: Vec<LinkStats>,
}

/// How the way to one peer does.
#[derive(Clone, Copy, Debug)]
pub struct LinkStats {
    /// Whose.
    pub peer: PeerId,
    /// Round trip by its reports; 0 while unknown.
    pub rtt: Micros,
    /// What it is taken to carry, bits a second, if it tells.
    pub estimate: Option<u64>,
    /// What it tells of our packets.
    pub counters: LinkCounters,
    /// By TCP: the bytes that wait for the connection to take them.
    pub tcp_queued: Option<usize>,
}

impl Runner {
    /// A snapshot of this shard.
    pub(super) fn stats(&mut self) -> ShardStats {
        let now = self.clock.now();
        let transmitter = self.outbox.transmitter();
        let (sent, segments) = (transmitter.socket.counters, transmitter.socket.segments());
        let latency = transmitter.latency.clone();
        let tcp = &transmitter.tcp;
        let peers = || self.shard.peers();
        ShardStats {
            peers: peers().count(),
            counters: self.shard.counters,
            allocations: allocations::of_this_thread(),
            sent,
            tcp: tcp.counters(),
            segments,
            latency,
            uptracks: peers().flat_map(|peer| uptracks(peer, now)).collect(),
            downtracks: peers().flat_map(downtracks).collect(),
            links: peers().map(|peer| link_stats(peer, tcp)).collect(),
        }
    }
}

fn link_stats(peer: &Peer, tcp: &Connections) -> LinkStats {
    let connection = peer.ice.path().and_then(|path| path.connection);
    LinkStats {
        peer: peer.id,
        rtt: peer.rtt(),
        estimate: peer.sent.estimate(),
        counters: peer.sent.counters(),
        tcp_queued: connection.map(|id| tcp.queued(id)),
    }
}

fn uptracks(peer: &Peer, now: Micros) -> impl Iterator<Item = UptrackStats> {
    let stats = move |track: &Uptrack| UptrackStats {
        id: track.id,
        peer: peer.id,
        counters: track.counters,
        idle: track.counters.last_packet.map(|at| now.saturating_sub(at)),
    };
    peer.uptracks.iter().map(stats)
}

fn downtracks(peer: &Peer) -> impl Iterator<Item = DowntrackStats> {
    let stats = |sink: &RtpSink| DowntrackStats {
        id: sink.id,
        peer: peer.id,
        source: sink.source,
        counters: sink.counters,
    };
    peer.sinks.iter().map(stats)
}
