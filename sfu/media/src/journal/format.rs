//! Bytes of segments and records; the tables are in `docs/journal.md`.

use std::path::{Path, PathBuf};

use crate::clock::Micros;

const MAGIC: [u8; 8] = *b"TONGBUJ1";
/// The version that this module writes and reads.
pub(super) const VERSION: u16 = 1;
pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 20;
pub(super) const RTP_HEADER_BYTES: usize = 12;
/// No body is longer.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;
/// UDP carries no more.
const MAX_RTP_BYTES: usize = 65_535;

pub(super) const EVENT: u8 = 1;
pub(super) const RTP: u8 = 2;
pub(super) const SENDER_REPORT: u8 = 3;
pub(super) const END: u8 = 4;

pub(super) fn lock_path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

pub(super) fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.tbj"))
}

/// The numbers of all segments there are, in any order.
pub(super) fn segment_numbers(directory: &Path) -> std::io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".tbj"));
        numbers.extend(
            stem.filter(|stem| stem.len() >= 8)
                .and_then(|stem| stem.parse::<u32>().ok()),
        );
    }
    Ok(numbers)
}

/// A segment's header.
pub(super) struct SegmentHeader {
    pub(super) version: u16,
    /// Of the whole header: a later release may add to it.
    pub(super) bytes: usize,
}

impl SegmentHeader {
    pub(super) fn write(number: u32, created: Micros) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&(SEGMENT_HEADER_BYTES as u16).to_le_bytes());
        header[12..16].copy_from_slice(&number.to_le_bytes());
        header[16..24].copy_from_slice(&created.to_le_bytes());
        let crc = crc32fast::hash(&header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// `None` when the header is damaged or none at all.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..SEGMENT_HEADER_BYTES)?;
        if header[..8] != MAGIC || u32_at(header, 28) != crc32fast::hash(&header[..28]) {
            return None;
        }
        Some(Self {
            version: u16_at(header, 8),
            bytes: usize::from(u16_at(header, 10)).max(SEGMENT_HEADER_BYTES),
        })
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordHeader {
    pub(super) body_bytes: usize,
    crc: u32,
    pub(super) kind: u8,
    pub(super) track: u16,
    pub(super) arrival: Micros,
}

impl RecordHeader {
    /// `None` when there are too few bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..RECORD_HEADER_BYTES)?;
        Some(Self {
            body_bytes: u32_at(header, 0) as usize,
            crc: u32_at(header, 4),
            kind: header[8],
            track: u16_at(header, 10),
            arrival: u64_at(header, 12),
        })
    }

    /// With header.
    pub(super) fn record_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.body_bytes
    }

    /// Whether a record of a known type can look like this.
    pub(super) fn is_known(&self) -> bool {
        match self.kind {
            EVENT => self.body_bytes <= MAX_BODY_BYTES,
            RTP => (RTP_HEADER_BYTES..=MAX_RTP_BYTES).contains(&self.body_bytes),
            SENDER_REPORT => self.body_bytes == 12,
            END => self.body_bytes == 0,
            _ => false,
        }
    }

    /// Whether it may be a record of a type that a later version added.
    pub(super) fn is_foreign(&self) -> bool {
        self.kind > END && self.body_bytes <= MAX_BODY_BYTES
    }

    /// `record` is the whole record, header included.
    pub(super) fn checks_out(&self, record: &[u8]) -> bool {
        crc32fast::hash(&record[8..]) == self.crc
    }
}

/// Whether a body of this length can be written.
pub(super) fn fits(kind: u8, body_bytes: usize) -> bool {
    RecordHeader {
        kind,
        body_bytes,
        ..RecordHeader::default()
    }
    .is_known()
}

/// Append a record. The body is given in two parts, so that a packet need not be put together.
pub(super) fn append_record(
    buffer: &mut Vec<u8>,
    (kind, track, arrival): (u8, u16, Micros),
    body: [&[u8]; 2],
) {
    let start = buffer.len();
    let body_bytes = (body[0].len() + body[1].len()) as u32;
    buffer.extend_from_slice(&body_bytes.to_le_bytes());
    buffer.extend_from_slice(&[0, 0, 0, 0, kind, 0]);
    buffer.extend_from_slice(&track.to_le_bytes());
    buffer.extend_from_slice(&arrival.to_le_bytes());
    buffer.extend_from_slice(body[0]);
    buffer.extend_from_slice(body[1]);
    let crc = crc32fast::hash(&buffer[start + 8..]);
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Little-endian, as all numbers of the format.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Zeros where there are no bytes.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}
