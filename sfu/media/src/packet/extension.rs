//! RTP header extensions (RFC 8285): their elements, what they mean, and which ids a connection
//! gave them.
//!
//! Both forms arrive within one stream, so the form is read from each packet, never remembered.

/// "Defined by profile" of the one-byte form (RFC 8285 section 4.2).
const ONE_BYTE: u16 = 0xbede;
/// "Defined by profile" of the two-byte form, whose low four bits are free (section 4.3).
const TWO_BYTE: u16 = 0x1000;
const TWO_BYTE_MASK: u16 = 0xfff0;
/// In the one-byte form: stop here (section 4.2).
const ONE_BYTE_STOP: u8 = 15;

/// What an extension element tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The media section a stream belongs to (RFC 9143 section 15).
    Mid,
    /// The simulcast encoding of a stream (RFC 8852 section 3.1).
    Rid,
    /// The encoding that a retransmission stream repairs (RFC 8852 section 3.2).
    RepairedRid,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
    /// When the packet left its sender, 6.18 fixed point seconds (WebRTC's abs-send-time).
    AbsSendTime,
    /// Loudness and voice activity of one client (RFC 6464).
    AudioLevel,
    /// Transmission time against the timestamp (RFC 5450).
    TransmissionOffset,
    /// Camera and rotation (3GPP TS 26.114 section 7.4.5).
    VideoOrientation,
    /// Bounds of the receiver's playout delay (WebRTC's playout-delay).
    PlayoutDelay,
    /// Screen or camera (WebRTC's video-content-type).
    VideoContentType,
    /// Encode and network times of a frame (WebRTC's video-timing).
    VideoTiming,
    /// Colour space and HDR metadata (WebRTC's color-space).
    ColorSpace,
    /// Frame dependencies and layers (AV1 RTP specification, appendix A).
    DependencyDescriptor,
    /// Capture time on the sender's clock (WebRTC's abs-capture-time).
    AbsCaptureTime,
}

impl Kind {
    /// Every kind, in the order of the enumeration.
    pub const ALL: [Self; 14] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::TransmissionOffset,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::VideoContentType,
        Self::VideoTiming,
        Self::ColorSpace,
        Self::DependencyDescriptor,
        Self::AbsCaptureTime,
    ];

    /// The kind that an `a=extmap` line names by this URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    /// The URI of `a=extmap` lines (RFC 8285 section 8).
    pub fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::VideoContentType => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
            }
            Self::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        }
    }

    /// Whether it speaks from sender to receiver and so passes through the node; the others
    /// concern one hop and are written anew on each.
    pub fn is_forwarded(self) -> bool {
        match self {
            Self::Mid
            | Self::Rid
            | Self::RepairedRid
            | Self::TransportCc
            | Self::AbsSendTime
            | Self::TransmissionOffset
            | Self::PlayoutDelay => false,
            Self::AudioLevel
            | Self::VideoOrientation
            | Self::VideoContentType
            | Self::VideoTiming
            | Self::ColorSpace
            | Self::DependencyDescriptor
            | Self::AbsCaptureTime => true,
        }
    }
}

/// Which id stands for which kind on one connection, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionMap {
    kinds: [Option<Kind>; 256],
    /// By `Kind as usize`; 0, the padding id, is "not negotiated".
    ids: [u8; Kind::ALL.len()],
}

impl Default for ExtensionMap {
    fn default() -> Self {
        Self {
            kinds: [None; 256],
            ids: [0; Kind::ALL.len()],
        }
    }
}

impl ExtensionMap {
    /// From `a=extmap` pairs of id and URI. Unknown URIs and id 0 are ignored; of two claims on
    /// one id, or two ids of one URI, the first is kept.
    pub fn from_pairs(pairs: &[(u8, &str)]) -> Self {
        let mut map = Self::default();
        for &(id, uri) in pairs {
            if let Some(kind) = Kind::from_uri(uri) {
                map.insert(id, kind);
            }
        }
        map
    }

    /// What an element with this id tells.
    pub fn kind(&self, id: u8) -> Option<Kind> {
        self.kinds[usize::from(id)]
    }

    /// The id negotiated for a kind.
    pub fn id(&self, kind: Kind) -> Option<u8> {
        Some(self.ids[kind as usize]).filter(|&id| id != 0)
    }

    /// The elements of a packet's extension whose kind is known.
    pub fn read<'a>(
        &self,
        extension: Option<(u16, &'a [u8])>,
    ) -> impl Iterator<Item = (Kind, &'a [u8])> {
        let all = extension
            .into_iter()
            .flat_map(|(profile, bytes)| elements(profile, bytes));
        all.filter_map(|(id, data)| Some((self.kind(id)?, data)))
    }

    fn insert(&mut self, id: u8, kind: Kind) {
        if id != 0 && self.kind(id).is_none() && self.id(kind).is_none() {
            self.kinds[usize::from(id)] = Some(kind);
            self.ids[kind as usize] = id;
        }
    }
}

/// Iterates over the elements (id, data) of a packet's extension; of another profile there are
/// none. An element that does not fit ends the iteration: what came before it stands.
pub fn elements(profile: u16, bytes: &[u8]) -> Elements<'_> {
    let two_byte = profile & TWO_BYTE_MASK == TWO_BYTE;
    let known = two_byte || profile == ONE_BYTE;
    Elements {
        two_byte,
        rest: if known { bytes } else { &[] },
    }
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    two_byte: bool,
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_padding();
        let (id, len, rest) = match (self.two_byte, self.rest) {
            (true, [id, len, rest @ ..]) => (*id, usize::from(*len), rest),
            (false, [head, rest @ ..]) => (head >> 4, usize::from(head & 0x0f) + 1, rest),
            _ => return None,
        };
        let stop = !self.two_byte && id == ONE_BYTE_STOP;
        let (data, rest) = rest.split_at_checked(len).filter(|_| !stop)?;
        self.rest = rest;
        Some((id, data))
    }
}

impl Elements<'_> {
    /// Id 0 is one octet of padding; in the one-byte form whatever its length nibble says, as
    /// every implementation reads it.
    fn skip_padding(&mut self) {
        let id_mask = if self.two_byte { 0xff } else { 0xf0 };
        while let [head, rest @ ..] = self.rest
            && head & id_mask == 0
        {
            self.rest = rest;
        }
    }
}

/// Appends a whole extension block (profile, length, elements, padding) to `out`, in the one-byte
/// form if every element fits it, and tells whether it did: without elements nothing is written.
///
/// Elements that no form can carry (id 0, more than 255 octets) are left out, as are those beyond
/// the 65,535 words that the block's length can tell.
pub fn write_elements<'a>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = (u8, &'a [u8])> + Clone,
) -> bool {
    let elements = elements.filter(|(id, data)| *id != 0 && data.len() <= 255);
    let one_byte = elements
        .clone()
        .all(|(id, data)| id <= 14 && (1..=16).contains(&data.len()));
    let start = out.len();
    let profile = if one_byte { ONE_BYTE } else { TWO_BYTE };
    out.extend_from_slice(&profile.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    let body = out.len();
    for (id, data) in elements {
        if out.len() - body + 2 + data.len() > MAX_BLOCK {
            break;
        }
        // A one-byte length is at most 15 here, a two-byte one at most 255: nothing is cut off.
        match one_byte {
            true => out.push(id << 4 | (data.len() - 1) as u8),
            false => out.extend_from_slice(&[id, data.len() as u8]),
        }
        out.extend_from_slice(data);
    }
    if out.len() == body {
        out.truncate(start);
        return false;
    }
    out.resize(body + (out.len() - body).next_multiple_of(4), 0);
    let words = ((out.len() - body) / 4) as u16;
    out[body - 2..body].copy_from_slice(&words.to_be_bytes());
    true
}

/// Octets that a block's 16-bit count of words can tell.
const MAX_BLOCK: usize = u16::MAX as usize * 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn block(elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        write_elements(&mut out, elements.iter().copied());
        out
    }

    fn read(block: &[u8]) -> Vec<(u8, &[u8])> {
        let profile = u16::from_be_bytes([block[0], block[1]]);
        let words = u16::from_be_bytes([block[2], block[3]]);
        assert_eq!(block.len(), 4 + usize::from(words) * 4);
        elements(profile, &block[4..]).collect()
    }

    #[test]
    fn writes_the_one_byte_form_when_all_fit() {
        assert_eq!(
            block(&[(1, b"a"), (14, b"bcd")]),
            [0xbe, 0xde, 0, 2, 0x10, b'a', 0xe2, b'b', b'c', b'd', 0, 0]
        );
    }

    #[test]
    fn writes_the_two_byte_form_when_one_does_not_fit() {
        let long = [7; 17];
        for odd in [(15, &b"x"[..]), (3, &b""[..]), (3, &long[..])] {
            let block = block(&[(1, b"a"), odd]);
            assert_eq!(block[..2], [0x10, 0x00]);
            assert_eq!(read(&block), [(1, &b"a"[..]), odd]);
        }
    }

    #[test]
    fn writes_nothing_for_nothing_that_can_be_carried() {
        assert!(block(&[]).is_empty());
        assert!(block(&[(0, b"a"), (1, &[0; 256])]).is_empty());
    }

    #[test]
    fn one_byte_form_skips_padding_and_stops_at_15() {
        let bytes = [0x00, 0x03, 0x10, 7, 0x00, 0x20, 8, 0xf0, 1, 0x30, 9];
        assert!(elements(ONE_BYTE, &bytes).eq([(1, &[7][..]), (2, &[8][..])]));
    }

    #[test]
    fn two_byte_form_takes_any_appbits_empty_data_and_id_15() {
        let bytes = [0x00, 0x10, 0, 0x0f, 2, 1, 2, 0x00];
        assert!(elements(0x100f, &bytes).eq([(16, &[][..]), (15, &[1, 2][..])]));
    }

    #[test]
    fn another_profile_has_no_elements() {
        assert_eq!(elements(0x2000, &[0x10, 7]).count(), 0);
    }

    #[test]
    fn an_element_cut_short_ends_the_iteration() {
        assert!(elements(ONE_BYTE, &[0x10, 7, 0x23, 1]).eq([(1, &[7][..])]));
        assert!(elements(TWO_BYTE, &[1, 1, 7, 2]).eq([(1, &[7][..])]));
    }

    #[test]
    fn kinds_and_uris_name_each_other() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(Kind::from_uri(kind.uri()), Some(kind));
        }
        assert_eq!(Kind::from_uri("urn:example"), None);
    }

    #[test]
    fn a_map_keeps_first_claims_and_ignores_the_unknown() {
        let map = ExtensionMap::from_pairs(&[
            (4, Kind::Mid.uri()),
            (4, Kind::Rid.uri()),
            (5, Kind::Mid.uri()),
            (0, Kind::ColorSpace.uri()),
            (6, "urn:example"),
            (255, Kind::AudioLevel.uri()),
        ]);
        assert_eq!(map.kind(4), Some(Kind::Mid));
        assert_eq!(map.id(Kind::Mid), Some(4));
        assert_eq!(map.kind(255), Some(Kind::AudioLevel));
        assert_eq!(map.id(Kind::AudioLevel), Some(255));
        assert_eq!([map.kind(0), map.kind(5), map.kind(6)], [None; 3]);
        assert_eq!([map.id(Kind::Rid), map.id(Kind::ColorSpace)], [None; 2]);
    }

    proptest! {
        #[test]
        fn never_panics(profile: u16, bytes: Vec<u8>) {
            for form in [profile, ONE_BYTE, TWO_BYTE | profile & 0xf] {
                let read: usize = elements(form, &bytes).map(|(_, data)| 1 + data.len()).sum();
                prop_assert!(read <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(
            elements in vec((1u8..=255, vec(any::<u8>(), 0..40)), 1..12),
        ) {
            let elements: Vec<_> = elements.iter().map(|(id, data)| (*id, &data[..])).collect();
            let block = block(&elements);
            prop_assert_eq!(read(&block), elements);
        }
    }
}
