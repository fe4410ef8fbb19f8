//! Reports and farewells (RFC 3550 section 6.4 and 6.6).

use super::{ParseError, Reader};

/// What a source says of itself in a sender report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    /// The same instant as an RTP timestamp.
    pub rtp: u32,
    /// Packets sent since the source began.
    pub packet_count: u32,
    /// Payload octets sent since the source began.
    pub octet_count: u32,
}

/// RFC 3550 section 6.4.1
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The source that reports.
    pub ssrc: u32,
    /// What it sent, and when.
    pub info: SenderInfo,
    /// What it received.
    pub reports: ReportBlocks<'a>,
}

impl<'a> SenderReport<'a> {
    pub(super) fn read(count: u8, mut body: Reader<'a>) -> Result<Self, ParseError> {
        let ssrc = body.u32()?;
        let info = SenderInfo {
            ntp: body.u64()?,
            rtp: body.u32()?,
            packet_count: body.u32()?,
            octet_count: body.u32()?,
        };
        Ok(Self {
            ssrc,
            info,
            reports: ReportBlocks::read(count, &mut body)?,
        })
    }
}

/// RFC 3550 section 6.4.2
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// The source that reports.
    pub ssrc: u32,
    /// What it received.
    pub reports: ReportBlocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn read(count: u8, mut body: Reader<'a>) -> Result<Self, ParseError> {
        Ok(Self {
            ssrc: body.u32()?,
            reports: ReportBlocks::read(count, &mut body)?,
        })
    }
}

/// How one source is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Lost since the previous report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since reception began; duplicates make it negative. 24 bits on the wire: a writer
    /// saturates.
    pub cumulative_lost: i32,
    /// Highest sequence number received, wraps counted in its upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 if none came yet.
    pub lsr: u32,
    /// Delay since that report, in 65536ths of a second.
    pub dlsr: u32,
}

impl ReportBlock {
    pub(super) const LEN: usize = 24;

    fn read(mut block: Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            ssrc: block.u32()?,
            fraction_lost: block.u8()?,
            cumulative_lost: block.i24()?,
            highest_sequence: block.u32()?,
            jitter: block.u32()?,
            lsr: block.u32()?,
            dlsr: block.u32()?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-(1 << 23), (1 << 23) - 1);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.push(self.fraction_lost);
        out.extend_from_slice(&lost.to_be_bytes()[1..]);
        for word in [self.highest_sequence, self.jitter, self.lsr, self.dlsr] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// The report blocks of one report, at most 31.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl<'a> ReportBlocks<'a> {
    fn read(count: u8, body: &mut Reader<'a>) -> Result<Self, ParseError> {
        body.take(usize::from(count) * ReportBlock::LEN).map(Self)
    }

    /// The blocks in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.0
            .chunks_exact(ReportBlock::LEN)
            .flat_map(|block| ReportBlock::read(Reader::new(block)))
    }
}

/// RFC 3550 section 6.6: sources that have left.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a>(&'a [u8]);

impl<'a> Bye<'a> {
    pub(super) fn read(count: u8, mut body: Reader<'a>) -> Result<Self, ParseError> {
        body.take(usize::from(count) * 4).map(Self)
    }

    /// The sources that have left, at most 31.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        words(self.0)
    }
}

/// The 32-bit words of a list.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_be_bytes(*word))
}
