//! The UDP socket of a shard: batches in by `recvmmsg`, trains out by `sendmmsg` with GSO.
//!
//! The folder with `unsafe` (beside `tcp/system.rs`): the few system calls that std does not wrap. Every block says
//! why its pointers hold.
//!
//! A socket bound to all addresses must answer from the address it was asked at, or the peer
//! takes the answer for a stranger's: `IP_PKTINFO` tells which it was, and sets it.

#![allow(unsafe_code)]

mod receive;
mod send;
mod wake;

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

pub use receive::{Arrival, BATCH, ReceiveBatch};
pub use wake::{Wake, wait_readable};

/// Room for the control messages of one datagram: IP_PKTINFO, SCM_TIMESTAMPNS and UDP_GRO.
const CONTROL: usize = 96;

/// Control messages must be aligned as their header is.
#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// What the kernel grants of the buffer sizes asked for.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// SO_RCVBUF as granted.
    pub receive: usize,
    /// SO_SNDBUF as granted.
    pub send: usize,
}

/// What was sent, and what could not be.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendCounters {
    /// Datagrams the kernel took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages they went in; with GSO one carries many.
    pub messages: u64,
    /// System calls they took.
    pub calls: u64,
    /// Datagrams the kernel refused: its buffer was full, or there is no way to the peer.
    pub refused: u64,
}

/// A non-blocking IPv4 socket.
pub struct Socket {
    socket: UdpSocket,
    gso: bool,
    /// What was sent.
    pub counters: SendCounters,
}

impl Socket {
    /// Bind, and ask for buffers of `buffer_bytes`.
    pub fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let fd = socket.as_raw_fd();
        set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        let bytes = buffer_bytes.min(i32::MAX as usize / 2) as i32;
        ask_for_buffer(fd, bytes, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)?;
        ask_for_buffer(fd, bytes, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)?;
        Ok(Self {
            socket,
            gso: true,
            counters: SendCounters::default(),
        })
    }

    /// Let the kernel put datagrams of one sender together (UDP_GRO) and stamp each with the time
    /// it came. To be read by [`ReceiveBatch::coalesced`]. A kernel that cannot is as good: what
    /// it does not put together or stamp comes alone, with an age of 0.
    pub fn coalesce_and_stamp(&self) {
        let fd = self.socket.as_raw_fd();
        let _ = set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
        let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
    }

    /// Whether trains are still sent whole.
    pub fn segments(&self) -> bool {
        self.gso
    }

    /// A second handle for sending.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self {
            socket,
            gso: self.gso,
            counters: self.counters,
        })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The buffers granted. Linux doubles what is set, for its own bookkeeping.
    pub fn buffers(&self) -> io::Result<Buffers> {
        let size = |option| option_value(self.socket.as_raw_fd(), libc::SOL_SOCKET, option);
        Ok(Buffers {
            receive: size(libc::SO_RCVBUF)? as usize / 2,
            send: size(libc::SO_SNDBUF)? as usize / 2,
        })
    }

    /// Send one datagram now, as a client does. Refusals are counted: UDP may lose.
    pub fn send_to(&mut self, datagram: &[u8], to: SocketAddr) {
        match self.socket.send_to(datagram, to) {
            Ok(_) => self.counters.datagrams += 1,
            Err(_) => self.counters.refused += 1,
        }
    }

    /// Take what waits, at most a batch; 0 when nothing does.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.receive(self.socket.as_raw_fd())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Beyond the limit of the machine where we may (CAP_NET_ADMIN), else up to it.
fn ask_for_buffer(fd: RawFd, bytes: i32, forced: i32, limited: i32) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, forced, bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, limited, bytes))
}

pub(crate) fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = mem::size_of::<i32>() as u32;
    // SAFETY: the option's value is an int, and lives through the call.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn option_value(fd: RawFd, level: i32, name: i32) -> io::Result<i32> {
    let (mut value, mut size) = (0i32, mem::size_of::<i32>() as u32);
    // SAFETY: the option's value is an int, and both outlive the call.
    let result =
        unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut size) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::*;
    use crate::outbox::{Outbox, Path};

    fn loopback() -> Socket {
        Socket::bind(([127, 0, 0, 1], 0).into(), 1 << 20).expect("loopback can be bound")
    }

    fn receive_all(socket: &Socket, expected: usize) -> Vec<Vec<u8>> {
        let mut batch = ReceiveBatch::default();
        let mut all = Vec::new();
        while all.len() < expected {
            let count = socket.receive(&mut batch).expect("the socket works");
            assert!(count > 0, "{} of {expected} datagrams arrived", all.len());
            all.extend(batch.datagrams().map(|(_, datagram)| datagram.to_vec()));
        }
        all
    }

    #[test]
    fn trains_arrive_as_single_datagrams() {
        let (from, to) = (loopback(), loopback());
        let path = Path::udp(to.local_addr().expect("bound"), Ipv4Addr::LOCALHOST.into());
        let sizes = [100, 100, 100, 40, 100, 200, 200, 7];
        let mut outbox = Outbox::new(Box::new(from));
        for (i, &size) in sizes.iter().enumerate() {
            outbox.push(path, &vec![i as u8; size]);
        }
        outbox.flush();
        let received = receive_all(&to, sizes.len());
        for (i, (&size, datagram)) in sizes.iter().zip(&received).enumerate() {
            assert_eq!(datagram, &vec![i as u8; size]);
        }
        let counters = outbox.transmitter().counters;
        assert_eq!(counters.datagrams, sizes.len() as u64);
        assert_eq!(counters.messages, 3);
        assert_eq!(counters.calls, 1);
    }

    #[test]
    fn a_train_is_received_in_one_piece_and_taken_apart() {
        let (from, to) = (loopback(), loopback());
        to.coalesce_and_stamp();
        let path = Path::udp(to.local_addr().expect("bound"), Ipv4Addr::LOCALHOST.into());
        let sizes = [1_200, 1_200, 1_200, 700];
        let mut outbox = Outbox::new(Box::new(from));
        for (i, &size) in sizes.iter().enumerate() {
            outbox.push(path, &vec![i as u8; size]);
        }
        outbox.flush();
        let mut batch = ReceiveBatch::coalesced();
        assert_eq!(to.receive(&mut batch).expect("the socket works"), 1);
        let all: Vec<_> = batch.datagrams().map(|(_, d)| d.to_vec()).collect();
        let sent: Vec<_> = (0..4).map(|i| vec![i as u8; sizes[i]]).collect();
        assert_eq!(all, sent);
    }

    #[test]
    fn where_the_kernel_will_not_segment_a_train_leaves_in_pieces() {
        let (from, to) = (loopback(), loopback());
        // Linux segments no datagrams without checksums: EINVAL.
        set_option(
            from.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            1,
        )
        .expect("set");
        let path = Path::udp(to.local_addr().expect("bound"), Ipv4Addr::LOCALHOST.into());
        let mut outbox = Outbox::new(Box::new(from));
        for round in 0..2 {
            for i in 0..4 {
                outbox.push(path, &[round * 4 + i; 100]);
            }
            outbox.flush();
        }
        let sent: Vec<_> = (0..8).map(|i| vec![i; 100]).collect();
        assert_eq!(receive_all(&to, 8), sent);
        let socket = outbox.transmitter();
        assert!(!socket.segments());
        assert_eq!((socket.counters.datagrams, socket.counters.refused), (8, 0));
    }

    #[test]
    fn a_datagram_tells_how_long_it_waited() {
        let (mut from, to) = (loopback(), loopback());
        to.coalesce_and_stamp();
        let mut batch = ReceiveBatch::coalesced();
        // The kernel begins to stamp a little after it was asked to.
        let waited = (0..100).any(|_| {
            from.send_to(b"x", to.local_addr().expect("bound"));
            std::thread::sleep(Duration::from_millis(2));
            to.receive(&mut batch).expect("the socket works");
            let ages: Vec<_> = batch.datagrams().map(|(a, _)| a.age).collect();
            ages.iter().any(|age| (1_000..1_000_000).contains(age))
        });
        assert!(waited);
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        let server = Socket::bind(([0, 0, 0, 0], 0).into(), 1 << 20).expect("bind");
        let port = server.local_addr().expect("bound").port();
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        client
            .send_to(b"ask", ("127.0.0.2", port))
            .expect("loopback");
        let mut batch = ReceiveBatch::default();
        assert_eq!(server.receive(&mut batch).expect("receive"), 1);
        let path = batch.datagrams().next().expect("one").0.path;
        assert_eq!(path.local, IpAddr::from([127, 0, 0, 2]));
        let mut outbox = Outbox::new(Box::new(server));
        outbox.push(path, b"answer");
        outbox.flush();
        let mut buffer = [0; 16];
        let (len, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(
            (&buffer[..len], from),
            (&b"answer"[..], ([127, 0, 0, 2], port).into())
        );
    }

    #[test]
    fn an_unreachable_peer_costs_the_others_nothing() {
        let (from, to) = (loopback(), loopback());
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let good = Path::udp(to.local_addr().expect("bound"), local);
        // Port 0 is refused by the kernel.
        let bad = Path::udp(([127, 0, 0, 1], 0).into(), local);
        let mut outbox = Outbox::new(Box::new(from));
        outbox.push(good, b"1");
        outbox.push(bad, b"2");
        outbox.push(good, b"3");
        outbox.flush();
        assert_eq!(receive_all(&to, 2), [b"1", b"3"]);
        assert_eq!(outbox.transmitter().counters.refused, 1);
    }
}
