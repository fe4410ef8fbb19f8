//! Published streams, the views of them, and what lies between.

mod cache;
mod downtrack;
mod journal_sink;
mod keyframes;
mod meter;
mod packet;
mod playout_delay;
mod reception;
mod redundancy;
mod rtp_sink;
mod sequence;
mod speech;
mod template;
mod uptrack;

pub use cache::Cache;
pub use downtrack::{Downtrack, Limit, Numbers, Stamp, Traced};
pub use journal_sink::{JournalTrack, Recording};
pub use keyframes::{KeyframeAllowance, KeyframeRequests};
pub use meter::Meter;
pub use packet::{Extensions, Origin, Packet, PacketPool};
pub use playout_delay::PlayoutDelay;
pub use reception::{Reception, SenderClock};
pub use redundancy::Past;
pub use rtp_sink::{Link, RtpSink, RtpSinkConfig, Shield, SinkCounters};
pub use sequence::{Unwrapper, nearest};
pub use speech::{Speech, SpeechMeter};
pub use uptrack::{Uptrack, UptrackConfig, UptrackCounters};
