//! What becomes of a journal's frames: their place in the lesson, and the parts of its segments.
//!
//! What may live here: what is done for each frame. No files, no events of the lesson, no choice of
//! who is shown: that is the recorder's (`recorder/pipeline/`), which asks for it a few times a
//! second. A frame's way: [`Timeline`] places it, [`Samples`] makes it a sample that lasts until
//! the next one, `parts` says where a part and a segment end, `cmaf` writes the boxes.
//!
//! All of it is a function of the journal alone: a replay comes to the same bytes.

mod cmaf;
mod media_clock;
mod parts;
mod samples;
mod timeline;

pub use media_clock::{MAX_LAG_US, SLEW, SLEW_PICTURES};
pub use parts::{Cut, Parts, Piece};
pub use samples::{HOLD, Kind, Media, Packet, Samples, TOLERANCE, opus_duration};
pub use timeline::{HOLD_US, LATE_HOLD_US, Timed, Timeline, UnknownTrack};
