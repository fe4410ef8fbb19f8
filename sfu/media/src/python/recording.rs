//! Placing frames and cutting parts, for Python.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use rustc_hash::FxHashMap;

use super::invalid;
use super::reader::{Frame, SenderReport};
use crate::recording::{self, Cut, Kind, Media, Piece, UnknownTrack};

#[pyclass(frozen)]
pub(super) struct Samples(Mutex<recording::Samples>);

impl Samples {
    fn inner(&self) -> MutexGuard<'_, recording::Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part's data, or nothing where a segment is closed; start, end, whether it is independent.
type PieceTuple = (Option<Py<PyBytes>>, i64, i64, bool);

#[pymethods]
impl Samples {
    #[classattr]
    const HOLD: i64 = recording::HOLD;
    #[classattr]
    const TOLERANCE: i64 = recording::TOLERANCE;

    #[new]
    fn new(codec: &str, notable_us: i64) -> PyResult<Self> {
        let kind = match codec {
            "opus" => Kind::Sound,
            "H264" => Kind::Prefixed,
            "VP9" | "AV1" => Kind::Pictures,
            _ => return Err(invalid(&format!("{codec} is not recorded as samples"))),
        };
        Ok(Self(Mutex::new(recording::Samples::new(kind, notable_us))))
    }

    fn set_cut(&self, longest: i64, enough: i64, shortest: i64) {
        self.inner().set_cut(Cut {
            longest,
            enough,
            shortest,
        });
    }

    fn add(&self, start: i64, data: &[u8], length: i64, sync: bool) {
        self.inner().add(start, data, length, sync);
    }

    fn flush(&self, end: i64, last: bool) {
        self.inner().flush(end, last);
    }

    fn close(&self) {
        self.inner().close();
    }

    fn poll(&self, py: Python<'_>) -> Vec<PieceTuple> {
        let mut samples = self.inner();
        let pieces = std::iter::from_fn(|| samples.poll());
        pieces.map(|piece| piece_tuple(py, piece)).collect()
    }

    fn unlisted(&self, py: Python<'_>) -> Vec<(Py<PyBytes>, i64, i64)> {
        let samples = self.inner();
        let packets = samples.unlisted().iter();
        packets
            .map(|(data, start, length)| (PyBytes::new(py, data).unbind(), *start, *length))
            .collect()
    }

    #[getter]
    fn waiting<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner().waiting())
    }

    #[getter]
    fn is_waiting(&self) -> bool {
        !self.inner().waiting().is_empty()
    }

    #[getter]
    fn start(&self) -> i64 {
        self.inner().start()
    }

    #[getter]
    fn next(&self) -> i64 {
        self.inner().next()
    }

    #[getter]
    fn taken(&self) -> u64 {
        self.inner().taken
    }

    #[getter]
    fn steady(&self) -> bool {
        self.inner().steady
    }

    #[setter]
    fn set_steady(&self, steady: bool) {
        self.inner().steady = steady;
    }

    #[getter]
    fn noted_us(&self) -> i64 {
        self.inner().noted_us
    }

    #[setter]
    fn set_noted_us(&self, noted_us: i64) {
        self.inner().noted_us = noted_us;
    }
}

fn piece_tuple(py: Python<'_>, piece: Piece) -> PieceTuple {
    match piece {
        Piece::Part {
            data,
            start,
            end,
            independent,
        } => (
            Some(PyBytes::new(py, &data).unbind()),
            start,
            end,
            independent,
        ),
        Piece::Close { start, end } => (None, start, end, false),
    }
}

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
        report.tell(&mut self.inner().timeline, arrival)
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
        for (at, record) in records.iter().enumerate().skip(at) {
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
                    report.tell(&mut placing.timeline, arrival)?;
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

/// A record that may concern a bound track.
enum Known<'py> {
    Frame(Facts<'py>),
    Report(Report),
}

impl<'py> Known<'py> {
    fn of(record: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let native = record.is_instance_of::<Frame>();
        if native || record.get_type().name()? == "Frame" {
            Facts::of(record).map(|facts| Some(Self::Frame(facts)))
        } else if record.get_type().name()? == "SenderReport" {
            Report::of(record).map(|report| Some(Self::Report(report)))
        } else {
            Ok(None)
        }
    }

    /// The track, and when.
    fn came(&self) -> (u32, i64) {
        match self {
            Self::Frame(frame) => (frame.track, frame.arrival),
            Self::Report(report) => (report.track, report.arrival),
        }
    }
}

/// A sender report: ours, or a double's in a test.
struct Report {
    track: u32,
    ntp: u64,
    timestamp: u32,
    arrival: i64,
}

impl Report {
    fn of(report: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(native) = report.cast::<SenderReport>() {
            let report = native.get();
            return Ok(Self {
                track: u32::from(report.track),
                ntp: report.ntp,
                timestamp: report.timestamp,
                arrival: believed(report.arrival_us),
            });
        }
        Ok(Self {
            track: report.getattr("track")?.extract()?,
            ntp: report.getattr("ntp")?.extract()?,
            timestamp: report.getattr("timestamp")?.extract()?,
            arrival: believed(report.getattr("arrival_us")?.extract()?),
        })
    }

    fn tell<F>(&self, timeline: &mut recording::Timeline<F>, arrival: i64) -> PyResult<()> {
        timeline
            .handle_report(self.track, self.ntp, self.timestamp, arrival)
            .map_err(unknown)
    }
}

/// A frame: ours, or a double's in a test.
struct Facts<'py> {
    track: u32,
    timestamp: u32,
    arrival: i64,
    keyframe: bool,
    after_loss: bool,
    data: Bound<'py, PyBytes>,
}

impl<'py> Facts<'py> {
    fn of(frame: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(native) = frame.cast::<Frame>() {
            let frame = native.get();
            return Ok(Self {
                track: u32::from(frame.track),
                timestamp: frame.timestamp,
                arrival: believed(frame.arrival_us),
                keyframe: frame.keyframe,
                after_loss: frame.after_loss,
                data: frame.data.bind(native.py()).clone(),
            });
        }
        Ok(Self {
            track: frame.getattr("track")?.extract()?,
            timestamp: frame.getattr("timestamp")?.extract()?,
            arrival: believed(frame.getattr("arrival_us")?.extract()?),
            keyframe: frame.getattr("keyframe")?.extract()?,
            after_loss: frame.getattr("after_loss")?.extract()?,
            data: frame.getattr("data")?.extract()?,
        })
    }
}

fn believed(arrival: u64) -> i64 {
    i64::try_from(arrival).unwrap_or(i64::MAX)
}

fn unknown(UnknownTrack(number): UnknownTrack) -> PyErr {
    PyKeyError::new_err(number)
}
