//! Feedback that asks for something: retransmission, a keyframe, a lower bitrate.

use super::report::words;
use super::{ParseError, Reader, Rtcp};

/// RFC 4585 section 6.2.1: packets that a receiver misses.
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// The stream they are missed of.
    pub media_ssrc: u32,
    pairs: &'a [[u8; 4]],
}

impl<'a> Nack<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, ParseError> {
        let _sender_ssrc = body.u32()?;
        let media_ssrc = body.u32()?;
        Ok(Self {
            media_ssrc,
            pairs: body.rest().as_chunks().0,
        })
    }

    /// The missed sequence numbers in the order told: 1 to 17 for every 4 octets received. A peer
    /// may repeat itself; nothing here removes duplicates.
    pub fn lost(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.pairs.iter().flat_map(|&[a, b, c, d]| {
            let pid = u16::from_be_bytes([a, b]);
            // The packet itself, then the 16 behind it by their bits (BLP).
            let bits = u32::from(u16::from_be_bytes([c, d])) << 1 | 1;
            (0..17)
                .filter(move |i| bits >> i & 1 == 1)
                .map(move |i| pid.wrapping_add(i))
        })
    }
}

/// RFC 5104 section 4.3.1: decoders that must start afresh.
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a>(&'a [[u8; 8]]);

/// One command of a [`Fir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream whose keyframe is asked for.
    pub ssrc: u32,
    /// Grows by one with each new command; the same number is the same command again.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, ParseError> {
        let _sender_and_unused_media_ssrc = body.u64()?;
        Ok(Self(body.rest().as_chunks().0))
    }

    /// The commands of this packet.
    pub fn entries(&self) -> impl Iterator<Item = FirEntry> + use<'a> {
        self.0.iter().map(|&[a, b, c, d, sequence, ..]| FirEntry {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence,
        })
    }
}

/// draft-alvestrand-rmcat-remb-03 section 2.2: the bitrate a receiver believes it can take.
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Bits a second over all streams of the list; saturates at `u64::MAX`.
    pub bitrate_bps: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    /// Reads behind the unique identifier.
    fn read(mut body: Reader<'a>) -> Result<Self, ParseError> {
        let count = usize::from(body.u8()?);
        let rate = body.u24()?;
        let (exponent, mantissa) = (rate >> 18, u128::from(rate & 0x3_ffff));
        let bitrate_bps = u64::try_from(mantissa << exponent).unwrap_or(u64::MAX);
        Ok(Self {
            bitrate_bps,
            ssrcs: body.take(count * 4)?,
        })
    }

    /// The streams that the bitrate is shared by, at most 255.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        words(self.ssrcs)
    }
}

pub(super) fn read_pli(mut body: Reader<'_>) -> Result<Rtcp<'_>, ParseError> {
    let _sender_ssrc = body.u32()?;
    Ok(Rtcp::Pli {
        media_ssrc: body.u32()?,
    })
}

/// Application layer feedback (RFC 4585 section 6.4), of which only REMB is known here.
pub(super) fn read_application(mut body: Reader<'_>) -> Result<Rtcp<'_>, ParseError> {
    let _sender_and_unused_media_ssrc = body.u64()?;
    match body.array() {
        Ok(super::write::REMB_IDENTIFIER) => Remb::read(body).map(Rtcp::Remb),
        _ => Ok(Rtcp::Unknown {
            packet_type: super::kind::PAYLOAD_FEEDBACK,
        }),
    }
}
