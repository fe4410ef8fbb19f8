//! What a payload tells without decoding it; and how to put frames together again.
//!
//! What may live here: functions over one RTP payload, and the [`Depacketiser`]. No time, no
//! headers of RTP itself, no state of a stream beyond the frame under construction.

mod av1;
mod bits;
mod depacketiser;
pub mod dependency;
mod h264;
mod layers;
mod opus;
mod pictures;
mod selection;
mod vp8;
mod vp9;

pub use depacketiser::{CodedFrame, Depacketiser, DepacketiserStats, MAX_FRAME_BYTES, RtpPayload};
pub use layers::{Layer, LayerReader, Layering, Seen};
pub use pictures::{
    PictureIds, PictureNumbering, PictureShift, frame_number, picture_ids, renumber,
};
pub use selection::{Kept, Selection};

/// The codecs the plane knows. Anything else is forwarded by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6184
    H264,
    /// RFC 7741
    Vp8,
    /// RFC 9628
    Vp9,
    /// AV1 RTP specification 1.0
    Av1,
    /// RFC 7587
    Opus,
}

impl Codec {
    /// Whether it needs keyframes to begin at.
    pub fn is_video(self) -> bool {
        self != Self::Opus
    }

    /// The codec of an SDP encoding name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "h264" => Some(Self::H264),
            "vp8" => Some(Self::Vp8),
            "vp9" => Some(Self::Vp9),
            "av1" => Some(Self::Av1),
            "opus" => Some(Self::Opus),
            _ => None,
        }
    }
}

/// Whether a keyframe begins in this RTP payload. Always true for audio.
///
/// H264 says yes to a sequence parameter set as well as to an IDR slice, whichever the
/// payload begins: a viewer switched to this packet can decode from here.
pub fn is_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264::is_keyframe(payload),
        Codec::Vp8 => vp8::is_keyframe(payload),
        Codec::Vp9 => vp9::is_keyframe(payload),
        Codec::Av1 => av1::is_keyframe(payload),
        Codec::Opus => true,
    }
}

/// Width and height in pixels, if this RTP payload begins a keyframe that tells them.
///
/// H264: cropped size of the first sequence parameter set. VP9 with spatial layers: the
/// largest layer, when the payload descriptor lists them. AV1: the sequence's maximum.
pub fn dimensions(codec: Codec, payload: &[u8]) -> Option<(u16, u16)> {
    match codec {
        Codec::H264 => h264::dimensions(payload),
        Codec::Vp8 => vp8::dimensions(payload),
        Codec::Vp9 => vp9::dimensions(payload),
        Codec::Av1 => av1::dimensions(payload),
        Codec::Opus => None,
    }
}
