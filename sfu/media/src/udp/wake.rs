//! Waiting for a socket or for another thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// An eventfd(2): how one thread wakes another that waits in `poll`.
pub struct Wake(OwnedFd);

impl Wake {
    /// A non-blocking one.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a descriptor that is returned is ours alone.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Make it readable.
    pub fn wake(&self) {
        let one = 1u64;
        // SAFETY: writes the eight bytes of `one`. It fails only when the counter is full, and
        // then the descriptor is readable all the same.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Make it unreadable again.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: reads into the eight bytes of `count`; fails only when it was not readable.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Wait until one of the descriptors is readable, at most `timeout`; tells whether the second is.
pub fn wait_readable(
    first: &impl AsFd,
    second: &impl AsFd,
    third: Option<BorrowedFd<'_>>,
    timeout: Duration,
) -> bool {
    let poll = |fd: RawFd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // ppoll(2) passes over what is negative; without a third it is not even told of it.
    let mut fds = [
        poll(first.as_fd().as_raw_fd()),
        poll(second.as_fd().as_raw_fd()),
        poll(third.map_or(-1, |fd| fd.as_raw_fd())),
    ];
    let count = 2 + libc::nfds_t::from(third.is_some());
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: all outlive the call. An error (EINTR) means looking again, as a timeout.
    unsafe {
        libc::ppoll(
            fds.as_mut_ptr(),
            count,
            &raw const timeout,
            std::ptr::null(),
        )
    };
    fds[1].revents != 0
}
