//! What the two ends of a link tell each other about it, and how fast we send because of it.

mod aimd;
mod delay;
mod estimator;
mod loss;
mod pacer;
mod probe;
mod queue;
mod rate;
mod sent;
mod twcc;

pub use estimator::LinkState;
pub use pacer::{PACING_INTERVAL, Pace, Pacer};
pub use probe::Probe;
pub use sent::{LinkCounters, SentPackets};
pub use twcc::TwccRecorder;
