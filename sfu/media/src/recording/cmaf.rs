//! CMAF chunks: samples of one track in, one `moof` and its `mdat` out.
//!
//! A chunk is what ISO/IEC 23000-19, 7.3.2.3 calls one; its boxes are those of ISO/IEC 14496-12,
//! 8.8:
//!
//! ```text
//! moof
//!   mfhd            the chunk's number
//!   traf
//!     tfhd          offsets count from this moof (default-base-is-moof)
//!     tfdt          where the first sample starts, 64 bits
//!     trun          for each sample: how long, how big, and whether it can be a start
//! mdat              the samples in a row
//! ```
//!
//! There is no `styp`: HLS needs none (RFC 8216, 3.3), and so a segment is just its chunks in a
//! row. The init segments that these belong to are `recorder.pipeline.mux`'s.

/// Flags of a sample that depends on no other (ISO/IEC 14496-12, 8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// Flags of a sample that depends on others and is no place to start.
const DELTA: u32 = 0x0101_0000;

const MFHD: u32 = 16;
const TFHD: u32 = 16;
const TFDT: u32 = 20;
const TRUN: u32 = 20;
const BOX: u32 = 8;
const PER_SAMPLE: u32 = 12;
const TRACK: u32 = 1;
const BASE_IS_MOOF: u32 = 0x02_0000;
const VERSION_1: u32 = 1 << 24;
/// Data offset; duration, size and flags of each sample.
const TRUN_HAS: u32 = 0x701;

const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;

/// What a chunk says of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) ticks: u32,
    pub(super) bytes: u32,
    pub(super) sync: bool,
}

/// One chunk that starts at `start`, in ticks of the track; `data` are its samples in a row.
pub(super) fn chunk(number: u32, start: i64, rows: &[Row], data: &[u8]) -> Vec<u8> {
    let trun = TRUN + PER_SAMPLE * rows.len() as u32;
    let traf = BOX + TFHD + TFDT + trun;
    let moof = BOX + MFHD + traf;
    let mdat = BOX + data.len() as u32;
    let mut out = Vec::with_capacity((moof + mdat) as usize);
    let mut put = |numbers: &[u32]| {
        for number in numbers {
            out.extend_from_slice(&number.to_be_bytes());
        }
    };
    put(&[moof, name(b"moof"), MFHD, name(b"mfhd"), 0, number]);
    put(&[traf, name(b"traf")]);
    put(&[TFHD, name(b"tfhd"), BASE_IS_MOOF, TRACK]);
    let start = start.cast_unsigned();
    put(&[TFDT, name(b"tfdt"), VERSION_1]);
    put(&[(start >> 32) as u32, start as u32]);
    put(&[trun, name(b"trun"), TRUN_HAS, rows.len() as u32]);
    put(&[moof + BOX]);
    for row in rows {
        put(&[row.ticks, row.bytes, if row.sync { SYNC } else { DELTA }]);
    }
    put(&[mdat, name(b"mdat")]);
    out.extend_from_slice(data);
    out
}

fn name(of: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*of)
}

/// Append an H264 frame in Annex B as an `avc1` sample (ISO/IEC 14496-15, 5.3.2).
///
/// Each NAL unit gets its length before it, four bytes, instead of a start code. Parameter sets
/// and delimiters are left out: the init segment has the sets.
pub(super) fn length_prefixed(frame: &[u8], out: &mut Vec<u8>) {
    if let Some(unit) = frame.strip_prefix(&[0, 0, 0, 1])
        && !unit.is_empty()
        && start_code(unit).is_none()
    {
        return put_unit(unit, out); // nearly every frame: one slice
    }
    let mut rest = start_code(frame).map(|at| &frame[at + 3..]);
    while let Some(from) = rest {
        let end = start_code(from);
        let unit = without_zeros(&from[..end.unwrap_or(from.len())]);
        if unit
            .first()
            .is_some_and(|first| ![SPS, PPS, DELIMITER].contains(&(first & 31)))
        {
            put_unit(unit, out);
        }
        rest = end.map(|at| &from[at + 3..]);
    }
}

fn put_unit(unit: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
    out.extend_from_slice(unit);
}

/// Where the first `00 00 01` is.
fn start_code(data: &[u8]) -> Option<usize> {
    let mut at = 2;
    while let Some(&third) = data.get(at) {
        match third {
            0 => at += 1,
            1 if data[at - 2] == 0 && data[at - 1] == 0 => return Some(at - 2),
            _ => at += 3,
        }
    }
    None
}

fn without_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|&byte| byte != 0);
    &unit[..end.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(frame: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        length_prefixed(frame, &mut out);
        out
    }

    #[test]
    fn one_slice_gets_its_length() {
        assert_eq!(prefixed(b"\0\0\0\x01\x41abc"), b"\0\0\0\x04\x41abc");
        assert_eq!(prefixed(b"\0\0\x01\x41abc"), b"\0\0\0\x04\x41abc");
    }

    #[test]
    fn parameter_sets_and_zeros_between_units_go() {
        let frame = b"\0\0\0\x01\x67sps\0\0\x01\x68pps\0\0\0\x01\x65idr\0\0";
        assert_eq!(prefixed(frame), b"\0\0\0\x04\x65idr");
        assert_eq!(prefixed(b"\0\0\x01\0\0\x01\x41a"), b"\0\0\0\x02\x41a");
        assert_eq!(prefixed(b"no start code"), b"");
    }

    #[test]
    fn a_chunk_says_how_long_and_how_big_its_samples_are() {
        let rows = [
            Row {
                ticks: 10,
                bytes: 3,
                sync: true,
            },
            Row {
                ticks: 11,
                bytes: 5,
                sync: false,
            },
        ];
        let made = chunk(9, 0x1_2345_6789, &rows, b"onethree");
        assert_eq!(made.len(), 88 + 24 + 8 + 8);
        assert_eq!(made[..4], 112_u32.to_be_bytes());
        assert_eq!(made[60..68], 0x1_2345_6789_u64.to_be_bytes());
        assert_eq!(made[100..112], *b"\0\0\0\x0b\0\0\0\x05\x01\x01\0\0");
        assert_eq!(made[112..], *b"\0\0\0\x10mdatonethree");
    }
}
