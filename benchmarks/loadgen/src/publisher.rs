//! A teacher's streams: the packets of a trace, numbered, stamped and sealed.

use tongbu_media::crypto::{Outbound, RTP_OVERHEAD};
use tongbu_media::packet::rtp::RtpHeader;

use crate::poll::realtime_ns;
use crate::trace::Step;

/// The sender's clock stands at the end of each payload, in nanoseconds.
pub(crate) const STAMP: usize = 8;

/// Payload types and SSRCs of a publisher, and the id of its transport-wide sequence number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publishing {
    pub audio: (u8, u32),
    pub video: (u8, u32),
    pub transport_cc: Option<u8>,
}

/// Where its streams stand.
pub(crate) struct Publisher {
    publishing: Publishing,
    /// Of sound and of picture.
    sequences: [u64; 2],
    transport_sequence: u16,
}

impl Publisher {
    pub(crate) fn new(publishing: Publishing) -> Self {
        Self {
            publishing,
            sequences: [1_000; 2],
            transport_sequence: 0,
        }
    }

    /// Write one packet of the trace into `out`, sealed; stamped last, so that only the sealing
    /// and the system call lie between the stamp and the wire.
    pub(crate) fn write(
        &mut self,
        step: &Step,
        keyframe: bool,
        srtp: &Outbound,
        out: &mut Vec<u8>,
    ) {
        let kind = usize::from(step.video);
        self.sequences[kind] += 1;
        let sequence = self.sequences[kind];
        let (payload_type, ssrc) = match step.video {
            true => self.publishing.video,
            false => self.publishing.audio,
        };
        let header = RtpHeader {
            marker: step.video && step.last,
            payload_type,
            sequence: sequence as u16,
            timestamp: step.timestamp,
            ssrc,
        };
        out.clear();
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let number = self.transport_sequence.to_be_bytes();
        let extension = self.publishing.transport_cc.map(|id| (id, &number[..]));
        header.write(out, extension.into_iter());
        let start = out.len();
        out.resize(start + step.payload, 0x3c);
        if step.video {
            out[start..start + 2].copy_from_slice(&fragment(step, keyframe));
        }
        let end = out.len();
        out.resize(end + RTP_OVERHEAD, 0);
        out[end - STAMP..end].copy_from_slice(&realtime_ns().to_be_bytes());
        // Sealing fails on a wrong length only, and this one is right.
        let sealed = srtp.seal_rtp((sequence >> 16) as u32, out, end);
        out.truncate(sealed.unwrap_or(0));
    }
}

/// The first two bytes of an H264 FU-A (RFC 6184, 5.8): an IDR slice or another.
fn fragment(step: &Step, keyframe: bool) -> [u8; 2] {
    let nal_type = if keyframe { 5 } else { 1 };
    let edges = u8::from(step.first) << 7 | u8::from(step.last) << 6;
    [0x60 | 28, edges | nal_type]
}
