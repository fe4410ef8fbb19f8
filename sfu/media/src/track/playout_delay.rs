//! How long a viewer should let pictures wait before it shows them, as the header extension
//! says it (WebRTC's playout-delay): two bounds of 12 bits, in hundredths of a second.

use crate::clock::{Micros, SECOND};

/// One unit of the wire, in seconds.
const UNIT: f64 = 0.01;
/// The largest value of 12 bits.
const MOST: u32 = 0xfff;

/// The bounds of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    least: u16,
    most: u16,
}

impl PlayoutDelay {
    /// Bounds in seconds, the least first; `None` for what the wire cannot say.
    pub fn from_seconds(least: f64, most: f64) -> Option<Self> {
        let ordered = 0.0 <= least && least <= most && most <= f64::from(MOST) * UNIT;
        ordered.then(|| Self {
            least: (least / UNIT).round() as u16,
            most: (most / UNIT).round() as u16,
        })
    }

    /// The least, in microseconds.
    pub fn least(self) -> Micros {
        Micros::from(self.least) * (SECOND / 100)
    }

    /// As the extension element carries it.
    pub fn bytes(self) -> [u8; 3] {
        let both = (u32::from(self.least) << 12) | u32::from(self.most);
        let [_, a, b, c] = both.to_be_bytes();
        [a, b, c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_hundredths() {
        let delay = PlayoutDelay::from_seconds(1.0, 10.0).expect("in order");
        assert_eq!(delay.bytes(), [0x06, 0x43, 0xe8]); // 100 and 1000
    }

    #[test]
    fn what_the_wire_cannot_say_is_refused() {
        for (least, most) in [(-0.1, 1.0), (2.0, 1.0), (0.0, 41.0), (f64::NAN, 1.0)] {
            assert_eq!(PlayoutDelay::from_seconds(least, most), None);
        }
    }
}
