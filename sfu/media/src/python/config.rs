//! Configurations as Python gives them (any object with the right attributes), parsed into ours.

use std::net::IpAddr;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::invalid;
use crate::clock::{Micros, SECOND};
use crate::codec::Codec;
use crate::engine::EngineConfig;
use crate::packet::extension::ExtensionMap;
use crate::track::{RtpSinkConfig, UptrackConfig};

/// A MID is sent with every packet at first: longer ones are refused (RFC 8843 asks for 16).
const MAX_MID: usize = 32;

#[derive(FromPyObject)]
pub(super) struct EngineArgument {
    host: String,
    port: u16,
    tcp_port: Option<u16>,
    shards: usize,
    buffer_bytes: usize,
    consent_timeout: f64,
}

#[derive(FromPyObject)]
struct CodecArgument {
    name: String,
    payload_type: u8,
    clock_rate: u32,
    rtx_payload_type: Option<u8>,
    red_payload_type: Option<u8>,
    flexfec_payload_type: Option<u8>,
    nack: bool,
}

#[derive(FromPyObject)]
pub(super) struct UptrackArgument {
    mid: String,
    codec: CodecArgument,
    extensions: Vec<(u8, String)>,
    rids: Vec<String>,
    ssrcs: Vec<u32>,
}

#[derive(FromPyObject)]
pub(super) struct DowntrackArgument {
    mid: String,
    codec: CodecArgument,
    extensions: Vec<(u8, String)>,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    fec_ssrc: Option<u32>,
    cname: String,
}

impl EngineArgument {
    pub(super) fn parse(&self) -> PyResult<EngineConfig> {
        let host: IpAddr = self
            .host
            .parse()
            .map_err(|_| invalid("host is no IP address"))?;
        if !(1..=64).contains(&self.shards) {
            return Err(invalid("shards must be 1 to 64"));
        }
        if !(0.1..=3_600.0).contains(&self.consent_timeout) {
            return Err(invalid("consent_timeout must be 0.1 to 3600 seconds"));
        }
        Ok(EngineConfig {
            host,
            port: self.port,
            tcp_port: self.tcp_port,
            shards: self.shards,
            buffer_bytes: self.buffer_bytes,
            consent_timeout: (self.consent_timeout * SECOND as f64) as Micros,
        })
    }
}

impl UptrackArgument {
    pub(super) fn parse(self) -> PyResult<UptrackConfig> {
        Ok(UptrackConfig {
            mid: checked_mid(self.mid)?,
            codec: self.codec.codec()?,
            payload_type: self.codec.payload_type,
            rtx_payload_type: self.codec.rtx_payload_type,
            clock_rate: self.codec.clock_rate,
            nack: self.codec.nack,
            extensions: extension_map(&self.extensions),
            rids: self.rids,
            ssrcs: self.ssrcs,
        })
    }
}

impl DowntrackArgument {
    pub(super) fn parse(self) -> PyResult<RtpSinkConfig> {
        Ok(RtpSinkConfig {
            mid: checked_mid(self.mid)?,
            codec: self.codec.codec()?,
            payload_type: self.codec.payload_type,
            rtx: self.codec.rtx_payload_type.zip(self.rtx_ssrc),
            flexfec: self.codec.flexfec_payload_type.zip(self.fec_ssrc),
            red_payload_type: self.codec.red_payload_type,
            clock_rate: self.codec.clock_rate,
            ssrc: self.ssrc,
            cname: self.cname,
            extensions: extension_map(&self.extensions),
            start: random_start()?,
        })
    }
}

impl CodecArgument {
    fn codec(&self) -> PyResult<Codec> {
        let unknown = || invalid(&format!("unknown codec {:?}", self.name));
        Codec::from_name(&self.name).ok_or_else(unknown)
    }
}

fn checked_mid(mid: String) -> PyResult<String> {
    if mid.len() > MAX_MID {
        Err(invalid("mid is longer than 32 bytes"))
    } else {
        Ok(mid)
    }
}

fn extension_map(pairs: &[(u8, String)]) -> ExtensionMap {
    let pairs: Vec<_> = pairs.iter().map(|(id, uri)| (*id, uri.as_str())).collect();
    ExtensionMap::from_pairs(&pairs)
}

/// Unpredictable first sequence number and timestamp (RFC 3550, 5.1).
fn random_start() -> PyResult<(u16, u32)> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|_| PyOSError::new_err("the system has no randomness"))?;
    let [a, b, c, d, e, f] = bytes;
    Ok((u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
}
