//! System calls of TCP that std does not wrap: epoll(7), and options that keep a connection's
//! queue out of the kernel. With `udp/` the place for `unsafe`; every block says why it holds.

#![allow(unsafe_code)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::clock::Micros;
use crate::udp::set_option;

/// Bytes the kernel may hold that it has not sent yet: enough to refill it while it sends, 65 ms of
/// 1 Mbit/s. What waits beyond it waits with us, where it can still be dropped.
pub(super) const LOW_WATER: usize = 8 << 10;
/// A peer that acknowledges nothing for so long is gone, as one whose checks have stopped.
const USER_TIMEOUT_MS: i32 = 30_000;
/// The congestion control asked for: it keeps queues in the network short, and does not take each
/// loss for a queue, as CUBIC does, which on a satellite with 2 % of loss leaves it some 170 kbit/s
/// (Mathis et al. 1997: 1.22 MSS / (RTT sqrt(p))).
const CONGESTION_CONTROL: &[u8] = b"bbr";
/// TCP_RTO_MIN_US of linux/tcp.h, since 6.15.
const TCP_RTO_MIN_US: i32 = 45;
/// What nothing is heard of is sent again after a round trip and this, not the usual 200 ms: all that
/// follows waits for it. It is more than what clients put off their acknowledgements by, 40 ms.
const LEAST_RTO_US: i32 = 60_000;
/// A silent one is asked after 15 s, every 5 s, three times.
const KEEPALIVE: [(i32, i32); 3] = [
    (libc::TCP_KEEPIDLE, 15),
    (libc::TCP_KEEPINTVL, 5),
    (libc::TCP_KEEPCNT, 3),
];
/// SIOCOUTQNSD of linux/sockios.h: bytes not sent yet.
const SIOCOUTQNSD: libc::Ioctl = 0x894b;
/// Events taken by one call.
const EVENTS: usize = 64;

/// Make a connection one for media: small queues, no waiting for more, and news of its end.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let fd = stream.as_raw_fd();
    let low_water = LOW_WATER as i32;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, low_water)?;
    set_option(
        fd,
        libc::IPPROTO_TCP,
        libc::TCP_USER_TIMEOUT,
        USER_TIMEOUT_MS,
    )?;
    set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    for (option, value) in KEEPALIVE {
        set_option(fd, libc::IPPROTO_TCP, option, value)?;
    }
    prefer_congestion_control(fd);
    // A kernel that has it not goes on with its own.
    let _ = set_option(fd, libc::IPPROTO_TCP, TCP_RTO_MIN_US, LEAST_RTO_US);
    Ok(())
}

/// A kernel that has it not, or keeps it for others, goes on with its own.
fn prefer_congestion_control(fd: RawFd) {
    // SAFETY: the kernel reads the name, which lives for ever.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            CONGESTION_CONTROL.as_ptr().cast(),
            CONGESTION_CONTROL.len() as u32,
        );
    }
}

/// Bytes the kernel has taken and not sent yet. TCP_NOTSENT_LOWAT alone does not bound them: the
/// kernel looks at it only when it begins a new buffer, which may hold 64 KiB.
pub(super) fn unsent(stream: &TcpStream) -> usize {
    let mut bytes = 0i32;
    // SAFETY: the request writes one int, which outlives the call. If it fails, 0 stands.
    unsafe { libc::ioctl(stream.as_raw_fd(), SIOCOUTQNSD, &raw mut bytes) };
    usize::try_from(bytes).unwrap_or(0)
}

/// The kernel's smoothed round trip of a connection; 0 while it has none.
pub(super) fn round_trip(stream: &TcpStream) -> Micros {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut size = mem::size_of::<libc::tcp_info>() as u32;
    // SAFETY: the kernel writes at most `size` bytes of plain numbers into a value that was all
    // zero, which is valid for it; both outlive the call.
    let info = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut size,
        );
        info.assume_init()
    };
    info.tcpi_rtt.into()
}

/// An epoll(7) set, level-triggered.
#[derive(Debug)]
pub(super) struct Poll(OwnedFd);

/// Who is ready, by the number given to [`Poll::add`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) token: u64,
    /// There is something to read, be it the end or an error.
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a descriptor that is returned is ours alone.
        unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Tell when `fd` can be read. It is forgotten when it is closed.
    pub(super) fn add(&self, fd: &impl AsFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_fd(), token, false)
    }

    /// Tell, or tell no longer, when it can be written too.
    pub(super) fn watch_writable(
        &self,
        fd: &impl AsFd,
        token: u64,
        writable: bool,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_fd(), token, writable)
    }

    fn control(
        &self,
        operation: i32,
        fd: BorrowedFd<'_>,
        token: u64,
        writable: bool,
    ) -> io::Result<()> {
        let output = if writable { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLRDHUP | output) as u32,
            u64: token,
        };
        // SAFETY: the kernel reads the event, which outlives the call.
        let result = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                operation,
                fd.as_raw_fd(),
                &raw mut event,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Wait for the first, at most `timeout` (None: for ever); what is ready goes to `ready`.
    pub(super) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Event>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // Rounded up: one who is waked too early only looks again, and again.
        let timeout = timeout.map_or(-1, |t| t.as_micros().div_ceil(1_000).min(60_000) as i32);
        // SAFETY: the kernel writes at most EVENTS events. An error (EINTR) means looking again.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS as i32,
                timeout,
            )
        };
        let read = events.iter().take(usize::try_from(count).unwrap_or(0));
        ready.extend(read.map(|event| {
            let flags = event.events as i32;
            Event {
                token: event.u64,
                readable: flags & !libc::EPOLLOUT != 0,
                writable: flags & libc::EPOLLOUT != 0,
            }
        }));
    }
}

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
