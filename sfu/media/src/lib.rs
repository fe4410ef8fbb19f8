//! Tongbu's native media plane: ICE-lite, SRTP, forwarding, repair, and the lesson's journal.
//!
//! # A packet's way
//!
//! 1. [`udp`] receives a batch of datagrams; [`engine`] runs one such loop per core.
//! 2. [`shard`] finds the peer by its address. STUN is answered on the spot ([`ice`]), DTLS goes
//!    up to Python, SRTP to its [`peer`].
//! 3. [`crypto`] opens it in place; the [`peer`] finds the track by SSRC, MID or RID.
//! 4. [`track::Uptrack`] notes loss, time and keyframe, and stores the payload once, as a
//!    [`track::Packet`] shared by all who take it.
//! 5. [`route`] keeps the recent ones for retransmission and lists who takes the track: viewers
//!    here, journals, and other shards, where the same packet is handed to a route of theirs.
//! 6. Each [`track::Downtrack`] decides and renumbers; its sink writes header and payload into
//!    the [`outbox`] and seals them there ([`track::RtpSink`]), or hands them to the [`journal`]
//!    ([`track::JournalTrack`]).
//! 7. [`udp`] sends the outbox: packets in a row to one viewer leave as one GSO train. Where UDP is
//!    blocked, [`tcp`] takes the place of [`udp`] at both ends.
//!
//! What the recorder makes of a journal, in a process of its own, is [`recording`], frame by frame.
//!
//! # Rules
//!
//! State machines take time, randomness and addresses as arguments: `handle_*` in, `poll_*` out.
//! Only [`engine`] asks the clock, only [`udp`] and [`tcp`] the network. Whatever comes from outside yields
//! an error that is counted, never a panic. Every queue is bounded, and says what it drops.

pub mod allocations;
pub mod clock;
pub mod codec;
pub mod congestion;
pub mod counters;
pub mod crypto;
pub mod demand;
pub mod engine;
pub mod ice;
pub mod ids;
pub mod journal;
pub mod journals;
pub mod latency;
pub mod outbox;
pub mod packet;
pub mod peer;
#[cfg(feature = "python")]
mod python;
pub mod recording;
pub mod repair;
pub mod route;
pub mod shard;
pub mod tcp;
pub mod track;
pub mod udp;
