//! A journal's records as they come back from Python: ours, or a test's doubles of them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::reader::{Frame, SenderReport};
use crate::recording::{Timeline, UnknownTrack};

/// A record that may concern a bound track.
pub(super) enum Known<'py> {
    Frame(Facts<'py>),
    Report(Report),
}

impl<'py> Known<'py> {
    pub(super) fn of(record: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
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
    pub(super) fn came(&self) -> (u32, i64) {
        match self {
            Self::Frame(frame) => (frame.track, frame.arrival),
            Self::Report(report) => (report.track, report.arrival),
        }
    }
}

/// A sender report: ours, or a double's in a test.
pub(super) struct Report {
    pub(super) track: u32,
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
    pub(super) arrival: i64,
}

impl Report {
    pub(super) fn of(report: &Bound<'_, PyAny>) -> PyResult<Self> {
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

    /// Have a timeline learn of it.
    pub(super) fn tell<F>(
        &self,
        timeline: &mut Timeline<F>,
        arrival: i64,
    ) -> Result<(), UnknownTrack> {
        timeline.handle_report(self.track, self.ntp, self.timestamp, arrival)
    }
}

/// A frame: ours, or a double's in a test.
pub(super) struct Facts<'py> {
    pub(super) track: u32,
    pub(super) timestamp: u32,
    pub(super) arrival: i64,
    pub(super) keyframe: bool,
    pub(super) after_loss: bool,
    pub(super) data: Bound<'py, PyBytes>,
}

impl<'py> Facts<'py> {
    pub(super) fn of(frame: &Bound<'py, PyAny>) -> PyResult<Self> {
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
