//! How busy a core is, and how long its pictures are held because of it.

use crate::clock::{MILLISECOND, Micros};

/// The load is measured over this.
const WINDOW: Micros = 20 * MILLISECOND;
/// Below this share of a core nothing is held: nobody gains from it.
const EASY: f64 = 0.7;
/// From this share on pictures are held as long as they may.
const HARD: f64 = 0.9;
/// The longest hold.
const MAX_HOLD: Micros = 3 * MILLISECOND;

/// Measures the load of one thread.
#[derive(Debug)]
pub(super) struct Load {
    since: Micros,
    idle: Micros,
    share: f64,
}

impl Load {
    pub(super) fn new(now: Micros) -> Self {
        Self {
            since: now,
            idle: 0,
            share: 0.0,
        }
    }

    /// The thread had nothing to do for so long.
    pub(super) fn handle_idle(&mut self, time: Micros) {
        self.idle += time;
    }

    /// Once a window: how long pictures are to be held from now on.
    pub(super) fn poll(&mut self, now: Micros) -> Option<Micros> {
        let elapsed = now.saturating_sub(self.since);
        if elapsed < WINDOW {
            return None;
        }
        let busy = 1.0 - (self.idle.min(elapsed) as f64 / elapsed as f64);
        self.share += (busy - self.share) / 4.0;
        (self.since, self.idle) = (now, 0);
        Some(hold(self.share))
    }
}

fn hold(share: f64) -> Micros {
    let part = ((share - EASY) / (HARD - EASY)).clamp(0.0, 1.0);
    (part * MAX_HOLD as f64) as Micros
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    /// The hold after a second in which each window was idle for so long.
    fn after_a_second(idle: Micros) -> Micros {
        let mut load = Load::new(0);
        let mut hold = 0;
        for now in (WINDOW..=SECOND).step_by(WINDOW as usize) {
            load.handle_idle(idle);
            hold = load.poll(now).unwrap_or(hold);
        }
        hold
    }

    #[test]
    fn an_easy_core_holds_nothing() {
        assert_eq!(after_a_second(WINDOW), 0);
        assert_eq!(after_a_second(WINDOW / 2), 0);
    }

    #[test]
    fn a_full_core_holds_as_long_as_it_may() {
        assert_eq!(after_a_second(0), MAX_HOLD);
    }

    #[test]
    fn in_between_it_grows_with_the_load() {
        let (some, more) = (after_a_second(WINDOW / 4), after_a_second(WINDOW / 6));
        assert!(
            0 < some && some < more && more < MAX_HOLD,
            "{some} and {more} us"
        );
    }

    #[test]
    fn one_busy_moment_is_not_a_load() {
        let mut load = Load::new(0);
        assert_eq!(load.poll(WINDOW), Some(0));
    }
}
