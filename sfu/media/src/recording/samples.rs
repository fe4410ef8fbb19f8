//! Placed frames of one rendition in, its samples out to [`Parts`].
//!
//! A sample lasts until the next one starts, so the newest one waits here. [`add`](Samples::add)
//! takes whatever the recorder decides to show, fillings too. [`take_sound`](Samples::take_sound)
//! and [`take_picture`](Samples::take_picture) take a frame that simply follows the one before, as
//! nearly every frame does, and refuse all that there is something to decide about.

use super::cmaf::length_prefixed;
use super::parts::{Cut, Parts, Piece};

/// A video source silent for longer is held; also the longest held sample: 6 s, in ticks.
pub const HOLD: i64 = 540_000;
/// Samples an Opus packet may be off its neighbour's end.
pub const TOLERANCE: i64 = 480;
/// Samples per frame at 48 kHz by the TOC's config number (RFC 6716, table 2).
const OPUS_FRAME: [i64; 32] = [
    480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, // SILK
    480, 960, 480, 960, // hybrid
    120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960, // CELT
];
/// 120 ms (RFC 6716, 3.2.5).
const OPUS_LONGEST: i64 = 5_760;

/// What the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opus, in ticks of 48 kHz.
    Sound,
    /// Pictures, in ticks of 90 kHz, as they are.
    Pictures,
    /// Pictures of H264, which come in Annex B.
    Prefixed,
}

/// A placed frame.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    /// Lesson time.
    pub time_us: i64,
    /// It needs no other.
    pub keyframe: bool,
    /// Something before it was lost, or its place is a guess.
    pub after_loss: bool,
    /// The coded frame.
    pub data: &'a [u8],
}

/// A packet of sound of the segment that is not closed: data, start and duration in samples.
pub type Packet = (Vec<u8>, i64, i64);

/// One rendition's samples.
#[derive(Debug)]
pub struct Samples {
    /// Frames that simply follow are taken.
    pub steady: bool,
    /// The lesson time up to which there is media of the source.
    pub noted_us: i64,
    /// Frames that were taken.
    pub taken: u64,
    kind: Kind,
    /// A pause of so much is a gap, which somebody must note.
    notable_us: i64,
    parts: Parts,
    /// The newest sample; empty when there is none.
    waiting: Vec<u8>,
    sync: bool,
    start: i64,
    next: i64,
    unlisted: Vec<Packet>,
}

impl Samples {
    /// None so far. A pause of `notable_us` is never taken for steady.
    pub fn new(kind: Kind, notable_us: i64) -> Self {
        Self {
            steady: kind == Kind::Sound,
            noted_us: 0,
            taken: 0,
            kind,
            notable_us,
            parts: Parts::default(),
            waiting: Vec::new(),
            sync: false,
            start: 0,
            next: 0,
            unlisted: Vec::new(),
        }
    }

    /// From the next part on.
    pub fn set_cut(&mut self, cut: Cut) {
        self.parts.set_cut(cut);
    }

    /// Add a packet of sound that follows the last.
    pub fn take_sound(&mut self, media: Media<'_>) -> bool {
        let length = opus_duration(media.data);
        let start = (media.time_us * 6).div_euclid(125);
        let follows = (start - self.next).abs() <= TOLERANCE;
        if !self.steady || length == 0 || !follows || self.is_gap(media.time_us) {
            return false;
        }
        self.add(start, media.data, length, true);
        self.noted_us = media.time_us + (length * 125).div_euclid(6);
        self.taken += 1;
        true
    }

    /// Add a picture that refers to the last.
    pub fn take_picture(&mut self, media: Media<'_>) -> bool {
        let start = (media.time_us * 9).div_euclid(100);
        let follows = !self.waiting.is_empty() && start - self.start <= HOLD;
        let plain = !media.keyframe && !media.after_loss;
        if !self.steady || !plain || !follows || self.is_gap(media.time_us) {
            return false;
        }
        self.add(start.max(self.next), media.data, 1, false);
        self.noted_us = media.time_us;
        self.taken += 1;
        true
    }

    /// Add a sample. One of sound is `length` long when the next one comes in time; of pictures a
    /// sync sample may begin a segment.
    pub fn add(&mut self, start: i64, data: &[u8], length: i64, sync: bool) {
        let mut start = start;
        if self.kind == Kind::Sound && !self.waiting.is_empty() {
            start = start.max(self.start + 1);
        }
        self.flush(start, sync);
        self.waiting.clear();
        match self.kind {
            Kind::Prefixed => length_prefixed(data, &mut self.waiting),
            Kind::Sound | Kind::Pictures => self.waiting.extend_from_slice(data),
        }
        (self.start, self.sync, self.next) = (start, sync, start + length);
    }

    /// End the sample that waits; with `last`, the next one may begin a segment.
    pub fn flush(&mut self, end: i64, last: bool) {
        if self.waiting.is_empty() {
            return;
        }
        let span = (self.start, end);
        let closed = self.parts.add(&self.waiting, span, self.sync, last);
        if self.kind == Kind::Sound {
            let data = std::mem::take(&mut self.waiting);
            self.unlisted.push((data, self.start, end - self.start));
        }
        if closed {
            self.unlisted.clear();
        }
        self.waiting.clear();
    }

    /// End the segment that is open, if one is. What waits goes into the next.
    pub fn close(&mut self) {
        self.parts.close();
    }

    /// What is to be written next.
    pub fn poll(&mut self) -> Option<Piece> {
        self.parts.poll()
    }

    /// There is something to write.
    pub fn has_pieces(&self) -> bool {
        self.parts.has_pieces()
    }

    /// The newest sample; empty when there is none.
    pub fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// Where the newest sample starts, or started.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Where the next one should start: with sound where the last packet ends, with pictures a tick
    /// behind the last one's start.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The sound since the last whole segment, but for the packet that waits.
    pub fn unlisted(&self) -> &[Packet] {
        &self.unlisted
    }

    fn is_gap(&self, time_us: i64) -> bool {
        time_us - self.noted_us >= self.notable_us
    }
}

/// Samples at 48 kHz in one Opus packet (RFC 6716, 3.1); 0 when it is not one.
pub fn opus_duration(packet: &[u8]) -> i64 {
    let Some(&toc) = packet.first() else {
        return 0;
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| count & 63),
    };
    let duration = OPUS_FRAME[usize::from(toc >> 3)] * i64::from(count);
    if duration > OPUS_LONGEST { 0 } else { duration }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const PACKET: &[u8] = b"\xf8 20 ms";

    fn sound() -> Samples {
        let mut samples = Samples::new(Kind::Sound, SECOND);
        samples.set_cut(Cut {
            longest: 10_560,
            enough: 8_977,
            shortest: 96_000,
        });
        samples
    }

    fn pictures() -> Samples {
        let mut samples = Samples::new(Kind::Prefixed, SECOND);
        samples.set_cut(Cut {
            longest: 19_800,
            enough: 16_831,
            shortest: 171_000,
        });
        samples.add(0, b"\0\0\0\x01\x65key", 1, true);
        samples.steady = true;
        samples
    }

    fn at(time_us: i64, data: &[u8]) -> Media<'_> {
        Media {
            time_us,
            keyframe: false,
            after_loss: false,
            data,
        }
    }

    #[test]
    fn packets_in_a_row_are_taken_and_last_until_the_next() {
        let mut samples = sound();
        for n in 0..11 {
            assert!(samples.take_sound(at(n * 20_000 + n % 2, PACKET)));
        }
        let Some(Piece::Part { start, end, .. }) = samples.poll() else {
            panic!("no part");
        };
        assert_eq!((start, end), (0, 9_600));
        assert_eq!((samples.taken, samples.next()), (11, 10_560));
        assert_eq!(samples.unlisted().len(), 10);
        assert_eq!(samples.noted_us, 220_000);
    }

    #[test]
    fn sound_that_comes_early_or_late_is_somebody_elses() {
        let mut samples = sound();
        assert!(samples.take_sound(at(0, PACKET)));
        assert!(!samples.take_sound(at(40_000, PACKET)), "20 ms are missing");
        assert!(!samples.take_sound(at(0, PACKET)), "it came twice");
        assert!(!samples.take_sound(at(20_000, b"")), "it is no packet");
        samples.steady = false;
        assert!(!samples.take_sound(at(20_000, PACKET)));
        assert_eq!(samples.taken, 1);
    }

    #[test]
    fn pictures_are_taken_when_what_they_refer_to_is_there() {
        let slice = b"\0\0\0\x01\x41slice";
        let mut samples = pictures();
        assert!(samples.take_picture(at(33_333, slice)));
        assert_eq!(samples.waiting(), b"\0\0\0\x06\x41slice");
        let lost = Media {
            after_loss: true,
            ..at(66_667, slice)
        };
        assert!(!samples.take_picture(lost));
        let key = Media {
            keyframe: true,
            ..at(66_667, slice)
        };
        assert!(!samples.take_picture(key));
        assert!(!samples.take_picture(at(33_333 + SECOND, slice)), "a gap");
        assert!(samples.take_picture(at(33_333, slice)), "at once: a tick");
        assert_eq!(samples.start(), 3_000);
    }

    #[test]
    fn a_keyframe_ends_a_segment_that_is_long_enough() {
        let mut samples = pictures();
        samples.add(90_000, b"\0\0\0\x01\x65key", 1, true);
        assert!(!samples.has_closed());
        samples.add(180_000, b"\0\0\0\x01\x65key", 1, true);
        assert!(samples.has_closed());
    }

    #[test]
    fn opus_packets_say_how_long_they_are() {
        assert_eq!(opus_duration(b"\xf8"), 960);
        assert_eq!(opus_duration(b"\xf9"), 1_920);
        assert_eq!(opus_duration(b"\xfb\x03"), 2_880);
        assert_eq!(opus_duration(b"\x1b\x3f"), 0, "longer than 120 ms");
        assert_eq!(opus_duration(b""), 0);
    }

    impl Samples {
        fn has_closed(&mut self) -> bool {
            std::iter::from_fn(|| self.poll()).any(|piece| matches!(piece, Piece::Close { .. }))
        }
    }
}
