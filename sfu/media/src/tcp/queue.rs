//! What waits to be written to one TCP connection, sans-IO: the place where a way that cannot
//! carry all chooses.
//!
//! Control goes first, then sound, then pictures, and what is sent again of them last: a viewer asks
//! for what was dropped, and were he given it before what is new he would fall behind for good. Each
//! has a bound in bytes and in age, and what is
//! beyond it is dropped and counted: a viewer who is behind shall hear what is said now, not what
//! was said ten seconds ago. A dropped packet is a lost packet like any other: its number is
//! missing at the viewer, who asks for it again or for a keyframe, and it is missing in his
//! feedback, by which senders slow down. So TCP needs no rules of its own anywhere else.
//!
//! Pictures are dropped all at once, the queue of them is emptied: one long hole in the row of
//! packets spoils fewer pictures than as many packets lost here and there, and what comes next is
//! new.

use std::collections::VecDeque;

use super::framing::PREFIX;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::outbox::Content;

/// What one kind of packets may take.
#[derive(Clone, Copy, Debug)]
struct Bound {
    bytes: usize,
    age: Micros,
    /// Beyond the bound everything goes, not only the oldest.
    whole: bool,
}

/// Checks, handshakes, reports: small, and repeated by those who sent them.
const CONTROL: Bound = Bound {
    bytes: 32 << 10,
    age: 5 * SECOND,
    whole: false,
};
/// A second of 256 kbit/s. Older sound is of no use to a lesson (goal of the media's age: 1.5 s).
const SOUND: Bound = Bound {
    bytes: 32 << 10,
    age: SECOND,
    whole: false,
};
/// 300 ms of 3.4 Mbit/s.
const PICTURE: Bound = Bound {
    bytes: 128 << 10,
    age: 300 * MILLISECOND,
    whole: true,
};
/// What pictures leave room for; it is asked for again.
const REPAIR: Bound = Bound {
    bytes: 32 << 10,
    age: 300 * MILLISECOND,
    whole: false,
};
/// TCP repeats a lost segment after a round trip at the earliest, and begins with ten segments a
/// round trip: on a satellite 300 ms would drop what is merely on its turn. Pictures wait a round
/// trip where that is longer, but no longer than this.
const MAX_PICTURE_AGE: Micros = SECOND;

/// What waits for one connection.
#[derive(Debug)]
pub struct WriteQueue {
    /// Frames that are on their way to the kernel and must follow each other, from `written` on.
    committed: Vec<u8>,
    written: usize,
    control: Lane,
    sound: Lane,
    picture: Lane,
    repair: Lane,
    /// Datagrams dropped so far.
    pub dropped: u64,
}

impl Default for WriteQueue {
    fn default() -> Self {
        Self {
            committed: Vec::new(),
            written: 0,
            control: Lane::new(CONTROL),
            sound: Lane::new(SOUND),
            picture: Lane::new(PICTURE),
            repair: Lane::new(REPAIR),
            dropped: 0,
        }
    }
}

impl WriteQueue {
    /// One more datagram.
    pub fn push(&mut self, content: Content, datagram: &[u8], now: Micros) {
        let lane = match content {
            Content::Control => &mut self.control,
            Content::Sound => &mut self.sound,
            Content::Picture => &mut self.picture,
            Content::Repair => &mut self.repair,
        };
        self.dropped += lane.expire(now);
        self.dropped += lane.push(datagram, now);
    }

    /// The round trip of the connection is this.
    pub fn set_round_trip(&mut self, rtt: Micros) {
        self.picture.bound.age = rtt.clamp(PICTURE.age, MAX_PICTURE_AGE);
    }

    /// Choose what is written next, about `room` bytes of it and never half a frame, unless
    /// something chosen is left.
    pub fn commit(&mut self, room: usize, now: Micros) {
        if !self.chosen().is_empty() {
            return;
        }
        self.committed.clear();
        self.written = 0;
        for lane in [
            &mut self.control,
            &mut self.sound,
            &mut self.picture,
            &mut self.repair,
        ] {
            self.dropped += lane.expire(now);
            while self.committed.len() < room && lane.pop(&mut self.committed) {}
        }
    }

    /// What is to be written, in this order.
    pub fn chosen(&self) -> &[u8] {
        &self.committed[self.written..]
    }

    /// So much of it was taken.
    pub fn handle_written(&mut self, bytes: usize) {
        self.written = (self.written + bytes).min(self.committed.len());
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        let lanes = [&self.control, &self.sound, &self.picture, &self.repair];
        self.chosen().len() + lanes.iter().map(|lane| lane.bytes.len()).sum::<usize>()
    }
}

/// Frames of one kind, oldest first.
#[derive(Debug)]
struct Lane {
    bytes: VecDeque<u8>,
    /// Of each frame when it came, and its length with that of the prefix.
    frames: VecDeque<(Micros, usize)>,
    bound: Bound,
}

impl Lane {
    fn new(bound: Bound) -> Self {
        Self {
            bytes: VecDeque::new(),
            frames: VecDeque::new(),
            bound,
        }
    }

    /// Returns how many were dropped for it, itself perhaps.
    fn push(&mut self, datagram: &[u8], now: Micros) -> u64 {
        let Ok(announced) = u16::try_from(datagram.len()) else {
            return 1;
        };
        let len = PREFIX + datagram.len();
        let mut dropped = 0;
        while self.bytes.len() + len > self.bound.bytes {
            match self.drop_oldest() {
                0 => return dropped + 1,
                more => dropped += more,
            }
        }
        self.bytes.extend(announced.to_be_bytes());
        self.bytes.extend(datagram);
        self.frames.push_back((now, len));
        dropped
    }

    /// Drop what is too old; returns how many that were.
    fn expire(&mut self, now: Micros) -> u64 {
        let mut dropped = 0;
        while let Some((since, _)) = self.frames.front()
            && now.saturating_sub(*since) > self.bound.age
        {
            dropped += self.drop_oldest();
        }
        dropped
    }

    /// Drop the oldest frame, or all where the bound says so; returns how many that were.
    fn drop_oldest(&mut self) -> u64 {
        if self.bound.whole {
            let all = self.frames.len() as u64;
            self.frames.clear();
            self.bytes.clear();
            return all;
        }
        match self.frames.pop_front() {
            Some((_, len)) => {
                self.bytes.drain(..len);
                1
            }
            None => 0,
        }
    }

    /// Move the oldest frame to `out`; false when there is none.
    fn pop(&mut self, out: &mut Vec<u8>) -> bool {
        let Some((_, len)) = self.frames.pop_front() else {
            return false;
        };
        out.extend(self.bytes.drain(..len));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::framing::Frames;
    use super::*;

    const ROOM: usize = 8_192;

    /// All that can be written now, as datagrams.
    fn written(queue: &mut WriteQueue, now: Micros) -> Vec<Vec<u8>> {
        let mut stream = Vec::new();
        loop {
            queue.commit(ROOM, now);
            if queue.chosen().is_empty() {
                break;
            }
            stream.extend_from_slice(queue.chosen());
            queue.handle_written(queue.chosen().len());
        }
        let frames = Frames::new(&mut stream);
        frames
            .map(|f| f.expect("ours are short").to_vec())
            .collect()
    }

    #[test]
    fn control_and_sound_pass_by_pictures_and_pictures_by_their_repair() {
        let mut queue = WriteQueue::default();
        queue.push(Content::Repair, b"repair", 0);
        queue.push(Content::Picture, b"picture", 0);
        queue.push(Content::Sound, b"sound", 0);
        queue.push(Content::Control, b"control", 0);
        assert_eq!(queue.len(), 25 + 4 * PREFIX);
        let order: [&[u8]; 4] = [b"control", b"sound", b"picture", b"repair"];
        assert_eq!(written(&mut queue, 0), order);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_frame_that_was_begun_is_finished_before_anything_else() {
        let mut queue = WriteQueue::default();
        queue.push(Content::Picture, b"picture", 0);
        queue.commit(ROOM, 0);
        queue.handle_written(4);
        queue.push(Content::Control, b"control", 0);
        queue.commit(ROOM, 10 * SECOND);
        assert_eq!(queue.chosen(), b"cture");
        queue.handle_written(5);
        queue.commit(ROOM, 0);
        assert_eq!(queue.chosen(), b"\0\x07control");
        assert_eq!(queue.dropped, 0);
    }

    #[test]
    fn stale_pictures_are_dropped_and_sound_of_the_same_age_is_not() {
        let mut queue = WriteQueue::default();
        for _ in 0..5 {
            queue.push(Content::Picture, &[0; 1_200], 0);
        }
        queue.push(Content::Sound, b"sound", 0);
        let late = PICTURE.age + 1;
        assert_eq!(written(&mut queue, late), [b"sound"]);
        assert_eq!(queue.dropped, 5);
        queue.push(Content::Picture, b"new", late);
        assert_eq!(written(&mut queue, late), [b"new"]);
    }

    #[test]
    fn sound_of_an_outage_is_not_played_after_it() {
        let mut queue = WriteQueue::default();
        for packet in 0..500u64 {
            queue.push(
                Content::Sound,
                &packet.to_be_bytes(),
                packet * 20 * MILLISECOND,
            );
        }
        let heard = written(&mut queue, 10 * SECOND);
        assert!(heard.len() <= 51, "{} packets of stale sound", heard.len());
        assert_eq!(heard.last().expect("some"), &499u64.to_be_bytes());
    }

    #[test]
    fn on_a_long_way_pictures_may_wait_a_round_trip() {
        let mut queue = WriteQueue::default();
        queue.set_round_trip(600 * MILLISECOND);
        queue.push(Content::Picture, b"picture", 0);
        assert_eq!(written(&mut queue, 600 * MILLISECOND), [b"picture"]);
        queue.set_round_trip(60 * SECOND);
        queue.push(Content::Picture, b"picture", 0);
        assert_eq!(written(&mut queue, 2 * SECOND).len(), 0);
    }

    #[test]
    fn too_many_pictures_at_once_make_one_hole() {
        let mut queue = WriteQueue::default();
        let fit = PICTURE.bytes / (PREFIX + 1_200);
        for number in 0..=fit as u64 {
            queue.push(Content::Picture, &[number as u8; 1_200], 0);
        }
        assert_eq!(queue.dropped, fit as u64);
        assert_eq!(written(&mut queue, 0), [[fit as u8; 1_200]]);
    }

    proptest! {
        /// Whatever is pushed and however it is taken, the stream can be read and is bounded.
        #[test]
        fn the_stream_stays_whole(
            steps in prop::collection::vec((0usize..4, 0usize..2_049, 0usize..4_000, 0u64..400), 1..200),
        ) {
            let mut queue = WriteQueue::default();
            let (mut stream, mut now, mut pushed) = (Vec::new(), 0, 0);
            for (content, len, taken, pause) in steps {
                now += pause * MILLISECOND;
                let contents = [Content::Control, Content::Sound, Content::Picture, Content::Repair];
                let content = contents[content];
                queue.push(content, &vec![0; len], now);
                pushed += 1;
                queue.commit(ROOM, now);
                let taken = taken.min(queue.chosen().len());
                stream.extend_from_slice(&queue.chosen()[..taken]);
                queue.handle_written(taken);
                let bounds = [CONTROL, SOUND, PICTURE, REPAIR];
                let bounds: usize = bounds.iter().map(|b| b.bytes).sum();
                prop_assert!(queue.len() <= bounds + ROOM + PREFIX + 2_048);
            }
            stream.extend_from_slice(queue.chosen());
            queue.handle_written(queue.chosen().len());
            let rest = written(&mut queue, now).len();
            let mut frames = Frames::new(&mut stream);
            let mut came = 0;
            for frame in &mut frames {
                prop_assert!(frame.is_ok_and(|f| f.iter().all(|b| *b == 0)));
                came += 1;
            }
            prop_assert!(frames.rest().is_empty());
            prop_assert_eq!(came + rest + queue.dropped as usize, pushed);
        }
    }
}
