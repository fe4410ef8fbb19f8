//! Trains out, by `sendmmsg` with GSO.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use super::{CONTROL, Control, Socket};
use crate::outbox::{Outgoing, Path, Transmit};

/// Messages given to one `sendmmsg`.
const SEND_BATCH: usize = 64;
/// Segments the kernel takes in one GSO message (UDP_MAX_SEGMENTS before Linux 6.9).
const MAX_SEGMENTS: usize = 64;
/// Bytes it takes in one: an IPv4 datagram without its headers.
const MAX_TRAIN: usize = 65_507;

impl Transmit for Socket {
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        let mut trains = Trains {
            datagrams,
            gso: self.gso,
        };
        let mut batch = [Train::default(); SEND_BATCH];
        loop {
            let mut filled = 0;
            for (slot, train) in batch.iter_mut().zip(&mut trains) {
                *slot = train;
                filled += 1;
            }
            if filled == 0 {
                return;
            }
            self.send(arena, &batch[..filled]);
            trains.gso = self.gso;
        }
    }
}

/// Datagrams of one size to one peer that lie in a row; the last may be shorter.
#[derive(Clone, Copy)]
struct Train {
    path: Path,
    start: usize,
    len: usize,
    segment: usize,
    count: usize,
}

impl Default for Train {
    fn default() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let path = Path::udp(nowhere, nowhere.ip());
        Self {
            path,
            start: 0,
            len: 0,
            segment: 0,
            count: 0,
        }
    }
}

/// Cuts a row of datagrams into trains.
struct Trains<'a> {
    datagrams: &'a [Outgoing],
    gso: bool,
}

impl Iterator for Trains<'_> {
    type Item = Train;

    fn next(&mut self) -> Option<Train> {
        let first = self.datagrams.first()?;
        let Outgoing {
            path,
            start,
            len: segment,
            ..
        } = *first;
        let mut train = Train {
            path,
            start,
            len: segment,
            segment,
            count: 1,
        };
        let most = if self.gso { MAX_SEGMENTS } else { 1 };
        for next in &self.datagrams[1..] {
            let last_was_full = train.len == segment * train.count;
            let fits = next.len <= segment && train.len + next.len <= MAX_TRAIN;
            if train.count == most || next.path != path || !last_was_full || !fits {
                break;
            }
            train.len += next.len;
            train.count += 1;
        }
        self.datagrams = &self.datagrams[train.count..];
        Some(train)
    }
}

impl Socket {
    fn send(&mut self, arena: &[u8], trains: &[Train]) {
        let mut rest = trains;
        while !rest.is_empty() {
            self.counters.calls += 1;
            match send_messages(self.socket.as_raw_fd(), arena, rest) {
                Ok(sent) => {
                    rest[..sent].iter().for_each(|t| self.count_sent(t));
                    rest = &rest[sent..];
                }
                Err(error) => {
                    self.handle_refusal(arena, &rest[0], &error);
                    rest = &rest[1..];
                }
            }
        }
    }

    /// The kernel refused the first of a batch. If it is GSO that it will not do, that is
    /// switched off for good and the packets still go; else they are lost, as on any network.
    fn handle_refusal(&mut self, arena: &[u8], train: &Train, error: &io::Error) {
        let unable = matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL));
        if train.count == 1 || !unable {
            self.counters.refused += train.count as u64;
            return;
        }
        self.gso = false;
        for index in 0..train.count {
            let start = train.start + index * train.segment;
            let len = train.segment.min(train.start + train.len - start);
            let single = Train {
                start,
                len,
                segment: len,
                count: 1,
                ..*train
            };
            self.send(arena, &[single]);
        }
    }

    fn count_sent(&mut self, train: &Train) {
        self.counters.messages += 1;
        self.counters.datagrams += train.count as u64;
        self.counters.bytes += train.len as u64;
    }
}

/// One `sendmmsg`; tells how many messages the kernel took.
fn send_messages(fd: RawFd, arena: &[u8], trains: &[Train]) -> io::Result<usize> {
    let count = trains.len().min(SEND_BATCH);
    // SAFETY: all-zero is a valid value of these C structures.
    let mut names: [libc::sockaddr_in; SEND_BATCH] = unsafe { mem::zeroed() };
    let mut iovecs: [libc::iovec; SEND_BATCH] = unsafe { mem::zeroed() };
    let mut messages: [libc::mmsghdr; SEND_BATCH] = unsafe { mem::zeroed() };
    let mut controls: [MaybeUninit<Control>; SEND_BATCH] = [MaybeUninit::uninit(); SEND_BATCH];
    for (i, train) in trains.iter().take(count).enumerate() {
        names[i] = to_sockaddr(train.path.remote);
        iovecs[i].iov_base = arena[train.start..train.start + train.len]
            .as_ptr()
            .cast_mut()
            .cast();
        iovecs[i].iov_len = train.len;
        let control = controls[i].write(Control([0; CONTROL]));
        let header = &mut messages[i].msg_hdr;
        header.msg_name = (&raw mut names[i]).cast();
        header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as u32;
        header.msg_iov = &raw mut iovecs[i];
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = write_control(&mut control.0, train);
    }
    // SAFETY: every pointer set above outlives the call; the kernel only reads the arena.
    let sent = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), count as u32, 0) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}

/// Our address and, for a train, its segment size; returns the length used.
fn write_control(control: &mut [u8; CONTROL], train: &Train) -> usize {
    let mut used = 0;
    if let IpAddr::V4(local) = train.path.local {
        let mut info = [0; mem::size_of::<libc::in_pktinfo>()];
        // in_pktinfo: interface index (any), then the source address of the route.
        info[4..8].copy_from_slice(&local.octets());
        used += append_control(
            &mut control[used..],
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            &info,
        );
    }
    if train.count > 1 {
        let segment = (train.segment as u16).to_ne_bytes();
        used += append_control(
            &mut control[used..],
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            &segment,
        );
    }
    used
}

/// One control message (cmsg(3)): length, level, type, data, padding to 8.
fn append_control(out: &mut [u8], level: i32, kind: i32, data: &[u8]) -> usize {
    const HEADER: usize = mem::size_of::<libc::cmsghdr>();
    out[..8].copy_from_slice(&(HEADER + data.len()).to_ne_bytes());
    out[8..12].copy_from_slice(&level.to_ne_bytes());
    out[12..16].copy_from_slice(&kind.to_ne_bytes());
    out[HEADER..HEADER + data.len()].copy_from_slice(data);
    HEADER + data.len().next_multiple_of(8)
}

fn to_sockaddr(address: SocketAddr) -> libc::sockaddr_in {
    let (ip, port) = match address {
        SocketAddr::V4(v4) => (*v4.ip(), v4.port()),
        // The socket is IPv4: such a path cannot have been received from.
        SocketAddr::V6(_) => (Ipv4Addr::UNSPECIFIED, 0),
    };
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(ip).to_be(),
        },
        sin_zero: [0; 8],
    }
}
