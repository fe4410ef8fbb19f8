//! ICE-TCP (RFC 6544, passive candidates only): media for networks that block UDP, framed as
//! RFC 4571 wants it, on one port of the node.
//!
//! [`listener`] accepts for all shards, reads the first frame of each connection, and hands the
//! socket to the shard of the peer that the frame names ([`directory`]). There it is one of the
//! [`Connections`]: [`framing`] cuts what comes into datagrams, which then go the way of any other;
//! what goes out waits in its [`WriteQueue`], in which sound passes by pictures and stale pictures
//! are dropped.
//!
//! TCP repeats and orders everything, at the price of time. So nothing is left to the kernel that
//! it does not send at once: the queue that can still drop is ours.

mod connection;
mod connections;
pub mod directory;
pub mod framing;
pub mod listener;
pub mod queue;
mod system;

use std::net::{IpAddr, SocketAddr, TcpStream};

pub use connections::{Connections, READ_BUFFER, Ready, TcpCounters};
pub use framing::Frames;
pub use listener::{Listener, ListenerStats};
pub use queue::WriteQueue;

/// A connection that has named its peer, on its way to the peer's shard.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: TcpStream,
    /// Who connected.
    pub remote: SocketAddr,
    /// To which of our addresses.
    pub local: IpAddr,
    /// What has been read already: the first frame, and perhaps the beginning of the next.
    pub bytes: Vec<u8>,
}
