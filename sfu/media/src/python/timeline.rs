//! The lesson's clock for Python, and the short way from it to samples.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use rustc_hash::FxHashMap;

use super::records::{Facts, Known, Report};
use super::samples::Samples;
use crate::recording::{self, Media, UnknownTrack};

#[pyclass(frozen, get_all)]
pub(super) struct Timed {
    track: u32,
    time_us: i64,
    frame: Py<PyAny>,
    by_arrival: bool,
}

impl From<recording::Timed<Py<PyAny>>> for Timed {
    fn from(timed: recording::Timed<Py<PyAny>>) -> Self {
        let recording::Timed {
            track,
            time_us,
            frame,
            by_arrival,
        } = timed;
        Self {
            track,
            time_us,
            frame,
            by_arrival,
        }
    }
}

/// Where the frames of a track go while nothing happens to it.
struct Lane {
    samples: Py<Samples>,
    /// Who is to write the pieces.
    owner: Py<PyAny>,
    /// Told of each packet of sound; pictures have none.
    passed: Option<Py<PyAny>>,
    frames: u64,
}

#[derive(Default)]
struct Placing {
    timeline: recording::Timeline<Py<PyAny>>,
    lanes: FxHashMap<u32, Lane>,
    /// Tracks whose owners have something to write.
    grown: Vec<u32>,
}

#[pyclass(frozen)]
pub(super) struct Timeline(Mutex<Placing>);

impl Timeline {
    fn inner(&self) -> MutexGuard<'_, Placing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Timeline {
    #[classattr]
    const HOLD_US: i64 = recording::HOLD_US;
    #[classattr]
    const LATE_HOLD_US: i64 = recording::LATE_HOLD_US;
    #[classattr]
    const MAX_LAG_US: i64 = recording::MAX_LAG_US;
    #[classattr]
    const SLEW: i64 = recording::SLEW;
    #[classattr]
    const SLEW_PICTURES: i64 = recording::SLEW_PICTURES;

    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn add_track(&self, number: u32, clock_rate: u32, publisher: i64) {
        let timeline = &mut self.inner().timeline;
        timeline.add_track(number, clock_rate, publisher);
    }

    fn remove_track(&self, number: u32) -> PyResult<()> {
        let removed = self.inner().timeline.remove_track(number);
        removed.map_err(unknown)
    }

    #[pyo3(signature = (frame, arrival_us=None))]
    fn handle_frame(&self, frame: &Bound<'_, PyAny>, arrival_us: Option<i64>) -> PyResult<()> {
        let facts = Facts::of(frame)?;
        let arrival = arrival_us.unwrap_or(facts.arrival);
        let timeline = &mut self.inner().timeline;
        timeline
            .handle_frame(
                facts.track,
                facts.timestamp,
                arrival,
                frame.clone().unbind(),
            )
            .map_err(unknown)
    }

    #[pyo3(signature = (report, arrival_us=None))]
    fn handle_report(&self, report: &Bound<'_, PyAny>, arrival_us: Option<i64>) -> PyResult<()> {
        let report = Report::of(report)?;
        let arrival = arrival_us.unwrap_or(report.arrival);
        let timeline = &mut self.inner().timeline;
        report.tell(timeline, arrival).map_err(unknown)
    }

    fn handle_time(&self, now_us: i64) {
        self.inner().timeline.handle_time(now_us);
    }

    fn finish(&self) {
        self.inner().timeline.finish();
    }

    fn poll(&self) -> Vec<Timed> {
        let placed = self.inner().timeline.poll();
        placed.into_iter().map(Timed::from).collect()
    }

    fn rebased(&self, number: u32) -> PyResult<u64> {
        let rebased = self.inner().timeline.rebased(number);
        rebased.ok_or_else(|| unknown(UnknownTrack(number)))
    }

    #[getter]
    fn zero_us(&self) -> Option<i64> {
        self.inner().timeline.zero_us()
    }

    #[getter]
    fn horizon_us(&self) -> i64 {
        self.inner().timeline.horizon_us()
    }

    #[getter]
    fn publishers(&self) -> usize {
        self.inner().timeline.publishers()
    }

    #[pyo3(signature = (number, samples, owner, passed=None))]
    fn bind(&self, number: u32, samples: Py<Samples>, owner: Py<PyAny>, passed: Option<Py<PyAny>>) {
        let frames = 0;
        let lane = Lane {
            samples,
            owner,
            passed,
            frames,
        };
        self.inner().lanes.insert(number, lane);
    }

    fn release(&self, number: u32) -> u64 {
        let lane = self.inner().lanes.remove(&number);
        lane.map_or(0, |lane| lane.frames)
    }

    fn take(
        &self,
        records: &Bound<'_, PyList>,
        at: usize,
        shift: i64,
        between: (i64, i64),
    ) -> PyResult<usize> {
        let (after, until) = between;
        let mut placing = self.inner();
        for at in at..records.len() {
            let record = records.get_item(at)?;
            let Some(known) = Known::of(&record)? else {
                return Ok(at);
            };
            let (track, arrival) = known.came();
            let arrival = arrival.saturating_add(shift);
            if arrival <= after || arrival > until || !placing.lanes.contains_key(&track) {
                return Ok(at);
            }
            let taken = match known {
                Known::Frame(frame) => placing.take(&record, &frame, arrival)?,
                Known::Report(report) => {
                    report
                        .tell(&mut placing.timeline, arrival)
                        .map_err(unknown)?;
                    true
                }
            };
            if !taken {
                return Ok(at + 1);
            }
        }
        Ok(records.len())
    }

    fn grown(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let mut placing = self.inner();
        let grown = std::mem::take(&mut placing.grown);
        let lanes = grown.iter().filter_map(|track| placing.lanes.get(track));
        lanes.map(|lane| lane.owner.clone_ref(py)).collect()
    }
}

impl Placing {
    /// False when the frame is held, or placed and to be polled.
    fn take(
        &mut self,
        record: &Bound<'_, PyAny>,
        facts: &Facts<'_>,
        arrival: i64,
    ) -> PyResult<bool> {
        let frame = record.clone().unbind();
        self.timeline
            .handle_frame(facts.track, facts.timestamp, arrival, frame)
            .map_err(unknown)?;
        let (Some(timed), Some(lane)) =
            (self.timeline.poll_one(), self.lanes.get_mut(&facts.track))
        else {
            return Ok(false);
        };
        let media = Media {
            time_us: timed.time_us,
            keyframe: facts.keyframe,
            after_loss: facts.after_loss || timed.by_arrival,
            data: facts.data.as_bytes(),
        };
        let mut samples = lane.samples.get().inner();
        let taken = timed.track == facts.track
            && match &lane.passed {
                Some(_) => samples.take_sound(media),
                None => samples.take_picture(media),
            };
        if !taken {
            self.timeline.put_back(timed);
            return Ok(false);
        }
        lane.frames += 1;
        if samples.has_pieces() && !self.grown.contains(&facts.track) {
            self.grown.push(facts.track);
        }
        if let Some(passed) = &lane.passed {
            passed.call1(record.py(), ((timed.time_us, timed.frame),))?;
        }
        Ok(true)
    }
}

fn unknown(UnknownTrack(number): UnknownTrack) -> PyErr {
    PyKeyError::new_err(number)
}
