//! The load generator: one thread that is a teacher and a great many schools.
//!
//! Python does the signaling and the handshakes (`benchmarks/generator.py`); this thread does what
//! must be cheap: it answers for the ICE agents, sends a recorded trace as a publisher, and for
//! each viewer counts what comes, gives the feedback of a browser (receiver reports, transport-wide
//! feedback, a few requests for packets), and opens the packets of a sample.
//!
//! It reads with plain `recvmmsg`, without UDP_GRO: on the loopback device that would hand it the
//! server's unsegmented trains, and flatter whoever sends them.

#![deny(unsafe_code)] // but for epoll in poll.rs and recvmmsg in receive.rs

mod client;
mod feedback;
mod flood;
mod generator;
mod lecture;
mod limit;
mod poll;
mod publisher;
mod python;
mod receive;
mod stream;
mod trace;
