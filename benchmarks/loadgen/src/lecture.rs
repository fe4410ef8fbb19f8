//! A trace on its way: which packets are due, and whether a keyframe was asked for.

use std::collections::VecDeque;

use tongbu_media::clock::{Micros, SECOND};

use crate::trace::{Step, TraceConfig, second};

/// A teacher's trace from some point of it on; time is an argument.
pub(crate) struct Lecture {
    /// Who sends it.
    pub client: usize,
    /// A keyframe is to come with the next frame.
    pub keyframe_wanted: bool,
    config: TraceConfig,
    begun: Micros,
    /// How far into the trace it began, so that many lectures are not at the same point of it.
    phase: Micros,
    next_second: u64,
    steps: VecDeque<Step>,
    keyframe: bool,
}

/// A packet that is due.
pub(crate) struct Due {
    pub step: Step,
    pub at: Micros,
    /// It belongs to a keyframe.
    pub keyframe: bool,
}

impl Lecture {
    pub(crate) fn new(client: usize, config: TraceConfig, begun: Micros, phase: Micros) -> Self {
        let mut lecture = Self {
            client,
            keyframe_wanted: false,
            config,
            begun,
            phase,
            next_second: phase / SECOND,
            steps: VecDeque::new(),
            keyframe: false,
        };
        lecture.refill();
        lecture.steps.retain(|step| step.at_us >= phase);
        lecture.refill();
        lecture
    }

    /// When its next packet is to leave.
    pub(crate) fn next_at(&self) -> Option<Micros> {
        let step = self.steps.front()?;
        Some(self.begun + step.at_us - self.phase)
    }

    /// The next packet, if it should have left by now.
    pub(crate) fn poll(&mut self, now: Micros) -> Option<Due> {
        let at = self.next_at().filter(|at| *at <= now)?;
        let step = self.steps.pop_front()?;
        self.refill();
        if step.video && step.first {
            self.keyframe = step.keyframe || std::mem::take(&mut self.keyframe_wanted);
        }
        Some(Due {
            step,
            at,
            keyframe: self.keyframe,
        })
    }

    fn refill(&mut self) {
        if self.steps.is_empty() {
            self.steps.extend(second(self.config, self.next_second));
            self.next_second += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: TraceConfig = TraceConfig {
        video_bps: 500_000,
        audio: true,
        spread_us: 10_000,
    };

    fn packets(lecture: &mut Lecture, until: Micros) -> usize {
        std::iter::from_fn(|| lecture.poll(until)).count()
    }

    #[test]
    fn sends_what_is_due_and_no_more() {
        let mut lecture = Lecture::new(0, CONFIG, SECOND, 0);
        assert_eq!(packets(&mut lecture, SECOND - 1), 0);
        let first = lecture.poll(SECOND).expect("it begins with a frame");
        assert!(first.keyframe && first.at == SECOND);
        let all: usize = (0..4).map(|s| second(CONFIG, s).len()).sum();
        assert_eq!(packets(&mut lecture, 5 * SECOND - 1), all - 1);
    }

    #[test]
    fn a_lecture_may_begin_in_the_middle() {
        let phase = 2 * SECOND + SECOND / 2;
        let mut lecture = Lecture::new(0, CONFIG, SECOND, phase);
        let first = lecture.next_at().expect("it goes on for ever");
        assert!((SECOND..SECOND + SECOND / 20).contains(&first));
        assert!(!lecture.poll(first).expect("due").keyframe);
        let rest = packets(&mut lecture, SECOND + SECOND / 2 - 1) + 1;
        let half = second(CONFIG, 2)
            .iter()
            .filter(|s| s.at_us >= phase)
            .count();
        assert_eq!(rest, half);
    }

    #[test]
    fn a_keyframe_asked_for_is_the_next_frame() {
        let mut lecture = Lecture::new(0, CONFIG, SECOND, SECOND);
        lecture.keyframe_wanted = true;
        let all = std::iter::from_fn(|| lecture.poll(SECOND + SECOND / 20));
        let keyframes: Vec<_> = all.filter(|d| d.step.video).map(|d| d.keyframe).collect();
        let first = keyframes.iter().take_while(|k| **k).count();
        assert!(first > 0 && keyframes[first..].iter().all(|k| !k));
    }
}
