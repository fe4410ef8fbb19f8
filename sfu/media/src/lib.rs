//! Tongbu's native media plane.

pub mod clock;
pub mod codec;
pub mod congestion;
pub mod counters;
pub mod crypto;
pub mod engine;
pub mod ice;
pub mod ids;
pub mod journal;
pub mod journals;
pub mod outbox;
pub mod packet;
pub mod peer;
#[cfg(feature = "python")]
mod python;
pub mod repair;
pub mod route;
pub mod shard;
pub mod track;
pub mod udp;
