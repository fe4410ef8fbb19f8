//! What a payload tells without decoding it; and how to put frames together again.

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
