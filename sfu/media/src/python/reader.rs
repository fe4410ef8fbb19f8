//! The journal's reader for Python.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyFileNotFoundError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{invalid, object};
use crate::clock::Micros;
use crate::journal::{self, RawItem, Record};

#[pyclass(frozen, get_all)]
pub(super) struct Frame {
    pub(super) track: u16,
    pub(super) timestamp: u32,
    pub(super) arrival_us: Micros,
    pub(super) keyframe: bool,
    pub(super) after_loss: bool,
    pub(super) data: Py<PyBytes>,
}

#[pyclass(frozen, get_all)]
pub(super) struct SenderReport {
    pub(super) track: u16,
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
    pub(super) arrival_us: Micros,
}

#[pyclass(frozen, get_all)]
pub(super) struct LessonEvent {
    arrival_us: Micros,
    json: String,
}

#[pyclass(frozen, get_all)]
pub(super) struct JournalEnd {
    arrival_us: Micros,
}

#[pyclass(frozen)]
pub(super) struct JournalReader(Mutex<journal::JournalReader>);

impl JournalReader {
    fn inner(&self) -> MutexGuard<'_, journal::JournalReader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl JournalReader {
    #[new]
    fn new(directory: &str) -> PyResult<Self> {
        let reader = journal::JournalReader::open(Path::new(directory)).map_err(open_error)?;
        Ok(Self(Mutex::new(reader)))
    }

    fn read(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let records = py.detach(|| self.inner().read(limit));
        records.into_iter().map(|r| record_object(py, r)).collect()
    }

    fn flush(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let records = py.detach(|| self.inner().flush());
        records.into_iter().map(|r| record_object(py, r)).collect()
    }

    #[getter]
    fn bytes_read(&self) -> u64 {
        self.inner().bytes_read()
    }

    #[getter]
    fn errors(&self) -> u64 {
        self.inner().errors()
    }
}

pub(super) fn open_error(error: std::io::Error) -> PyErr {
    match error.kind() {
        std::io::ErrorKind::NotFound => PyFileNotFoundError::new_err(error.to_string()),
        std::io::ErrorKind::InvalidData => invalid(&error.to_string()),
        _ => error.into(),
    }
}

pub(super) fn record_object(py: Python<'_>, record: journal::Record) -> PyResult<Py<PyAny>> {
    match record {
        Record::Frame { track, frame } => {
            let data = PyBytes::new(py, &frame.data).unbind();
            let frame = Frame {
                track,
                timestamp: frame.timestamp,
                arrival_us: frame.arrival,
                keyframe: frame.keyframe,
                after_loss: frame.after_loss,
                data,
            };
            object(py, frame)
        }
        Record::SenderReport {
            track,
            ntp,
            rtp: timestamp,
            arrival: arrival_us,
        } => object(
            py,
            SenderReport {
                track,
                ntp,
                timestamp,
                arrival_us,
            },
        ),
        Record::Event {
            arrival: arrival_us,
            json,
        } => object(py, LessonEvent { arrival_us, json }),
        Record::End {
            arrival: arrival_us,
        } => object(py, JournalEnd { arrival_us }),
    }
}

#[pyclass(frozen, get_all)]
pub(super) struct RawRecord {
    segment: u32,
    offset: u64,
    kind: u8,
    track: u16,
    arrival_us: Micros,
    body: Py<PyBytes>,
}

#[pyclass(frozen, get_all)]
pub(super) struct Damage {
    segment: u32,
    offset: u64,
    bytes: u64,
}

#[pyclass(frozen)]
pub(super) struct RawJournalReader(Mutex<journal::RawReader>);

impl RawJournalReader {
    fn inner(&self) -> MutexGuard<'_, journal::RawReader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl RawJournalReader {
    #[new]
    fn new(directory: &str) -> PyResult<Self> {
        let reader = journal::RawReader::open(Path::new(directory)).map_err(open_error)?;
        Ok(Self(Mutex::new(reader)))
    }

    fn read(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let items = py.detach(|| self.inner().read(limit));
        items.into_iter().map(|i| item_object(py, i)).collect()
    }

    fn flush(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let items = py.detach(|| self.inner().flush(limit));
        items.into_iter().map(|i| item_object(py, i)).collect()
    }

    #[getter]
    fn bytes_read(&self) -> u64 {
        self.inner().bytes_read()
    }

    #[getter]
    fn errors(&self) -> u64 {
        self.inner().errors()
    }
}

fn item_object(py: Python<'_>, item: RawItem) -> PyResult<Py<PyAny>> {
    match item {
        RawItem::Record(record) => {
            let record = RawRecord {
                segment: record.segment,
                offset: record.offset,
                kind: record.kind,
                track: record.track,
                arrival_us: record.arrival,
                body: PyBytes::new(py, &record.body).unbind(),
            };
            object(py, record)
        }
        RawItem::Damage(damage) => {
            let journal::Damage {
                segment,
                offset,
                bytes,
            } = damage;
            object(
                py,
                Damage {
                    segment,
                    offset,
                    bytes,
                },
            )
        }
    }
}

/// All RTP packets of a journal.
#[pyfunction]
pub(super) fn read_packets(
    py: Python<'_>,
    directory: &str,
) -> PyResult<Vec<(u16, Micros, Py<PyBytes>)>> {
    let reader = journal::JournalReader::open(Path::new(directory)).map_err(open_error)?;
    let mut all = Vec::new();
    for packet in reader.packets() {
        all.push((
            packet.track,
            packet.arrival,
            PyBytes::new(py, &packet.packet).unbind(),
        ));
    }
    Ok(all)
}
