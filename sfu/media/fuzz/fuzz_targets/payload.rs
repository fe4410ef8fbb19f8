//! Invariant: reading a payload's layer and numbers never fails on any payload, of any codec, and
//! numbers that are written over those of a payload are read from it again, the rest unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::codec::layers::{LayerReader, Seen};
use tongbu_media::codec::pictures::{PictureIds, picture_ids, renumber};
use tongbu_media::codec::{Codec, dimensions, is_keyframe};

fuzz_target!(|input: (u16, u8, bool, &[u8])| {
    let (picture_id, tl0, marker, payload) = input;
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus] {
        is_keyframe(codec, payload);
        dimensions(codec, payload);
        let mut reader = LayerReader::new(codec);
        let seen = Seen {
            payload,
            marker,
            dependency: None,
        };
        reader.handle_packet(seen);

        let Some(ids) = picture_ids(codec, payload) else {
            continue;
        };
        let new = PictureIds {
            picture_id: picture_id & (u16::MAX >> (16 - ids.width)),
            width: ids.width,
            tl0_pic_idx: ids.tl0_pic_idx.map(|_| tl0),
        };
        let mut written = payload.to_vec();
        renumber(codec, &mut written, new);
        assert_eq!(picture_ids(codec, &written), Some(new));
        renumber(codec, &mut written, ids);
        assert_eq!(written, payload);
    }
});
