//! One lesson clock from many media clocks. The only time it knows is written in the records.
//!
//! A publisher's track counts its own RTP ticks. Three sources say when a tick was:
//!
//! - its sender reports tie ticks to the publisher's wall clock (RFC 3550, 6.4.1). All tracks of
//!   one publisher share that clock, so mapping each track through it puts them in sync;
//! - the arrival times, by the node's clock: late by an unknown and varying delay, but never
//!   insane;
//! - the ticks themselves: exact over short times.
//!
//! So each track has an `offset` (node time minus tick time) which starts from the first sender
//! reports when they come within [`HOLD_US`] (frames are held so long), else from the arrivals, and
//! is then moved towards what the reports say, slowly: no jump, ever, while the clocks are sane.
//! How it is done, and what happens when they are not, is in `media_clock.rs`.
//!
//! Times in and out are integers in microseconds; out, 0 is the first frame of the lesson.

use std::collections::BTreeMap;

use super::media_clock::{Base, MAX_LAG_US, MediaClock, SLEW, SLEW_PICTURES, STEP_US};

/// How long a lesson's first frames wait for a sender report: Chromium sends one each second.
pub const HOLD_US: i64 = 2_000_000;
/// How long those of a track wait that comes later, while others are watched live.
pub const LATE_HOLD_US: i64 = 600_000;

/// Frames of a track that may wait, whatever the arrivals say.
const HELD: usize = 2_000;
const VIDEO_RATE: u32 = 90_000;
/// Arrivals are believed up to here, some 4,500 years: no sum of a few of them overflows.
const LAST_US: i64 = 1 << 57;

/// A frame with its place in the lesson; `time_us` grows strictly within a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed<F> {
    /// Its track.
    pub track: u32,
    /// Lesson time.
    pub time_us: i64,
    /// As it was given.
    pub frame: F,
    /// Its clock makes no sense here: it was placed by its arrival.
    pub by_arrival: bool,
}

/// No such track was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTrack(
    /// Its number.
    pub u32,
);

/// A frame that waits for its track's clock to be known.
#[derive(Debug)]
struct Held<F> {
    media: i64,
    arrival: i64,
    frame: F,
}

#[derive(Debug)]
struct Track<F> {
    clock: MediaClock,
    publisher: i64,
    held: Vec<Held<F>>,
}

impl<F> Track<F> {
    /// The offset by which the promptest of the held frames was not late at all.
    fn earliest(&self) -> Option<i64> {
        let offsets = self.held.iter().map(|held| held.arrival - held.media);
        offsets.min()
    }
}

/// A publisher's wall clock, and the tracks that share it in the order in which they came.
#[derive(Debug, Default)]
struct Wall {
    base: Base,
    tracks: Vec<u32>,
}

/// Places frames on the lesson's clock.
///
/// In: [`add_track`](Self::add_track) before a track's first record, `handle_*` in the journal's
/// order, [`finish`](Self::finish) after the last. Out: [`poll`](Self::poll) gives what is placed
/// so far, in order within each track; [`horizon_us`](Self::horizon_us) is the time before which
/// nothing more is to come.
#[derive(Debug)]
pub struct Timeline<F> {
    zero: Option<i64>,
    now: i64,
    tracks: BTreeMap<u32, Track<F>>,
    walls: BTreeMap<i64, Wall>,
    /// Publishers with frames that are held, in the order in which they came.
    waiting: Vec<i64>,
    placed: Vec<Timed<F>>,
}

impl<F> Default for Timeline<F> {
    fn default() -> Self {
        Self {
            zero: None,
            now: 0,
            tracks: BTreeMap::new(),
            walls: BTreeMap::new(),
            waiting: Vec::new(),
            placed: Vec::new(),
        }
    }
}

impl<F> Timeline<F> {
    /// Expect a track; tracks of one `publisher` (any number) share one wall clock.
    pub fn add_track(&mut self, number: u32, clock_rate: u32, publisher: i64) {
        let slew = if clock_rate == VIDEO_RATE {
            SLEW_PICTURES
        } else {
            SLEW
        };
        let wall = self.walls.entry(publisher).or_default();
        wall.tracks.push(number);
        let clock = MediaClock::new(clock_rate, slew);
        let held = Vec::new();
        self.tracks.insert(
            number,
            Track {
                clock,
                publisher,
                held,
            },
        );
    }

    /// Nothing more comes of it: what is held is placed now.
    pub fn remove_track(&mut self, number: u32) -> Result<(), UnknownTrack> {
        let publisher = self.track(number)?.publisher;
        if self.waiting.contains(&publisher) {
            self.settle(publisher);
        }
        if let Some(wall) = self.walls.get_mut(&publisher) {
            wall.tracks.retain(|&track| track != number);
            if wall.tracks.is_empty() {
                self.walls.remove(&publisher);
            }
        }
        Ok(())
    }

    /// Place a frame, or hold it until its track's clock is known.
    pub fn handle_frame(
        &mut self,
        number: u32,
        timestamp: u32,
        arrival: i64,
        frame: F,
    ) -> Result<(), UnknownTrack> {
        let (zero, arrival) = (self.zero, arrival.min(LAST_US));
        let track = self.track(number)?;
        let media = track.clock.unwrap(timestamp);
        match zero {
            Some(zero) if track.clock.settled => {
                let time_us = track.clock.place(media, arrival) - zero;
                let by_arrival = track.clock.broken;
                self.placed.push(Timed {
                    track: number,
                    time_us,
                    frame,
                    by_arrival,
                });
            }
            _ => {
                track.held.push(Held {
                    media,
                    arrival,
                    frame,
                });
                let publisher = track.publisher;
                if !self.waiting.contains(&publisher) {
                    self.waiting.push(publisher);
                }
            }
        }
        self.handle_time(arrival);
        Ok(())
    }

    /// Learn what a publisher's wall clock says of a track: NTP time (32.32 bits) by timestamp.
    pub fn handle_report(
        &mut self,
        number: u32,
        ntp: u64,
        timestamp: u32,
        arrival: i64,
    ) -> Result<(), UnknownTrack> {
        let arrival = arrival.min(LAST_US);
        let track = self.tracks.get_mut(&number).ok_or(UnknownTrack(number))?;
        // 0 says that the sender has no wall clock (RFC 3550, 6.4.1)
        if ntp != 0
            && let Some(wall) = self.walls.get_mut(&track.publisher)
        {
            let said = ((u128::from(ntp) * 1_000_000) >> 32) as i64;
            let report = said - track.clock.glance(timestamp);
            if let Some(change) = track.clock.learn(report, arrival, &mut wall.base) {
                for mate in wall.tracks.iter().filter(|&&mate| mate != number) {
                    if let Some(mate) = self.tracks.get_mut(mate) {
                        mate.clock.shift(change);
                    }
                }
            }
        }
        self.handle_time(arrival);
        Ok(())
    }

    /// The journal's clock has come to `now`.
    pub fn handle_time(&mut self, now: i64) {
        self.now = self.now.max(now.min(LAST_US));
        if !self.waiting.is_empty() {
            let mut ready = self.waiting.clone();
            ready.retain(|&publisher| self.is_ready(publisher));
            for publisher in ready {
                self.settle(publisher);
            }
        }
    }

    /// Place what is still held: nothing more will come.
    pub fn finish(&mut self) {
        let mut waiting = self.waiting.clone();
        waiting.sort_unstable();
        for publisher in waiting {
            self.settle(publisher);
        }
    }

    /// What was placed since the last call.
    pub fn poll(&mut self) -> Vec<Timed<F>> {
        std::mem::take(&mut self.placed)
    }

    /// The frame that was placed since the last call, where it is one.
    pub fn poll_one(&mut self) -> Option<Timed<F>> {
        if self.placed.len() == 1 {
            self.placed.pop()
        } else {
            None
        }
    }

    /// Give back what [`poll_one`](Self::poll_one) gave.
    pub fn put_back(&mut self, timed: Timed<F>) {
        self.placed.push(timed);
    }

    /// The node's time (Unix) of lesson time 0; `None` until the first frame is placed.
    pub fn zero_us(&self) -> Option<i64> {
        self.zero
    }

    /// Frames before this lesson time will not come any more (or are not waited for).
    pub fn horizon_us(&self) -> i64 {
        self.zero.map_or(0, |zero| self.now - zero - MAX_LAG_US)
    }

    /// How often a track's clock was given up, and begun anew from the arrivals.
    pub fn rebased(&self, number: u32) -> Option<u64> {
        self.tracks.get(&number).map(|track| track.clock.rebased)
    }

    /// How many wall clocks are known.
    pub fn publishers(&self) -> usize {
        self.walls.len()
    }

    fn track(&mut self, number: u32) -> Result<&mut Track<F>, UnknownTrack> {
        self.tracks.get_mut(&number).ok_or(UnknownTrack(number))
    }

    /// Every track with frames has a report, or has waited long enough for one.
    fn is_ready(&self, publisher: i64) -> bool {
        let hold = if self.zero.is_none() {
            HOLD_US
        } else {
            LATE_HOLD_US
        };
        self.mates(publisher).iter().all(|number| {
            let Some(track) = self.tracks.get(number) else {
                return true;
            };
            let Some(first) = track.held.first() else {
                return true;
            };
            !track.clock.reports.is_empty()
                || self.now - first.arrival >= hold
                || track.held.len() >= HELD
        })
    }

    fn mates(&self, publisher: i64) -> &[u32] {
        self.walls
            .get(&publisher)
            .map_or(&[], |wall| wall.tracks.as_slice())
    }

    fn settle(&mut self, publisher: i64) {
        self.waiting.retain(|&other| other != publisher);
        let mut mates = self.mates(publisher).to_vec();
        mates.retain(|number| {
            let track = self.tracks.get(number);
            track.is_some_and(|track| !track.held.is_empty())
        });
        let base = self.estimate(publisher, &mates);
        let mut placed = Vec::new();
        for number in mates {
            let Some(track) = self.tracks.get_mut(&number) else {
                continue;
            };
            if let (Some(earliest), Some(first)) = (track.earliest(), track.held.first()) {
                track.clock.settle(earliest, first.arrival, base);
            }
            for held in track.held.drain(..) {
                let time_us = track.clock.place(held.media, held.arrival);
                placed.push(Timed {
                    track: number,
                    time_us,
                    frame: held.frame,
                    by_arrival: track.clock.broken,
                });
            }
        }
        let first = placed.iter().map(|timed| timed.time_us).min();
        if let Some(zero) = self.zero.or(first) {
            self.zero = Some(zero);
            for mut timed in placed {
                timed.time_us -= zero;
                self.placed.push(timed);
            }
        }
    }

    /// The wall clock's `base`; the first one is taken from the tracks that have frames and
    /// reports.
    fn estimate(&mut self, publisher: i64, mates: &[u32]) -> Base {
        let bases = mates.iter().filter_map(|number| {
            let track = self.tracks.get(number)?;
            Some(track.earliest()? - track.clock.reports.median()?)
        });
        let bases: Vec<i64> = bases.collect();
        let near = |base: &i64| (base - bases[0]).abs() < STEP_US;
        let wall = self.walls.get_mut(&publisher)?;
        if wall.base.is_none() {
            wall.base = bases.iter().copied().filter(near).min();
        }
        wall.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTP: u64 = 3_900_000_000 << 32;

    /// 50 packets a second; with a report each second, of a wall clock of its own.
    fn lesson(reports: bool, seconds: i64) -> Vec<i64> {
        let mut timeline = Timeline::default();
        timeline.add_track(1, 48_000, 7);
        for n in 0..seconds * 50 {
            let arrival = 1_000_000 + n * 20_000;
            let stamp = (n * 960) as u32;
            timeline.handle_frame(1, stamp, arrival, n).unwrap();
            if reports && n % 50 == 20 {
                let ntp = NTP + (((n as u64) << 32) / 50);
                timeline.handle_report(1, ntp, stamp, arrival).unwrap();
            }
        }
        timeline.finish();
        timeline.poll().iter().map(|timed| timed.time_us).collect()
    }

    #[test]
    fn frames_keep_their_distances_with_and_without_reports() {
        let wanted: Vec<i64> = (0..250).map(|n| n * 20_000).collect();
        assert_eq!(lesson(true, 5), wanted);
        assert_eq!(lesson(false, 5), wanted);
    }

    #[test]
    fn who_was_not_added_is_unknown() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.handle_frame(3, 0, 0, ()), Err(UnknownTrack(3)));
        assert_eq!(timeline.handle_report(3, 1, 0, 0), Err(UnknownTrack(3)));
        assert_eq!(timeline.remove_track(3), Err(UnknownTrack(3)));
    }

    #[test]
    fn arrivals_of_no_calendar_overflow_nothing() {
        let mut timeline = Timeline::default();
        timeline.add_track(1, 48_000, 7);
        for n in 0..200_u32 {
            let arrival = if n % 3 == 0 { i64::MAX } else { 0 };
            let stamp = n.wrapping_mul(0x7fff_ffff);
            timeline.handle_frame(1, stamp, arrival, n).unwrap();
            timeline
                .handle_report(1, u64::MAX - u64::from(n), stamp, arrival)
                .unwrap();
        }
        timeline.finish();
        let placed = timeline.poll();
        assert_eq!(placed.len(), 200);
        assert!(placed.is_sorted_by_key(|timed| timed.time_us));
    }
}
