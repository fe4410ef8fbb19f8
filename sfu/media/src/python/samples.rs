//! Samples and their parts, for Python.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::invalid;
use crate::recording::{self, Cut, Kind, Piece};

#[pyclass(frozen)]
pub(super) struct Samples(Mutex<recording::Samples>);

impl Samples {
    pub(super) fn inner(&self) -> MutexGuard<'_, recording::Samples> {
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
