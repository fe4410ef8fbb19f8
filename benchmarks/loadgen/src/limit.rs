//! The least that forwarding could cost: the same packets to the same sockets, sealed and sent,
//! and nothing else. No peers, no routes, no repair: AES-GCM and `sendmmsg` with GSO.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tongbu_media::crypto::{Outbound, Profile, RTP_OVERHEAD};
use tongbu_media::outbox::{Outbox, Path};
use tongbu_media::packet::rtp::RtpHeader;
use tongbu_media::udp::Socket;

use crate::poll::thread_cpu_us;
use crate::trace::{Step, TraceConfig, second};

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    pub packets: u64,
    pub us_per_packet: f64,
}

/// Send the trace to all destinations in real time for `seconds`; CPU time of this thread.
pub(crate) fn measure(
    destinations: &[SocketAddr],
    trace: TraceConfig,
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
    let payload = [0x3c; 1_500];
    let (start, cpu) = (Instant::now(), thread_cpu_us());
    let (mut packets, mut sequence) = (0, 0);
    for s in 0..seconds {
        let steps = second(trace, s);
        for frame in steps.chunk_by(|a, b| a.at_us == b.at_us) {
            let due = Duration::from_micros(frame[0].at_us);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
            for (address, srtp) in &viewers {
                let local = Ipv4Addr::LOCALHOST.into();
                let path = Path {
                    remote: *address,
                    local,
                };
                send_frame(&mut outbox, path, srtp, frame, sequence, &payload);
            }
            outbox.flush();
            sequence += frame.len() as u64;
            packets += (frame.len() * viewers.len()) as u64;
        }
    }
    let us_per_packet = (thread_cpu_us() - cpu) / packets.max(1) as f64;
    Ok(Limit {
        packets,
        us_per_packet,
    })
}

fn send_frame(
    outbox: &mut Outbox<Socket>,
    path: Path,
    srtp: &Outbound,
    frame: &[Step],
    sequence: u64,
    payload: &[u8],
) {
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
        let _ = outbox.write(path, |arena, start| {
            arena.extend_from_slice(&header.fixed());
            arena.extend_from_slice(&payload[..step.payload]);
            let len = arena.len() - start;
            arena.resize(start + len + RTP_OVERHEAD, 0);
            srtp.seal_rtp((sequence >> 16) as u32, &mut arena[start..], len)
                .map(drop)
        });
    }
}
