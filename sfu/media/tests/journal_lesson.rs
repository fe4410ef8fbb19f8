//! What a journal has of a lesson: everybody's tracks from the first packet on, keyframes often
//! enough to cut at, and one continuous stream of a track, whatever its layers do.

mod lesson;
mod network;
mod packetise;

use lesson::{Scratch, event, packets, read_all};
use network::{Link, Network, Publisher, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::codec::CodedFrame;
use tongbu_media::ids::JournalId;
use tongbu_media::journal::{Journal, JournalConfig, JournalSink, Keeps, Record};
use tongbu_media::shard::Command;
use tongbu_media::track::Recording;

const PICTURE: Micros = 33 * MILLISECOND;
const MAX_GOP: Micros = 4 * SECOND;
const LOCAL: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};
const FAR: Link = Link {
    delay: 80 * MILLISECOND,
    ..LOCAL
};
const LAYERS: [(&str, usize); 3] = [("q", 200), ("h", 500), ("f", 1_100)];

/// A lesson whose tracks are recorded under the numbers 1, 2, ...
struct Recorded {
    network: Network,
    publishers: Vec<Publisher>,
    scratch: Scratch,
    journal: Option<Journal>,
}

impl Recorded {
    fn new(seed: u64) -> Self {
        let scratch = Scratch::new();
        let journal = Journal::open(scratch.path(), JournalConfig::default()).expect("a journal");
        Self {
            network: Network::new(1, seed),
            publishers: Vec::new(),
            scratch,
            journal: Some(journal),
        }
    }

    fn with(seed: u64, link: Link, layers: &[(&'static str, usize)]) -> Self {
        let mut recorded = Self::new(seed);
        let publisher = Publisher::with_layers(&mut recorded.network, 0, link, layers, true);
        recorded.record(publisher, "VP8");
        recorded
    }

    fn sink(&self) -> JournalSink {
        self.journal.as_ref().expect("it is open").sink()
    }

    fn record(&mut self, publisher: Publisher, codec: &str) {
        let number = self.publishers.len() as u16 + 1;
        let sink = self.sink();
        let published =
            format!(r#"{{"type":"track_published","track":{number},"codec":"{codec}"}}"#);
        sink.push(event(self.network.now, published));
        let recording = Recording {
            journal: JournalId(1),
            number,
            sink,
        };
        self.network
            .command(0, Command::Record(publisher.track, recording));
        self.publishers.push(publisher);
    }

    fn run(&mut self, time: Micros) {
        let until = self.network.now + time;
        while self.network.now < until {
            if self.network.now % PICTURE < network::STEP {
                for publisher in &mut self.publishers {
                    publisher.send_picture(&mut self.network, 3);
                }
            }
            if self.network.now % SECOND < network::STEP {
                for publisher in &mut self.publishers {
                    publisher.send_report(&mut self.network);
                }
            }
            let mut all: Vec<_> = self.publishers.iter_mut().collect();
            settle(&mut self.network, &mut all, &mut []);
        }
    }

    /// All that was recorded, and how many packets.
    fn read(&mut self) -> (Vec<Record>, usize) {
        if let Some(journal) = self.journal.take() {
            journal.close().expect("it closes");
        }
        let (records, errors) = read_all(self.scratch.path());
        assert_eq!(errors, 0);
        (records, packets(self.scratch.path()))
    }
}

fn frames(records: &[Record], wanted: u16) -> Vec<&CodedFrame> {
    let frame = |record| match record {
        &Record::Frame { track, ref frame } if track == wanted => Some(frame),
        _ => None,
    };
    records.iter().filter_map(frame).collect()
}

/// When keyframes came.
fn keyframes(records: &[Record], track: u16) -> Vec<Micros> {
    let all = frames(records, track).into_iter();
    all.filter(|f| f.keyframe).map(|f| f.arrival).collect()
}

fn longest_gop(keyframes: &[Micros], end: Micros) -> Micros {
    let next = keyframes[1..].iter().chain([&end]);
    let gops = keyframes.iter().zip(next).map(|(one, next)| next - one);
    gops.max().expect("there is a keyframe")
}

#[test]
fn everybody_is_recorded_from_the_first_packet_with_the_clock_of_each() {
    let mut lesson = Recorded::new(1);
    let teacher = Publisher::new(&mut lesson.network, FAR);
    lesson.record(teacher, "VP8");
    let sound = Publisher::of_sound(&mut lesson.network, LOCAL);
    lesson.record(sound, "opus");
    lesson.run(5 * SECOND);
    let school = Publisher::new(&mut lesson.network, LOCAL);
    lesson.record(school, "VP8");
    lesson.run(5 * SECOND);
    lesson.publishers.clear();
    lesson.run(SECOND); // what is on its way arrives
    let (records, packets) = lesson.read();
    for (track, begins, seconds) in [(1, 0, 10), (2, 0, 10), (3, 5, 5)] {
        let frames = frames(&records, track);
        let first = frames[0];
        assert!(first.arrival < network::START + begins * SECOND + 200 * MILLISECOND);
        assert!(!first.after_loss && frames[1..].iter().all(|f| !f.after_loss));
        let least = seconds * SECOND / PICTURE * if track == 2 { 3 } else { 1 };
        assert!(
            frames.len() as u64 + 3 >= least,
            "{} of {least}",
            frames.len()
        );
        let reports = records.iter().filter(
            |record| matches!(record, Record::SenderReport { track: t, .. } if *t == track),
        );
        assert!(reports.count() as u64 >= seconds - 1);
    }
    assert!(packets >= 3 * 3 * 5 * 30, "{packets}");
}

#[test]
fn a_gop_is_never_longer_than_four_seconds() {
    // This publisher sends a keyframe when it is asked, and never else.
    let lossy = Link {
        loss: 0.03,
        ..LOCAL
    };
    for (seed, link) in [(1, LOCAL), (2, FAR), (3, lossy)] {
        let mut lesson = Recorded::with(seed, link, &[]);
        lesson.run(60 * SECOND);
        let end = lesson.network.now;
        let keyframes = keyframes(&lesson.read().0, 1);
        let longest = longest_gop(&keyframes, end);
        assert!(longest <= MAX_GOP, "{longest} us");
        let asked = lesson.publishers[0].keyframes_asked;
        assert!(asked <= 60, "{asked}: viewers pay for each");
    }
}

#[test]
fn a_publisher_that_sends_keyframes_itself_is_not_asked() {
    let mut lesson = Recorded::with(1, LOCAL, &[]);
    lesson.run(SECOND);
    let before = lesson.publishers[0].keyframes_asked;
    for _ in 0..30 {
        lesson.publishers[0].want_keyframe();
        lesson.run(2 * SECOND);
    }
    assert_eq!(lesson.publishers[0].keyframes_asked, before);
}

#[test]
fn loss_that_cannot_be_repaired_asks_for_a_keyframe() {
    let mut lesson = Recorded::with(5, LOCAL, &[]);
    lesson.run(2 * SECOND);
    let address = lesson.publishers[0].address();
    lesson
        .network
        .set_link(address, Link { loss: 1.0, ..LOCAL });
    lesson.run(SECOND);
    lesson.publishers[0].forget_sent();
    lesson.network.set_link(address, LOCAL);
    let back = lesson.network.now;
    lesson.run(3 * SECOND);
    let (records, _) = lesson.read();
    let keyframes = keyframes(&records, 1);
    let healed = keyframes.iter().find(|at| **at >= back);
    let waited = healed.expect("a keyframe") - back;
    assert!(waited <= 700 * MILLISECOND, "{waited} us");
}

#[test]
fn video_that_is_kept_again_begins_with_a_keyframe() {
    let mut lesson = Recorded::with(6, LOCAL, &[]);
    lesson.run(2 * SECOND);
    lesson.sink().keep(Keeps::Sound);
    lesson.run(SECOND);
    lesson.sink().keep(Keeps::Everything);
    let back = lesson.network.now;
    lesson.run(SECOND);
    assert!(lesson.sink().stats().dropped_video > 80);
    let (records, _) = lesson.read();
    let frames = frames(&records, 1);
    assert!(frames.iter().any(|f| f.after_loss), "the gap is told");
    let healed = frames.iter().find(|f| f.keyframe && f.arrival >= back);
    let waited = healed.expect("a keyframe").arrival - back;
    assert!(waited <= 200 * MILLISECOND, "{waited} us");
}

/// The publisher's clock as the journal tells it is the network's, whatever the layer.
fn assert_one_clock(records: &[Record], delay: Micros) {
    let mut clock = None;
    for record in records {
        match record {
            Record::SenderReport { ntp, rtp, .. } => clock = Some((*ntp, *rtp)),
            Record::Frame { frame, .. } => {
                let Some((ntp, rtp)) = clock else { continue };
                let ticks = frame.timestamp.wrapping_sub(rtp).cast_signed();
                let ntp_us = ((ntp & 0xffff_ffff) as i64 * 1_000_000) >> 32;
                let at = (ntp >> 32) as i64 * 1_000_000 + ntp_us + i64::from(ticks) * 100 / 9;
                let arrived = (frame.arrival - delay) as i64 + 2_208_988_800 * 1_000_000;
                let skew = (at - arrived).abs();
                assert!(skew < 40_000, "{skew} us at {}", frame.arrival);
            }
            _ => {}
        }
    }
}

#[test]
fn a_simulcast_track_is_one_continuous_stream_of_its_best_layer() {
    let mut lesson = Recorded::with(7, LOCAL, &LAYERS);
    lesson.run(4 * SECOND);
    let mut changes = vec![lesson.network.now];
    for wanted in [&[0, 1][..], &[0], &[0, 1, 2], &[0, 2]] {
        lesson.publishers[0].send_only(wanted);
        lesson.run(4 * SECOND);
        changes.push(lesson.network.now);
    }
    lesson.publishers[0].change_ssrcs(); // the encoder begins anew
    lesson.run(4 * SECOND);
    changes.push(lesson.network.now);

    let (records, _) = lesson.read();
    let frames = frames(&records, 1);
    let size = |frame: &CodedFrame| frame.data.len() / 3 / 100 * 100;
    for (change, expected) in changes.iter().zip([1_000, 400, 100, 1_000, 1_000, 1_000]) {
        let last = frames.iter().rev().find(|f| f.arrival < *change);
        assert_eq!(size(last.expect("a frame")), expected, "before {change}");
    }
    for (one, next) in frames.iter().zip(&frames[1..]) {
        let other = size(one) != size(next);
        assert!(
            !other || next.keyframe,
            "another resolution begins with a keyframe"
        );
        assert!(!next.after_loss, "no number is missing at {}", next.arrival);
        let forward = next.timestamp.wrapping_sub(one.timestamp).cast_signed();
        assert!(forward > 0, "time goes on at {}", next.arrival);
        let pause = next.arrival - one.arrival;
        assert!(pause <= 1_300 * MILLISECOND, "{pause} us without a picture");
    }
    assert!(longest_gop(&keyframes(&records, 1), lesson.network.now) <= MAX_GOP);
    assert_one_clock(&records, LOCAL.delay);
}
