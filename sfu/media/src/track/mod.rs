//! Published streams, the views of them, and what lies between.

mod cache;
mod downtrack;
mod journal_sink;
mod keyframes;
mod packet;
mod reception;
mod rtp_sink;
mod sequence;
mod template;
mod uptrack;

pub use cache::Cache;
pub use downtrack::{Downtrack, Stamp};
pub use journal_sink::{JournalTrack, Recording};
pub use keyframes::KeyframeRequests;
pub use packet::{Extensions, Origin, Packet, PacketPool};
pub use reception::{Reception, SenderClock};
pub use rtp_sink::{Link, RtpSink, RtpSinkConfig, SinkCounters};
pub use sequence::{Unwrapper, nearest};
pub use uptrack::{Uptrack, UptrackConfig, UptrackCounters};
