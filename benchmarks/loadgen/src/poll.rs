//! epoll(7): which of thousands of sockets has something to read; and the clocks.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Sockets told of at once.
const EVENTS: usize = 4_096;

/// Watches sockets for reading.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor returned is ours alone.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self {
            epoll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
        })
    }

    /// Watch a socket under this name.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, name: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: name as u64,
        };
        // SAFETY: `event` outlives the call, which copies it.
        let result = unsafe {
            let (epoll, add) = (self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD);
            libc::epoll_ctl(epoll, add, fd.as_raw_fd(), &raw mut event)
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// The names of sockets that are readable now.
    pub(crate) fn ready(&mut self) -> impl Iterator<Item = usize> + '_ {
        // SAFETY: the array outlives the call and has room for EVENTS.
        let count = unsafe {
            let (epoll, events) = (self.epoll.as_raw_fd(), self.events.as_mut_ptr());
            libc::epoll_wait(epoll, events, EVENTS as i32, 0)
        };
        // An error is an interruption: nothing is readable yet.
        self.events[..count.max(0) as usize]
            .iter()
            .map(|event| event.u64 as usize)
    }
}

/// Let the calling thread be the last of its process to run.
pub(crate) fn yield_to_others() {
    // SAFETY: no pointers. 0 is the calling thread; to be more modest is always allowed.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
}

/// CPU time of the calling thread, in microseconds, user and system together.
pub(crate) fn thread_cpu_us() -> f64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) as f64 / 1e3
}

/// The monotonic clock, in nanoseconds: the same for all processes of this machine.
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// The real-time clock, in nanoseconds: the one by which the kernel stamps what arrives.
pub(crate) fn realtime_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
