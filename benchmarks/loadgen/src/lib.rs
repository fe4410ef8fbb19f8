//! The load generator: one thread that is a teacher and a great many schools.
//!
//! Python does the signaling and the handshakes (`benchmarks/generator.py`); this thread does what
//! must be cheap: it answers for the ICE agents, sends a recorded trace as a publisher, and for
//! each viewer counts what comes, reports honestly, and opens the packets of a sample.
//!
//! It reads with plain `recvmmsg`, without UDP_GRO: on the loopback device that would hand it the
//! server's unsegmented trains, and flatter whoever sends them.

#![allow(unsafe_code, reason = "epoll, which std does not wrap; see poll.rs")]

mod client;
mod flood;
mod generator;
mod limit;
mod poll;
mod python;
mod trace;
