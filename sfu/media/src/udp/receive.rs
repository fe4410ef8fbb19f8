//! Batches in, by `recvmmsg`.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::RawFd;

use super::{CONTROL, Control};
use crate::outbox::Path;

/// Datagrams taken by one system call.
pub const BATCH: usize = 64;
/// Room for one datagram; a longer one is cut, and then dropped as malformed.
const DATAGRAM: usize = 2_048;

/// Buffers of one `recvmmsg`.
pub struct ReceiveBatch {
    buffers: Box<[[u8; DATAGRAM]; BATCH]>,
    controls: Box<[Control; BATCH]>,
    received: Vec<(Path, usize)>,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self {
            buffers: Box::new([[0; DATAGRAM]; BATCH]),
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            received: Vec::with_capacity(BATCH),
        }
    }
}

impl ReceiveBatch {
    /// The datagrams received, to be opened in place.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (Path, &mut [u8])> {
        let filled = self.received.iter().zip(self.buffers.iter_mut());
        filled.map(|(&(path, len), buffer)| (path, &mut buffer[..len]))
    }

    pub(super) fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        self.received.clear();
        // SAFETY: all-zero is a valid value of these C structures.
        let mut names: [libc::sockaddr_in; BATCH] = unsafe { mem::zeroed() };
        let mut iovecs: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for i in 0..BATCH {
            iovecs[i].iov_base = self.buffers[i].as_mut_ptr().cast();
            iovecs[i].iov_len = DATAGRAM;
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
        for (message, name) in messages.iter().zip(&names).take(count as usize) {
            let cut = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            let len = if cut { 0 } else { message.msg_len as usize };
            let local = local_address(&message.msg_hdr);
            let path = Path {
                remote: from_sockaddr(name),
                local,
            };
            self.received.push((path, len));
        }
        Ok(count as usize)
    }
}

/// The address a received datagram was sent to.
fn local_address(header: &libc::msghdr) -> IpAddr {
    // SAFETY: the kernel filled the control buffer that `header` points to, and CMSG_* stay
    // within its length; the data of IP_PKTINFO is an in_pktinfo, read unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let is_info = (*message).cmsg_level == libc::IPPROTO_IP;
            if is_info && (*message).cmsg_type == libc::IP_PKTINFO {
                let info: *const libc::in_pktinfo = libc::CMSG_DATA(message).cast();
                let info = info.read_unaligned();
                return Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into();
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    Ipv4Addr::UNSPECIFIED.into()
}

fn from_sockaddr(name: &libc::sockaddr_in) -> SocketAddr {
    let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
    SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into()
}
