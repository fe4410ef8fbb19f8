//! What the two ends of a link tell each other about it.

mod twcc;

pub use twcc::TwccRecorder;
