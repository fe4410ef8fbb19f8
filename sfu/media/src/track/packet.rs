//! One received media packet, opened and shared by everyone who takes it.

use crate::clock::Micros;

/// A decrypted RTP packet without its header: what all viewers share.
#[derive(Debug, Default, Clone)]
pub struct Packet {
    /// Sequence number, unwrapped to 64 bits.
    pub sequence: u64,
    /// RTP timestamp as the publisher sent it.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// The payload begins a keyframe (always true for audio).
    pub keyframe: bool,
    /// When it arrived.
    pub arrival: Micros,
    /// The payload, padding removed.
    pub payload: Vec<u8>,
}
