//! Batches in, by `recvmmsg`; with GRO one message carries many datagrams of one sender.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{CONTROL, Control};
use crate::clock::Micros;
use crate::outbox::Path;

/// Messages taken by one system call.
pub const BATCH: usize = 64;
/// Room for one datagram; a longer one is cut, and then dropped as malformed.
const DATAGRAM: usize = 2_048;
/// Room for what GRO puts together. Not a power of two: buffers that begin at the same offset of
/// a page would fight for the same lines of the cache.
const COALESCED: usize = 65_536 + 1_088;
/// A kernel stamp older than this tells of a clock that was set, not of a wait.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Where a datagram came from, and since when it waited in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whose it is, and which of our addresses it came to.
    pub path: Path,
    /// Time it had waited when it was read; 0 where the kernel does not stamp.
    pub age: Micros,
}

/// One message: a datagram, or several of `segment` bytes, the last may be shorter.
struct Received {
    arrival: Arrival,
    len: usize,
    segment: usize,
}

/// Buffers of one `recvmmsg`.
pub struct ReceiveBatch {
    buffers: Box<[u8]>,
    stride: usize,
    controls: Box<[Control; BATCH]>,
    received: Vec<Received>,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::with_stride(DATAGRAM)
    }
}

impl ReceiveBatch {
    /// For a socket that coalesces. The room is address space: pages come as they are filled.
    pub fn coalesced() -> Self {
        Self::with_stride(COALESCED)
    }

    fn with_stride(stride: usize) -> Self {
        Self {
            buffers: vec![0; stride * BATCH].into(),
            stride,
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// The datagrams received, to be opened in place.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (Arrival, &mut [u8])> {
        let filled = self
            .received
            .iter()
            .zip(self.buffers.chunks_exact_mut(self.stride));
        filled.flat_map(|(message, buffer)| {
            let datagrams = buffer[..message.len].chunks_mut(message.segment);
            datagrams.map(|datagram| (message.arrival, datagram))
        })
    }

    pub(super) fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        self.received.clear();
        // SAFETY: all-zero is a valid value of these C structures.
        let mut names: [libc::sockaddr_in; BATCH] = unsafe { mem::zeroed() };
        let mut iovecs: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let buffers = self.buffers.chunks_exact_mut(self.stride);
        for (i, buffer) in buffers.enumerate() {
            iovecs[i].iov_base = buffer.as_mut_ptr().cast();
            iovecs[i].iov_len = buffer.len();
            let header = &mut messages[i].msg_hdr;
            header.msg_name = (&raw mut names[i]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as u32;
            header.msg_iov = &raw mut iovecs[i];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: every pointer set above outlives the call, and each length is its buffer's.
        let count = unsafe {
            let flags = libc::MSG_DONTWAIT;
            libc::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                BATCH as u32,
                flags,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock {
                Ok(0)
            } else {
                Err(error)
            };
        }
        let wall = SystemTime::now();
        for (message, name) in messages.iter().zip(&names).take(count as usize) {
            self.received.push(read(message, name, wall));
        }
        Ok(count as usize)
    }
}

fn read(message: &libc::mmsghdr, name: &libc::sockaddr_in, wall: SystemTime) -> Received {
    let cut = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
    let told = told(&message.msg_hdr);
    let age = told
        .stamp
        .and_then(|stamp| wall.duration_since(UNIX_EPOCH + stamp).ok())
        .filter(|age| *age < MAX_AGE);
    let path = Path::udp(from_sockaddr(name), told.local);
    let len = if cut { 0 } else { message.msg_len as usize };
    Received {
        arrival: Arrival {
            path,
            age: age.map_or(0, |age| age.as_micros() as Micros),
        },
        len,
        segment: told.segment.unwrap_or(len).max(1),
    }
}

/// What the kernel says of a message beside its bytes.
struct Told {
    /// The address it was sent to.
    local: IpAddr,
    /// When the machine received it, since the Unix epoch.
    stamp: Option<Duration>,
    /// The size of its datagrams, where it carries several.
    segment: Option<usize>,
}

fn told(header: &libc::msghdr) -> Told {
    let mut told = Told {
        local: Ipv4Addr::UNSPECIFIED.into(),
        stamp: None,
        segment: None,
    };
    // SAFETY: the kernel filled the control buffer that `header` points to, and CMSG_* stay
    // within its length; each kind's data is the type it is read as, read unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = data.cast::<libc::in_pktinfo>().read_unaligned();
                    told.local = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into();
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time: libc::timespec = data.cast::<libc::timespec>().read_unaligned();
                    told.stamp = Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32));
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let segment: i32 = data.cast::<i32>().read_unaligned();
                    told.segment = Some(segment as usize);
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    told
}

fn from_sockaddr(name: &libc::sockaddr_in) -> SocketAddr {
    let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
    SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into()
}
