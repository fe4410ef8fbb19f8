//! The generator for Python.

use std::net::SocketAddr;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tongbu_media::crypto::Profile;

use crate::client::{ClientConfig, Remote};
use crate::feedback::FeedbackConfig;
use crate::generator::{self, Order};
use crate::limit;
use crate::publisher::Publishing;
use crate::trace::TraceConfig;

#[pymodule]
mod _loadgen {
    #[pymodule_export]
    use super::{Generator, limit_us_per_packet};
}

fn address(text: &str) -> PyResult<SocketAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{text} is no address and port")))
}

/// See `benchmarks/_loadgen.pyi`.
#[pyclass(frozen)]
struct Generator {
    inner: generator::Generator,
    clients: std::sync::atomic::AtomicUsize,
}

#[pymethods]
impl Generator {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self {
            inner: generator::Generator::start()?,
            clients: 0.into(),
        })
    }

    #[pyo3(signature = (
        server, ufrag, pwd, local_ufrag, local_pwd="", *,
        audio=None, video=None, sampled=false, transport_cc=None, asks=None,
        probes=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords in Python")]
    fn add(
        &self,
        server: &str,
        ufrag: String,
        pwd: String,
        local_ufrag: String,
        local_pwd: &str,
        audio: Option<(u8, u32)>,
        video: Option<(u8, u32)>,
        sampled: bool,
        transport_cc: Option<u8>,
        asks: Option<(u8, Option<u8>)>,
        probes: Option<u8>,
    ) -> PyResult<usize> {
        let client = self
            .clients
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let remote = Remote {
            address: address(server)?,
            ufrag,
            pwd,
            local_ufrag,
            local_pwd: local_pwd.to_owned(),
        };
        let publishing = audio.zip(video).map(|(audio, video)| Publishing {
            audio,
            video,
            transport_cc,
        });
        let feedback = FeedbackConfig {
            transport_cc,
            video: asks.map(|(video, _)| video),
            rtx: asks.and_then(|(_, rtx)| rtx),
            probes,
            seed: client as u64,
        };
        let config = ClientConfig {
            remote,
            publishing,
            sampled,
            feedback,
        };
        self.inner.order(Order::Add { client, config });
        Ok(client)
    }

    fn stamp_arrivals(&self) {
        self.inner.order(Order::StampArrivals);
    }

    fn poll_dtls(&self, py: Python<'_>) -> Vec<(usize, Py<PyBytes>)> {
        let waiting = self.inner.poll_dtls();
        waiting
            .into_iter()
            .map(|(c, d)| (c, PyBytes::new(py, &d).unbind()))
            .collect()
    }

    fn send_dtls(&self, client: usize, datagram: Vec<u8>) {
        self.inner.order(Order::Dtls { client, datagram });
    }

    fn set_keys(&self, client: usize, profile: &str, rx: Vec<u8>, tx: Vec<u8>) -> PyResult<()> {
        let profile = Profile::from_name(profile)
            .ok_or_else(|| PyValueError::new_err("unknown SRTP profile"))?;
        self.inner.order(Order::Keys {
            client,
            profile,
            rx,
            tx,
        });
        Ok(())
    }

    #[pyo3(signature = (client, *, video_bps, audio=true, spread_us=0, phase_us=0))]
    fn publish(&self, client: usize, video_bps: u64, audio: bool, spread_us: u64, phase_us: u64) {
        let trace = TraceConfig {
            video_bps,
            audio,
            spread_us,
        };
        let phase = phase_us;
        self.inner.order(Order::Publish {
            client,
            trace,
            phase,
        });
    }

    fn flood(&self, client: usize, pps: u64, seconds: f64) {
        self.inner.order(Order::Flood {
            client,
            pps,
            seconds,
        });
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = py.detach(|| self.inner.snapshot());
        let snapshot = snapshot.ok_or_else(|| PyRuntimeError::new_err("the generator ended"))?;
        let dict = PyDict::new(py);
        let rows = snapshot.received.iter();
        let rows: Vec<_> = rows
            .map(|r| {
                [
                    r.packets,
                    r.bytes,
                    r.lost,
                    r.opened,
                    r.unopened,
                    r.first_ns,
                    r.resent,
                    r.asked,
                    r.extension_bytes,
                ]
            })
            .collect();
        dict.set_item("received", rows)?;
        dict.set_item("ports", snapshot.ports)?;
        dict.set_item("published", snapshot.published)?;
        dict.set_item("flooded", snapshot.flooded)?;
        dict.set_item("late_us_max", snapshot.late_us_max)?;
        dict.set_item("cpu_us", snapshot.cpu_us)?;
        dict.set_item("latencies_ns", snapshot.latencies)?;
        Ok(dict)
    }
}

/// See `benchmarks/_loadgen.pyi`.
#[pyfunction]
#[pyo3(signature = (
    destinations, *, video_bps, audio=true, spread_us=0, extension_bytes=0, seconds=5,
))]
fn limit_us_per_packet(
    py: Python<'_>,
    destinations: Vec<String>,
    video_bps: u64,
    audio: bool,
    spread_us: u64,
    extension_bytes: usize,
    seconds: u64,
) -> PyResult<(u64, f64, f64)> {
    let destinations: Vec<_> = destinations
        .iter()
        .map(|d| address(d))
        .collect::<PyResult<_>>()?;
    let trace = TraceConfig {
        video_bps,
        audio,
        spread_us,
    };
    let limit = py.detach(|| limit::measure(&destinations, trace, extension_bytes, seconds))?;
    Ok((limit.packets, limit.bytes_per_packet, limit.us_per_packet))
}
