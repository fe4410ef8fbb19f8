//! Redundant audio (RFC 2198): a packet carries earlier ones too, so that a lost one is there again
//! without being asked for.
//!
//! The node builds it per viewer from the payloads that the publisher sent once, as far apart as that
//! viewer's loss asks for ([`RedPlan`]); and it takes the primary out of what a publisher sends so.

mod plan;

pub use plan::{AudioLink, MAX_COPIES, RedPlan};

/// Limits of a redundant block's header (RFC 2198, 3): 14 bits of timestamp offset, 10 of length.
const MAX_OFFSET: u32 = (1 << 14) - 1;
const MAX_BLOCK: usize = (1 << 10) - 1;
const HEADER_LEN: usize = 4;
/// F bit: another header follows.
const FOLLOWS: u8 = 0x80;

/// One payload in a packet of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// How the block is coded.
    pub payload_type: u8,
    /// How long before the packet's own timestamp it was, in ticks; 0 for the primary.
    pub offset: u32,
    /// Its payload, never more than 1,023 bytes unless it is the primary.
    pub data: &'a [u8],
}

/// Writes a payload of `earlier` blocks, oldest first, and the primary, and tells its length.
///
/// Left out are blocks that the format cannot tell of, empty ones (a primary that was not there), and
/// those that `room` bytes do not hold beside the primary, which is always written.
pub fn write<'a>(
    out: &mut Vec<u8>,
    earlier: impl Iterator<Item = Block<'a>> + Clone,
    primary: Block<'_>,
    room: usize,
) -> usize {
    let start = out.len();
    let mut left = room.saturating_sub(1 + primary.data.len());
    let mut fits = move |block: &Block<'_>| {
        let size = HEADER_LEN + block.data.len();
        let fits = (1..=MAX_OFFSET).contains(&block.offset)
            && (1..=MAX_BLOCK).contains(&block.data.len())
            && size <= left;
        left -= if fits { size } else { 0 };
        fits
    };
    let mut again = fits;
    for block in earlier.clone().filter(|block| fits(block)) {
        let word = u32::from(FOLLOWS | block.payload_type & 0x7f) << 24
            | block.offset << 10
            | block.data.len() as u32;
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.push(primary.payload_type & 0x7f);
    for block in earlier.filter(|block| again(block)) {
        out.extend_from_slice(block.data);
    }
    out.extend_from_slice(primary.data);
    out.len() - start
}

/// The blocks of a payload, oldest first, the primary last. One that announces more than it has yields
/// no primary: what comes before it stands.
pub fn blocks(payload: &[u8]) -> Blocks<'_> {
    let mut data = payload;
    while let [first, _, _, _, rest @ ..] = data
        && first & FOLLOWS != 0
    {
        data = rest;
    }
    Blocks {
        headers: payload,
        data: data.get(1..).unwrap_or_default(),
        whole: false,
    }
}

/// The payload that the packet was sent for; `None` when the packet breaks the format.
pub fn primary(payload: &[u8]) -> Option<Block<'_>> {
    let mut blocks = blocks(payload);
    let last = blocks.by_ref().last()?;
    blocks.whole.then_some(last)
}

/// See [`blocks`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    headers: &'a [u8],
    data: &'a [u8],
    /// The primary has been reached.
    whole: bool,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let headers = std::mem::take(&mut self.headers);
        match *headers {
            [first, a, b, c, ref rest @ ..] if first & FOLLOWS != 0 => {
                let word = u32::from_be_bytes([0, a, b, c]);
                let (data, behind) = self.data.split_at_checked(word as usize & MAX_BLOCK)?;
                (self.headers, self.data) = (rest, behind);
                Some(Block {
                    payload_type: first & !FOLLOWS,
                    offset: word >> 10,
                    data,
                })
            }
            [first, ..] if first & FOLLOWS == 0 => {
                self.whole = true;
                Some(Block {
                    payload_type: first,
                    offset: 0,
                    data: self.data,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const OPUS: u8 = 111;

    fn block(offset: u32, data: &[u8]) -> Block<'_> {
        Block {
            payload_type: OPUS,
            offset,
            data,
        }
    }

    fn written(earlier: &[Block<'_>], primary: &[u8], room: usize) -> Vec<u8> {
        let mut out = vec![0xaa];
        let len = write(&mut out, earlier.iter().copied(), block(0, primary), room);
        assert_eq!(out.len(), 1 + len);
        out.split_off(1)
    }

    #[test]
    fn the_layout_is_that_of_section_3() {
        let earlier = [block(1_920, b"ab"), block(960, b"c")];
        let payload = written(&earlier, b"de", 100);
        // the offsets lie 10 bits high: 1,920 and 960 ticks, 64 to the unit of this octet
        assert_eq!(payload[..4], [0x80 | OPUS, 30, 0, 2]);
        assert_eq!(payload[4..8], [0x80 | OPUS, 15, 0, 1]);
        assert_eq!(payload[8..], [OPUS, b'a', b'b', b'c', b'd', b'e']);
    }

    #[test]
    fn what_the_format_cannot_tell_is_left_out() {
        let long = [7; 1_024];
        let all = [
            block(16_384, b"too old"),
            block(0, b"no earlier"),
            block(960, &long),
            block(960, b""),
            block(16_383, &long[..1_023]),
        ];
        let payload = written(&all, b"now", 4_000);
        let read: Vec<_> = blocks(&payload).collect();
        assert_eq!(read, [all[4], block(0, b"now")]);
    }

    #[test]
    fn copies_give_way_where_there_is_no_room() {
        let earlier = [block(1_920, &[1; 60]), block(960, &[2; 20])];
        for (room, kept) in [(200, 2), (60, 1), (10, 0), (0, 0)] {
            let payload = written(&earlier, &[3; 30], room);
            assert_eq!(blocks(&payload).count(), kept + 1, "{room}");
            assert!(payload.len() <= room.max(31));
            assert_eq!(primary(&payload).unwrap().data, [3; 30]);
        }
    }

    #[test]
    fn a_payload_that_announces_too_much_has_no_primary() {
        let payload = written(&[block(960, b"abc")], b"de", 100);
        for len in 0..payload.len() {
            let cut = primary(&payload[..len]);
            assert!(
                cut.is_none_or(|block| len >= 8 && block.data.len() < 2),
                "{len}"
            );
        }
        assert_eq!(primary(&[]), None);
        assert_eq!(primary(&[0x80 | OPUS, 0, 0, 0]), None);
        assert_eq!(primary(&[OPUS]).unwrap().data, b"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            earlier in vec((1u32..16_384, vec(any::<u8>(), 1..200)), 0..4), now: Vec<u8>,
        ) {
            let earlier: Vec<_> = earlier.iter().map(|(o, d)| block(*o, d)).collect();
            let payload = written(&earlier, &now, usize::MAX);
            let read: Vec<_> = blocks(&payload).collect();
            prop_assert_eq!(&read[..earlier.len()], earlier);
            prop_assert_eq!(primary(&payload), Some(block(0, &now)));
        }

        #[test]
        fn never_panics_and_reads_nothing_twice(payload: Vec<u8>) {
            let read: usize = blocks(&payload).map(|block| 1 + block.data.len()).sum();
            prop_assert!(read <= payload.len());
        }
    }
}
