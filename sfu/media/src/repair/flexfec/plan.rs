//! How many packets share a parity packet, and how far apart they are.

use super::MAX_SPAN;
use crate::clock::{Micros, SECOND};

/// Packets per parity packet. Below 4 a copy would be as cheap; beyond 16 little is saved any more,
/// and waiting for the group grows.
const MIN_GROUP: u8 = 4;
const MAX_GROUP: u8 = 16;
/// Losses expected in a group. Two in one cannot be mended: with a quarter, four of five losses are
/// alone in theirs, at a cost of four times the loss.
const EXPECTED_LOSSES: f32 = 0.25;
/// Of the bursts, how many may be longer than the spacing.
const LONGER_BURSTS: f32 = 0.1;
const MAX_SPACING: u8 = 12;

/// Groups of `group` packets, `spacing` apart, which have no common divisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FecPlan {
    pub(super) group: u8,
    pub(super) spacing: u8,
    /// `spacing * inverse` is 1 modulo `group`.
    inverse: u8,
}

impl FecPlan {
    /// Nearest to what is asked for: at least 2 packets in a group, within the reach of a mask, and a
    /// spacing that covers every packet once.
    pub fn new(group: u8, spacing: u8) -> Self {
        let group = group.clamp(2, MAX_GROUP);
        let furthest = (MAX_SPAN / u32::from(group)) as u8;
        let wanted = spacing.clamp(1, furthest.min(MAX_SPACING));
        let coprime = |spacing: &u8| inverse(*spacing, group).is_some();
        let spacing = (1..=wanted).rev().find(coprime).unwrap_or(1);
        Self {
            group,
            spacing,
            inverse: inverse(spacing, group).unwrap_or(1),
        }
    }

    /// For a stream of `rate` packets per second on a link that loses the share `loss` of them, in
    /// bursts of `burst` packets on average: mended within `deadline`. `None` where that cannot be
    /// done, or nothing is lost: then retransmission does it, or does it sooner.
    pub fn choose(loss: f32, burst: f32, rate: f32, deadline: Micros) -> Option<Self> {
        let packets = rate * deadline as f32 / SECOND as f32;
        // A loss of the odd packet in a thousand is cheaper mended when it happens.
        let worth_it = loss >= 0.001 && packets >= f32::from(MIN_GROUP);
        if !worth_it {
            return None;
        }
        let stays = 1.0 - 1.0 / burst.max(1.1);
        let spacing = (LONGER_BURSTS.ln() / stays.ln()).ceil() as u8;
        let group = (EXPECTED_LOSSES / loss) as u8;
        let group = group.clamp(MIN_GROUP, MAX_GROUP);
        let spacing = spacing
            .clamp(1, MAX_SPACING)
            .min((packets as u8).max(MIN_GROUP) / MIN_GROUP);
        let in_time = (packets / f32::from(spacing)) as u8;
        Some(Self::new(group.min(in_time.max(MIN_GROUP)), spacing))
    }

    /// The same, with groups of at least so many packets: there is no more to spend.
    pub fn with_group_of(self, least: u8) -> Self {
        match least > self.group {
            true => Self::new(least, self.spacing),
            false => self,
        }
    }

    /// Parity packets per packet.
    pub fn overhead(self) -> f32 {
        1.0 / f32::from(self.group)
    }

    /// The packet behind which the parity of this one leaves.
    pub(super) fn leaves_at(self, sequence: u64) -> u64 {
        let group = u64::from(self.group);
        // sequence + step * spacing is to be a multiple of `group`.
        let missing = (group - sequence % group) % group;
        let step = match missing * u64::from(self.inverse) % group {
            0 => group,
            step => step,
        };
        sequence + step * u64::from(self.spacing)
    }
}

fn inverse(of: u8, modulo: u8) -> Option<u8> {
    let product = |by: u8| u16::from(of) * u16::from(by) % u16::from(modulo);
    (1..modulo).find(|by| product(*by) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn all() -> impl Iterator<Item = FecPlan> {
        (0..=20).flat_map(|group| (0..=20).map(move |spacing| FecPlan::new(group, spacing)))
    }

    /// Every packet is in one group; groups are whole, evenly spaced, and leave one in `group`.
    #[test]
    fn groups_cover_every_packet_once() {
        for plan in all() {
            let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for sequence in 0..2_000 {
                let leaves_at = plan.leaves_at(sequence);
                assert_eq!(leaves_at % u64::from(plan.group), 0, "{plan:?}");
                groups.entry(leaves_at).or_default().push(sequence);
            }
            for (leaves_at, members) in groups.range(200..1_900) {
                assert_eq!(members.len(), usize::from(plan.group), "{plan:?}");
                let spacing = u64::from(plan.spacing);
                assert!(members.windows(2).all(|pair| pair[1] - pair[0] == spacing));
                assert_eq!(leaves_at - members[members.len() - 1], spacing);
                assert!(leaves_at - members[0] <= u64::from(MAX_SPAN));
            }
        }
    }

    #[test]
    fn the_satellite_link_pays_a_tenth_and_bears_bursts_of_nine() {
        let plan = FecPlan::choose(0.02, 4.0, 150.0, 600_000).unwrap();
        assert_eq!((plan.group, plan.spacing), (10, 9));
        assert!((0.099..0.101).contains(&plan.overhead()));
    }

    #[test]
    fn a_slow_stream_takes_smaller_groups_to_be_in_time() {
        for rate in [10.0, 20.0, 40.0, 80.0, 160.0, 1_000.0] {
            let plan = FecPlan::choose(0.02, 4.0, rate, 500_000).unwrap();
            let span = f32::from(plan.group) * f32::from(plan.spacing);
            assert!(span <= rate / 2.0 + 4.0, "{plan:?} at {rate}");
        }
    }

    #[test]
    fn where_it_cannot_help_there_is_none() {
        assert_eq!(FecPlan::choose(0.0, 1.0, 100.0, SECOND), None);
        assert_eq!(FecPlan::choose(0.02, 4.0, 5.0, 500_000), None);
        assert_eq!(FecPlan::choose(f32::NAN, 4.0, 100.0, SECOND), None);
        for (loss, burst, rate) in [
            (1.0, f32::INFINITY, 1e9),
            (0.5, f32::NAN, 100.0),
            (9.0, 0.0, 50.0),
        ] {
            assert!(FecPlan::choose(loss, burst, rate, u64::MAX).is_some());
        }
    }
}
