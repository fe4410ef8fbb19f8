//! The least that forwarding could cost: the same packets to the same sockets, sealed and sent,
//! and nothing else. No peers, no routes, no repair: AES-GCM and `sendmmsg` with GSO.
//!
//! The packets have the sizes that the node puts on the wire: its header extensions, and the
//! packets of a frame padded to one size where that takes little, so that trains are long.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tongbu_media::crypto::{Outbound, Profile, RTP_OVERHEAD};
use tongbu_media::outbox::{Outbox, Path};
use tongbu_media::packet::rtp::RtpHeader;
use tongbu_media::udp::Socket;

use crate::poll::thread_cpu_us;
use crate::trace::{Step, TraceConfig, second};

/// Padding that evening out may take, in percent of a frame.
const MAX_PADDING: usize = 1;
/// The largest payload there is room for.
const LARGEST: usize = 1_500;

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    pub packets: u64,
    pub bytes_per_packet: f64,
    pub us_per_packet: f64,
}

/// Send the trace to all destinations in real time for `seconds`; CPU time of this thread.
/// Packets have header extensions of `extension_bytes`.
pub(crate) fn measure(
    destinations: &[SocketAddr],
    trace: TraceConfig,
    extension_bytes: usize,
    seconds: u64,
) -> io::Result<Limit> {
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 4 << 20)?;
    let mut outbox = Outbox::new(Box::new(socket));
    // One key schedule a viewer, as a server has.
    let key = [9; 28];
    let viewers: Vec<(SocketAddr, Outbound)> = destinations
        .iter()
        .filter_map(|d| Some((*d, Outbound::new(Profile::AeadAes128Gcm, &key).ok()?)))
        .collect();
    let extension = extension(extension_bytes);
    let (start, cpu) = (Instant::now(), thread_cpu_us());
    let (mut packets, mut bytes, mut sequence) = (0, 0, 0);
    for s in 0..seconds {
        for frame in second(trace, s).chunk_by_mut(|a, b| a.at_us == b.at_us) {
            let due = Duration::from_micros(frame[0].at_us);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
            even_out(frame);
            for (address, srtp) in &viewers {
                let path = Path::udp(*address, Ipv4Addr::LOCALHOST.into());
                send_frame(&mut outbox, path, srtp, frame, sequence, &extension);
            }
            outbox.flush();
            sequence += frame.len() as u64;
            packets += (frame.len() * viewers.len()) as u64;
            let each = 12 + extension.len() + RTP_OVERHEAD;
            let size: usize = frame.iter().map(|step| each + step.payload).sum();
            bytes += (size * viewers.len()) as u64;
        }
    }
    let us_per_packet = (thread_cpu_us() - cpu) / packets.max(1) as f64;
    let bytes_per_packet = bytes as f64 / packets.max(1) as f64;
    Ok(Limit {
        packets,
        bytes_per_packet,
        us_per_packet,
    })
}

fn send_frame(
    outbox: &mut Outbox<Socket>,
    path: Path,
    srtp: &Outbound,
    frame: &[Step],
    sequence: u64,
    extension: &[u8],
) {
    let payload = [0x3c; LARGEST];
    for (i, step) in frame.iter().enumerate() {
        let sequence = sequence + i as u64;
        let header = RtpHeader {
            marker: step.last,
            payload_type: 96,
            sequence: sequence as u16,
            timestamp: step.timestamp,
            ssrc: 1,
        };
        // Sealing fails on a wrong length only.
        let _ = outbox.write(path, 0, |arena, start| {
            arena.extend_from_slice(&header.fixed());
            arena[start] |= if extension.is_empty() { 0 } else { 0x10 };
            arena.extend_from_slice(extension);
            arena.extend_from_slice(&payload[..step.payload]);
            let len = arena.len() - start;
            arena.resize(start + len + RTP_OVERHEAD, 0);
            srtp.seal_rtp((sequence >> 16) as u32, &mut arena[start..], len)
                .map(drop)
        });
    }
}

/// A block of the one-byte form (RFC 8285, 4.2) with nothing but padding in it.
fn extension(bytes: usize) -> Vec<u8> {
    let words = bytes.saturating_sub(4) / 4;
    let mut block = vec![0xbe, 0xde, 0, words as u8];
    block.resize(4 + words * 4, 0);
    if bytes == 0 { Vec::new() } else { block }
}

/// Make the video packets of a frame as large as its largest, if that takes little; but the last,
/// which ends the train in any case.
fn even_out(frame: &mut [Step]) {
    let video = || frame.iter().filter(|step| step.video);
    let (count, sum) = (video().count(), video().map(|s| s.payload).sum::<usize>());
    let largest = video().map(|s| s.payload).max().unwrap_or(0);
    if (count * largest - sum) * 100 <= sum * MAX_PADDING {
        let all_but_last = frame.iter_mut().filter(|s| s.video && !s.last);
        all_but_last.for_each(|step| step.payload = largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(video: bool, payload: usize, last: bool) -> Step {
        Step {
            at_us: 0,
            video,
            payload,
            first: false,
            last,
            keyframe: false,
            timestamp: 0,
        }
    }

    #[test]
    fn pictures_are_evened_out_and_sound_is_not() {
        let sizes = [1_000, 999, 999];
        let mut frame = sizes.map(|size| step(true, size, false)).to_vec();
        frame[2].last = true;
        frame.push(step(false, 160, true));
        even_out(&mut frame);
        let sizes: Vec<_> = frame.iter().map(|s| s.payload).collect();
        assert_eq!(sizes, [1_000, 1_000, 999, 160]);
    }

    #[test]
    fn a_frame_that_would_need_much_padding_stays() {
        let mut frame = [900, 1_000, 1_000].map(|size| step(true, size, false));
        even_out(&mut frame);
        assert_eq!(frame.map(|s| s.payload), [900, 1_000, 1_000]);
    }

    #[test]
    fn an_extension_has_the_length_asked_for() {
        assert!(extension(0).is_empty());
        assert_eq!(extension(8), [0xbe, 0xde, 0, 1, 0, 0, 0, 0]);
    }
}
