//! Picture numbers inside the payload: gapless for a viewer who does not take every picture.
//!
//! A VP8 decoder's receiver waits for every PictureID up to the one it needs (RFC 7741, 5: a gap is a
//! loss), so pictures left out must not leave one. VP9 refers to pictures by differences of their ids
//! (RFC 9628, 4.2, P_DIFF), and the dependency descriptor to frames likewise: there numbers move only
//! where the viewer changes to another stream, all by the same amount. A browser that sends the
//! dependency descriptor leaves PictureID out of VP8; then there is nothing to write.

use super::{Codec, dependency, vp8, vp9};

/// The numbers of one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureIds {
    /// VP8, VP9: PictureID. Dependency descriptor: frame number.
    pub picture_id: u16,
    /// Bits of `picture_id`: 7, 15 or 16.
    pub width: u8,
    /// Counts the pictures of the base layer, where the format has it.
    pub tl0_pic_idx: Option<u8>,
}

/// The numbers in a payload; `None` where there are none.
pub fn picture_ids(codec: Codec, payload: &[u8]) -> Option<PictureIds> {
    match codec {
        Codec::Vp8 => vp8::picture_ids(payload),
        Codec::Vp9 => vp9::picture_ids(payload),
        Codec::H264 | Codec::Av1 | Codec::Opus => None,
    }
}

/// Writes other numbers in their place, in the width that is there.
pub fn renumber(codec: Codec, payload: &mut [u8], ids: PictureIds) {
    match codec {
        Codec::Vp8 => vp8::renumber(payload, ids),
        Codec::Vp9 => vp9::renumber(payload, ids),
        Codec::H264 | Codec::Av1 | Codec::Opus => {}
    }
}

/// The frame number of a dependency descriptor, as the id of a picture.
pub fn frame_number(descriptor: &[u8]) -> Option<PictureIds> {
    Some(PictureIds {
        picture_id: dependency::frame_number(descriptor)?,
        width: 16,
        tl0_pic_idx: None,
    })
}

/// A PictureID of one or two octets, the top bit of the first telling which.
pub(super) fn read_id(octets: &[u8]) -> u16 {
    match *octets {
        [high, low] => u16::from_be_bytes([high & 0x7f, low]),
        [id] => u16::from(id & 0x7f),
        _ => 0,
    }
}

pub(super) fn write_id(octets: Option<&mut [u8]>, id: u16) {
    match octets {
        Some([high, low]) => {
            let [h, l] = id.to_be_bytes();
            (*high, *low) = (h | 0x80, l);
        }
        Some([octet]) => *octet = id as u8 & 0x7f,
        _ => {}
    }
}

/// How far outgoing numbers are from incoming ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureShift {
    picture_id: u16,
    tl0_pic_idx: u8,
}

impl PictureShift {
    /// The numbers under which a picture goes out.
    pub fn apply(self, ids: PictureIds) -> PictureIds {
        let tl0 = ids.tl0_pic_idx;
        PictureIds {
            picture_id: ids.picture_id.wrapping_add(self.picture_id) & mask(ids.width),
            tl0_pic_idx: tl0.map(|index| index.wrapping_add(self.tl0_pic_idx)),
            ..ids
        }
    }
}

/// The numbering of one stretch of a viewer's stream: from where it begins with one incoming stream
/// until it changes to another.
#[derive(Clone, Copy, Debug)]
pub struct PictureNumbering {
    /// Newest incoming picture, unwrapped; its place beside `width` bits never matters.
    newest: PictureIds,
    /// Outgoing minus incoming, for a picture just newer than all.
    offset: u16,
    tl0_offset: u8,
    /// TL0PICIDX of the newest picture that had one, outgoing.
    last_tl0: Option<u8>,
}

impl PictureNumbering {
    /// Begins with this picture, which goes on where the stretch before ended.
    pub fn begin(first: PictureIds, before: Option<&Self>) -> Self {
        let mut numbering = Self {
            newest: first,
            offset: 0,
            tl0_offset: 0,
            last_tl0: first.tl0_pic_idx,
        };
        if let Some(before) = before {
            numbering.offset = before.next_id().wrapping_sub(first.picture_id);
            if let (Some(last), Some(index)) = (before.last_tl0, first.tl0_pic_idx) {
                numbering.tl0_offset = last.wrapping_add(1).wrapping_sub(index);
            }
            numbering.last_tl0 = numbering.tl0(first.tl0_pic_idx).or(before.last_tl0);
        }
        numbering
    }

    /// Notes a packet of this stretch, in any order. Packets of VP9, and of frames that carry a
    /// dependency descriptor, are always `kept` here: their gaps are meant to be seen.
    pub fn handle_packet(&mut self, ids: PictureIds, kept: bool) {
        if distance(self.newest, ids) <= 0 {
            return; // the first packet of a picture decided
        }
        self.newest = ids;
        if kept {
            self.last_tl0 = self.tl0(ids.tl0_pic_idx).or(self.last_tl0);
        } else {
            self.offset = self.offset.wrapping_sub(1);
        }
    }

    /// The shift of what follows, until another picture is left out.
    pub fn shift(&self) -> PictureShift {
        PictureShift {
            picture_id: self.offset,
            tl0_pic_idx: self.tl0_offset,
        }
    }

    fn tl0(&self, incoming: Option<u8>) -> Option<u8> {
        incoming.map(|index| index.wrapping_add(self.tl0_offset))
    }

    fn next_id(&self) -> u16 {
        // `offset` is of pictures newer than the newest: one that was left out is not counted.
        self.newest
            .picture_id
            .wrapping_add(1)
            .wrapping_add(self.offset)
    }
}

fn mask(width: u8) -> u16 {
    u16::MAX >> (16 - width.clamp(1, 16))
}

/// How far `to` is ahead of `from`, the shorter way around.
fn distance(from: PictureIds, to: PictureIds) -> i32 {
    let unused = 16 - u32::from(to.width.clamp(1, 16));
    let ahead = to.picture_id.wrapping_sub(from.picture_id) << unused;
    i32::from(ahead as i16) >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn ids(picture_id: u16, width: u8, tl0: u8) -> PictureIds {
        PictureIds {
            picture_id,
            width,
            tl0_pic_idx: Some(tl0),
        }
    }

    #[test]
    fn pictures_left_out_leave_no_gap_over_the_wrap() {
        let mut numbering = PictureNumbering::begin(ids(0x7ffe, 15, 0), None);
        let mut sent = vec![numbering.shift().apply(ids(0x7ffe, 15, 0)).picture_id];
        for (id, kept) in [
            (0x7fff, false),
            (0, true),
            (1, false),
            (2, false),
            (3, true),
        ] {
            let ids = ids(id, 15, 0);
            numbering.handle_packet(ids, kept);
            numbering.handle_packet(ids, kept); // its second packet
            if kept {
                sent.push(numbering.shift().apply(ids).picture_id);
            }
        }
        assert_eq!(sent, [0x7ffe, 0x7fff, 0]);
    }

    #[test]
    fn another_stream_goes_on_where_the_last_ended() {
        let mut first = PictureNumbering::begin(ids(10, 15, 200), None);
        first.handle_packet(ids(11, 15, 200), false);
        first.handle_packet(ids(12, 15, 201), true);
        assert_eq!(first.shift().apply(ids(12, 15, 201)), ids(11, 15, 201));
        first.handle_packet(ids(13, 15, 201), false);

        let key = ids(0x7fff, 15, 9);
        let mut second = PictureNumbering::begin(key, Some(&first));
        assert_eq!(second.shift().apply(key), ids(12, 15, 202));
        let next = ids(0, 15, 10);
        second.handle_packet(next, true);
        assert_eq!(second.shift().apply(next), ids(13, 15, 203));
    }

    #[test]
    fn narrow_ids_stay_within_seven_bits() {
        let mut numbering = PictureNumbering::begin(ids(126, 7, 0), None);
        numbering.handle_packet(ids(127, 7, 0), false);
        numbering.handle_packet(ids(0, 7, 1), true);
        numbering.handle_packet(ids(1, 7, 2), true);
        assert_eq!(numbering.shift().apply(ids(0, 7, 1)).picture_id, 127);
        assert_eq!(numbering.shift().apply(ids(1, 7, 2)).picture_id, 0);
    }

    #[test]
    fn a_frame_number_has_all_its_bits() {
        let mut descriptor = [0x80, 0xff, 0xff];
        let frame = frame_number(&descriptor).unwrap();
        let next = PictureIds {
            picture_id: 0,
            ..frame
        };
        let before = PictureNumbering::begin(ids(7, 16, 0), None);
        let mut numbering = PictureNumbering::begin(frame, Some(&before));
        numbering.handle_packet(next, true);
        assert_eq!(numbering.shift().apply(frame).picture_id, 8);
        dependency::renumber(&mut descriptor, numbering.shift().apply(next).picture_id);
        assert_eq!(descriptor, [0x80, 0x00, 0x09]);
        dependency::renumber(&mut descriptor[..2], 1);
        assert_eq!(descriptor[..2], [0x80, 0x00]);
    }

    proptest! {
        /// Whatever is left out, what is kept is numbered without gap, in order.
        #[test]
        fn what_is_kept_is_gapless(kept in vec(any::<bool>(), 1..400), first: u16) {
            let of = |index: usize| ids(first.wrapping_add(index as u16) & 0x7fff, 15, 0);
            let mut numbering = PictureNumbering::begin(of(0), None);
            let mut last = numbering.shift().apply(of(0)).picture_id;
            for (index, kept) in kept.into_iter().enumerate() {
                let ids = of(index + 1);
                numbering.handle_packet(ids, kept);
                if kept {
                    let number = numbering.shift().apply(ids).picture_id;
                    prop_assert_eq!(number, (last + 1) & 0x7fff);
                    last = number;
                }
            }
        }

        #[test]
        fn hostile_ids_never_panic(all in vec((any::<u16>(), 0u8..20, any::<bool>()), 1..60)) {
            let mut numbering = PictureNumbering::begin(ids(all[0].0, all[0].1, 0), None);
            for (id, width, kept) in all {
                numbering.handle_packet(ids(id, width, 0), kept);
                numbering.shift().apply(ids(id, width, 0));
                numbering = PictureNumbering::begin(ids(id, width, 1), Some(&numbering));
            }
        }
    }
}
