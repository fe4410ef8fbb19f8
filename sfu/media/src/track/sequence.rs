//! Sixteen bits unwrapped to sixty-four.

/// Follows a 16-bit counter around its wrap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper {
    highest: Option<u64>,
}

impl Unwrapper {
    /// Counts start one wrap up, so that what came before the first packet has a number too.
    const BASE: u64 = 1 << 16;

    /// The 64-bit number nearest to the highest seen.
    pub fn unwrap(&mut self, value: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = Self::BASE + u64::from(value);
            self.highest = Some(first);
            return first;
        };
        let unwrapped = nearest(highest, value);
        self.highest = Some(highest.max(unwrapped));
        unwrapped
    }
}

/// The 64-bit number with these low 16 bits that lies nearest to `reference`.
pub fn nearest(reference: u64, value: u16) -> u64 {
    let ahead = value.wrapping_sub(reference as u16);
    if ahead < 0x8000 {
        reference + u64::from(ahead)
    } else {
        reference.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_wrap_both_ways() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.unwrap(65_534);
        assert_eq!(unwrapper.unwrap(1), first + 3);
        assert_eq!(unwrapper.unwrap(65_535), first + 1);
        assert_eq!(unwrapper.unwrap(2), first + 4);
    }

    #[test]
    fn what_came_before_the_first_packet_has_a_smaller_number() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.unwrap(0);
        assert_eq!(unwrapper.unwrap(65_535), first - 1);
    }
}
