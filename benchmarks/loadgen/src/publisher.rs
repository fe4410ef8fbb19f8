//! A teacher's streams: the packets of a trace, numbered, stamped and sealed.

use tongbu_media::crypto::{Outbound, RTP_OVERHEAD};
use tongbu_media::packet::rtp::RtpHeader;

use crate::poll::realtime_ns;
use crate::trace::Step;

/// The sender's clock stands at the end of each payload, in nanoseconds.
pub(crate) const STAMP: usize = 8;

/// What a keyframe begins with, in one packet (STAP-A, RFC 6184, 5.7.1): the parameter sets of
/// constrained baseline at 1280x720, and an IDR slice of the rest. Encoders send no keyframe
/// without, and servers tell one by them.
const KEYFRAME_HEAD: [u8; 18] = [
    0x78, 0, 9, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4, 0, 4, 0x68, 0xce, 0x38, 0x80,
];
const INDICATOR: u8 = 0x60;
const FU_A: u8 = 28;
const IDR: u8 = 5;
const SLICE: u8 = 1;

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
    /// The next packet of the frame begins a fragmented slice.
    slice_begins: bool,
}

impl Publisher {
    pub(crate) fn new(publishing: Publishing) -> Self {
        Self {
            publishing,
            sequences: [1_000; 2],
            transport_sequence: 0,
            slice_begins: false,
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
            self.shape(step, keyframe, &mut out[start..]);
        }
        let end = out.len();
        out.resize(end + RTP_OVERHEAD, 0);
        out[end - STAMP..end].copy_from_slice(&realtime_ns().to_be_bytes());
        // Sealing fails on a wrong length only, and this one is right.
        let sealed = srtp.seal_rtp((sequence >> 16) as u32, out, end);
        out.truncate(sealed.unwrap_or(0));
    }

    /// Make a payload look like H264: the parameter sets first, if it begins a keyframe, else
    /// a part of a slice (FU-A, RFC 6184, 5.8).
    fn shape(&mut self, step: &Step, keyframe: bool, payload: &mut [u8]) {
        const HEAD: usize = KEYFRAME_HEAD.len();
        if keyframe && step.first {
            let slice = payload.len() - HEAD - 2;
            payload[..HEAD].copy_from_slice(&KEYFRAME_HEAD);
            payload[HEAD..HEAD + 2].copy_from_slice(&(slice as u16).to_be_bytes());
            payload[HEAD + 2] = INDICATOR | IDR;
        } else {
            let begins = step.first || self.slice_begins;
            let edges = u8::from(begins) << 7 | u8::from(step.last) << 6;
            let nal_type = if keyframe { IDR } else { SLICE };
            payload[..2].copy_from_slice(&[INDICATOR | FU_A, edges | nal_type]);
        }
        self.slice_begins = keyframe && step.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step {
        at_us: 0,
        video: true,
        payload: 200,
        first: false,
        last: false,
        keyframe: false,
        timestamp: 0,
    };

    fn frame(keyframe: bool, packets: usize) -> Vec<Vec<u8>> {
        let (audio, video) = ((111, 1), (96, 2));
        let mut publisher = Publisher::new(Publishing {
            audio,
            video,
            transport_cc: None,
        });
        let step = |index| Step {
            first: index == 0,
            last: index + 1 == packets,
            ..STEP
        };
        let shaped = (0..packets).map(|index| {
            let mut payload = vec![0; STEP.payload];
            publisher.shape(&step(index), keyframe, &mut payload);
            payload
        });
        shaped.collect()
    }

    /// Types of the NAL units of a STAP-A, which must fill it to the last byte.
    fn units(mut payload: &[u8]) -> Vec<u8> {
        assert_eq!(payload[0] & 0x1f, 24);
        payload = &payload[1..];
        let mut types = Vec::new();
        while let [a, b, rest @ ..] = payload {
            types.push(rest[0] & 0x1f);
            payload = &rest[usize::from(u16::from_be_bytes([*a, *b]))..];
        }
        assert!(payload.is_empty());
        types
    }

    #[test]
    fn a_keyframe_begins_with_its_parameter_sets() {
        let packets = frame(true, 3);
        assert_eq!(units(&packets[0]), [7, 8, 5]);
        let edges: Vec<_> = packets[1..].iter().map(|p| (p[0] & 0x1f, p[1])).collect();
        assert_eq!(edges, [(28, 0x80 | 5), (28, 0x40 | 5)]);
        assert_eq!(units(&frame(true, 1)[0]), [7, 8, 5]);
    }

    #[test]
    fn other_frames_are_one_fragmented_slice() {
        let edges: Vec<_> = frame(false, 3)
            .iter()
            .map(|p| (p[0] & 0x1f, p[1]))
            .collect();
        assert_eq!(edges, [(28, 0x81), (28, 1), (28, 0x41)]);
    }
}
