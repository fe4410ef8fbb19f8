//! A hostile client: as many datagrams as asked for that are good for nothing.
//!
//! A third is garbage, a third connectivity checks with a wrong password, a third SRTP with a wrong
//! tag. They come from the address of a seated school, so that nothing is refused for its address
//! alone: the server must look at each.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tongbu_media::outbox::{Outbox, Path};
use tongbu_media::packet::rtp::RtpHeader;
use tongbu_media::packet::stun;
use tongbu_media::udp::Socket;

use crate::poll::yield_to_others;

/// Datagrams leave in portions of a millisecond.
const TICK: Duration = Duration::from_millis(1);
/// Bytes of garbage and of a forged packet.
const SIZE: usize = 200;

/// What to send, and how much of it.
pub(crate) struct Flood {
    pub socket: Socket,
    pub server: SocketAddr,
    pub ufrag: String,
    pub pps: u64,
    pub seconds: f64,
    pub sent: Arc<AtomicU64>,
}

impl Flood {
    /// Send until the time is over.
    pub(crate) fn run(self) {
        yield_to_others();
        let path = Path::udp(self.server, Ipv4Addr::LOCALHOST.into());
        let mut outbox = Outbox::new(Box::new(self.socket));
        let check = wrong_check(&self.ufrag);
        let (start, mut sent) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < self.seconds {
            let due = (start.elapsed().as_secs_f64() * self.pps as f64) as u64;
            for number in sent..due {
                match number % 3 {
                    0 => outbox.push(path, &garbage(number)),
                    1 => outbox.push(path, &check),
                    _ => outbox.push(path, &forged(number)),
                }
            }
            outbox.flush();
            sent = due;
            self.sent.store(sent, Ordering::Relaxed);
            std::thread::sleep(TICK);
        }
    }
}

/// No protocol of RFC 7983, and no two alike.
fn garbage(number: u64) -> [u8; SIZE] {
    let mut datagram = [number as u8; SIZE];
    datagram[0] = 64 + (number % 64) as u8;
    datagram
}

/// A packet that looks right up to its tag.
fn forged(number: u64) -> [u8; SIZE] {
    let mut datagram = [0x5a; SIZE];
    let header = RtpHeader {
        marker: false,
        payload_type: 96,
        sequence: number as u16,
        timestamp: number as u32,
        ssrc: 0xbad,
    };
    datagram[..12].copy_from_slice(&header.fixed());
    datagram
}

fn wrong_check(ufrag: &str) -> Vec<u8> {
    let mut check = Vec::new();
    stun::write_request(
        &mut check,
        &[9; 12],
        &format!("{ufrag}:x"),
        b"not the password",
        true,
    );
    check
}
