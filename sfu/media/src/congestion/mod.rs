//! What the two ends of a link tell each other about it, and how fast we send because of it.

mod pacer;
mod sent;
mod twcc;

pub use pacer::{PACING_INTERVAL, Pacer};
pub use sent::{LinkCounters, SentPackets};
pub use twcc::TwccRecorder;
