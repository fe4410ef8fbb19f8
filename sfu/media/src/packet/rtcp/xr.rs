//! Extended reports (RFC 3611): how a receiver that sends nothing measures its round trip.

use super::{ParseError, Reader};

/// Block types (RFC 3611 section 4.4 and 4.5).
pub(super) const RRTR: u8 = 4;
pub(super) const DLRR: u8 = 5;

/// RFC 3611 section 2
#[derive(Clone, Copy, Debug)]
pub struct Xr<'a> {
    /// The source that reports.
    pub ssrc: u32,
    blocks: Reader<'a>,
}

impl<'a> Xr<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, ParseError> {
        Ok(Self {
            ssrc: body.u32()?,
            blocks: body,
        })
    }

    /// The blocks up to the first that does not fit.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let mut blocks = self.blocks;
        std::iter::from_fn(move || XrBlock::read(&mut blocks).ok())
    }
}

/// One block of an extended report.
#[derive(Clone, Copy, Debug)]
pub enum XrBlock<'a> {
    /// Receiver reference time (RFC 3611 section 4.4): to be answered by a [`Dlrr`].
    Rrtr {
        /// The receiver's clock, 32.32 fixed point seconds since 1900.
        ntp: u64,
    },
    /// Answers to reference times (RFC 3611 section 4.5).
    Dlrr(DlrrEntries<'a>),
    /// A block that the plane has no use for.
    Unknown {
        /// RFC 3611 section 6.2
        block_type: u8,
    },
}

impl<'a> XrBlock<'a> {
    fn read(blocks: &mut Reader<'a>) -> Result<Self, ParseError> {
        let block_type = blocks.u8()?;
        let _type_specific = blocks.u8()?;
        let words = usize::from(blocks.u16()?);
        let mut body = Reader::new(blocks.take(words * 4)?);
        match block_type {
            RRTR => Ok(Self::Rrtr { ntp: body.u64()? }),
            DLRR => Ok(Self::Dlrr(DlrrEntries(body.rest().as_chunks().0))),
            _ => Ok(Self::Unknown { block_type }),
        }
    }
}

/// The entries of one DLRR block.
#[derive(Clone, Copy, Debug)]
pub struct DlrrEntries<'a>(&'a [[u8; Dlrr::LEN]]);

impl<'a> DlrrEntries<'a> {
    /// The entries in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = Dlrr> + use<'a> {
        self.0
            .iter()
            .flat_map(|entry| Dlrr::read(Reader::new(entry)))
    }
}

/// The answer to one receiver's reference time (RFC 3611 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dlrr {
    /// The receiver that is answered.
    pub ssrc: u32,
    /// Middle 32 bits of its reference time.
    pub lrr: u32,
    /// Delay since that came, in 65536ths of a second.
    pub dlrr: u32,
}

impl Dlrr {
    const LEN: usize = 12;

    fn read(mut entry: Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            ssrc: entry.u32()?,
            lrr: entry.u32()?,
            dlrr: entry.u32()?,
        })
    }
}
