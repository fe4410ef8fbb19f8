//! Datagrams in, by `recvmmsg`, as cheap as it gets: of a viewer that only counts, no more than
//! the head of each is copied; of a viewer that times them, the kernel tells when each arrived.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams taken by one system call.
const BATCH: usize = 64;
/// Room for a timestamp: SCM_TIMESTAMPNS.
const CONTROL: usize = 48;
/// Enough of a datagram to count it: RTP with its header extensions, or a connectivity check.
const HEAD: usize = 256;
/// A whole datagram.
const WHOLE: usize = 2_048;

/// Control messages must be aligned as their header is.
#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// One datagram.
pub(crate) struct Datagram<'a> {
    /// As much of it as there was room for.
    pub bytes: &'a mut [u8],
    /// How long it was.
    pub len: usize,
    /// When the kernel had it, in nanoseconds of the real-time clock, if asked to tell.
    pub arrived_ns: Option<u64>,
}

/// Buffers of one `recvmmsg`, and the pointers to them.
pub(crate) struct Batch {
    room: usize,
    buffers: Box<[u8]>,
    controls: Box<[Control; BATCH]>,
    /// Points to `messages[i].msg_iov`; never read here.
    _iovecs: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
    received: usize,
}

// SAFETY: all its pointers lead into its own boxes, which do not move with it.
unsafe impl Send for Batch {}

impl Batch {
    /// For datagrams of which only the head matters.
    pub(crate) fn heads() -> Self {
        Self::new(HEAD)
    }

    pub(crate) fn whole() -> Self {
        Self::new(WHOLE)
    }

    fn new(room: usize) -> Self {
        let mut buffers = vec![0; room * BATCH].into_boxed_slice();
        let mut controls = Box::new([Control([0; CONTROL]); BATCH]);
        let iovec = |buffer: &mut [u8]| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: room,
        };
        let mut iovecs: Box<[_]> = buffers.chunks_exact_mut(room).map(iovec).collect();
        let message = |(iovec, control): (&mut libc::iovec, &mut Control)| {
            // SAFETY: all-zero is a valid value of this C structure.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_iov = &raw mut *iovec;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL;
            message
        };
        let messages = iovecs
            .iter_mut()
            .zip(controls.iter_mut())
            .map(message)
            .collect();
        Self {
            room,
            buffers,
            controls,
            _iovecs: iovecs,
            messages,
            received: 0,
        }
    }

    /// Take what waits, at most a batch; 0 when nothing does.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for message in &mut self.messages[..self.received] {
            message.msg_hdr.msg_controllen = CONTROL;
        }
        self.received = 0;
        // SAFETY: every pointer of `messages` leads into our boxes with its length.
        let count = unsafe {
            let (fd, messages) = (socket.as_raw_fd(), self.messages.as_mut_ptr());
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            libc::recvmmsg(fd, messages, BATCH as u32, flags, std::ptr::null_mut())
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(0),
                _ => Err(error),
            };
        }
        self.received = count as usize;
        Ok(self.received)
    }

    /// What was received.
    pub(crate) fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let room = self.room;
        let filled = self.messages[..self.received].iter().zip(&*self.controls);
        let buffers = self.buffers.chunks_exact_mut(room);
        filled
            .zip(buffers)
            .map(move |((message, control), buffer)| {
                let len = message.msg_len as usize;
                Datagram {
                    bytes: &mut buffer[..len.min(room)],
                    len,
                    arrived_ns: arrival(&control.0[..message.msg_hdr.msg_controllen.min(CONTROL)]),
                }
            })
    }
}

/// The time in a control message of SO_TIMESTAMPNS (cmsg(3): length, level, type, then data).
fn arrival(control: &[u8]) -> Option<u64> {
    const HEADER: usize = mem::size_of::<libc::cmsghdr>();
    let kind = control.get(8..HEADER)?;
    let (level, kind) = (int(&kind[..4])?, int(&kind[4..])?);
    if (level, kind) != (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) {
        return None;
    }
    let seconds = control.get(HEADER..)?.first_chunk()?;
    let nanoseconds = control.get(HEADER + 8..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*seconds) * 1_000_000_000 + u64::from_ne_bytes(*nanoseconds))
}

fn int(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|b| i32::from_ne_bytes(*b))
}

/// No control messages but, if asked for, the time of arrival.
pub(crate) fn configure(socket: BorrowedFd<'_>, stamped: bool) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 0)?;
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPNS,
        stamped.into(),
    )
}

fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = mem::size_of::<i32>() as u32;
    let fd = socket.as_raw_fd();
    // SAFETY: the option's value is an int, and lives through the call.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use crate::poll::realtime_ns;

    fn pair(stamped: bool) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
        let (from, to) = (bind(), bind());
        from.connect(to.local_addr().expect("bound"))
            .expect("connect");
        configure(to.as_fd(), stamped).expect("Linux knows both options");
        (from, to)
    }

    #[test]
    fn tells_the_length_of_what_it_cuts() {
        let (from, to) = pair(false);
        for len in [10, 1_200, HEAD] {
            from.send(&vec![len as u8; len]).expect("loopback");
        }
        let mut batch = Batch::heads();
        assert_eq!(batch.receive(to.as_fd()).expect("receive"), 3);
        let lens: Vec<_> = batch.datagrams().map(|d| (d.bytes.len(), d.len)).collect();
        assert_eq!(lens, [(10, 10), (HEAD, 1_200), (HEAD, HEAD)]);
        assert!(batch.datagrams().all(|d| d.arrived_ns.is_none()));
        assert_eq!(batch.receive(to.as_fd()).expect("receive"), 0);
    }

    #[test]
    fn the_kernel_stamps_between_sending_and_reading() {
        let (from, to) = pair(true);
        let mut batch = Batch::whole();
        // The kernel begins a moment after it was asked; what came before is stamped when read.
        let stamped_on_arrival = (0..10_000).any(|_| {
            let before = realtime_ns();
            from.send(b"now").expect("loopback");
            let after = realtime_ns();
            assert_eq!(batch.receive(to.as_fd()).expect("receive"), 1);
            let arrived = batch.datagrams().next().and_then(|d| d.arrived_ns);
            (before..=after).contains(&arrived.expect("a stamp in any case"))
        });
        assert!(stamped_on_arrival);
    }
}
