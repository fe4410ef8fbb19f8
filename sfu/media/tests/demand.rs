//! What is wanted of a publisher: told, obeyed, and had again.

mod network;

use network::{Link, Network, Publisher, Viewer, settle};
use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::codec::Layer;
use tongbu_media::crypto::Profile;
use tongbu_media::ids::{JournalId, UptrackId};
use tongbu_media::journal::{Journal, JournalConfig};
use tongbu_media::shard::{Command, Event};
use tongbu_media::track::{Limit, Recording};

const LOCAL: Link = Link {
    delay: 5 * MILLISECOND,
    late_by: 0,
    loss: 0.0,
    late: 0.0,
    twice: 0.0,
};
const LAYERS: [(&str, usize); 3] = [("q", 200), ("h", 500), ("f", 1_100)];
const NONE: &[u8] = &[];
const PICTURE: Micros = 33 * MILLISECOND;

/// A publisher, and what was told of its takers.
struct Lesson {
    network: Network,
    teacher: Publisher,
    /// When, and which streams.
    wanted: Vec<(Micros, Vec<u8>)>,
    /// The streams whose cost was told last.
    priced: Vec<u8>,
    obedient: bool,
}

impl Lesson {
    fn new(shards: usize, seed: u64) -> Self {
        let mut network = Network::new(shards, seed);
        let teacher = Publisher::with_layers(&mut network, 0, LOCAL, &LAYERS, true);
        Self {
            network,
            teacher,
            wanted: Vec::new(),
            priced: Vec::new(),
            obedient: true,
        }
    }

    fn run(&mut self, viewers: &mut [Viewer], time: Micros) {
        let until = self.network.now + time;
        while self.network.now < until {
            if self.network.now % PICTURE < network::STEP {
                self.teacher.send_picture(&mut self.network, 3);
            }
            settle(&mut self.network, &mut [&mut self.teacher], viewers);
            for event in std::mem::take(&mut self.network.events) {
                self.hear(event);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::LayersWanted(track, streams) => {
                assert_eq!(track, self.teacher.track);
                if self.obedient {
                    self.teacher.send_only(&streams);
                }
                self.wanted.push((self.network.now, streams));
            }
            Event::LayersChanged(_, rates) => {
                self.priced = rates.iter().map(|r| r.stream).collect();
                self.priced.dedup();
            }
            _ => {}
        }
    }

    fn limit(&mut self, viewer: &Viewer, stream: u8) {
        let limit = Limit {
            stream: Some(stream),
            layer: Layer::HIGHEST,
        };
        let command = Command::SetLimit(viewer.track, limit);
        self.network.command(viewer.shard(), command);
    }

    /// The streams told so far, each time.
    fn told(&self) -> Vec<&[u8]> {
        self.wanted
            .iter()
            .map(|(_, streams)| &streams[..])
            .collect()
    }
}

fn viewer(lesson: &mut Lesson, shard: usize) -> Viewer {
    let (track, profile) = (lesson.teacher.track, Profile::AeadAes128Gcm);
    Viewer::with(&mut lesson.network, shard, LOCAL, track, true, profile)
}

fn size(viewer: &Viewer) -> usize {
    viewer.got.values().last().expect("something came").size
}

#[test]
fn a_stream_nobody_takes_is_stopped_late_and_had_again_soon() {
    for (shard, new_ssrcs) in [(0, false), (0, true), (1, false), (1, true)] {
        let mut lesson = Lesson::new(2, 1);
        let mut viewers = [viewer(&mut lesson, shard)];
        lesson.limit(&viewers[0], 0);
        let begun = lesson.network.now;
        lesson.run(&mut viewers, 12 * SECOND);
        assert_eq!(lesson.told().last(), Some(&&[0][..]));
        let after = lesson.wanted.last().expect("told").0 - begun;
        assert!(
            (5 * SECOND..8 * SECOND).contains(&after),
            "after {after} us"
        );
        assert_eq!(lesson.priced, [0, 1, 2], "it can be had again");
        if new_ssrcs {
            lesson.teacher.change_ssrcs();
        }
        let (asked, before) = (lesson.network.now, lesson.wanted.len());
        lesson.limit(&viewers[0], 2);
        lesson.run(&mut viewers, 500 * MILLISECOND);
        let (at, streams) = &lesson.wanted[before];
        assert!(at - asked < 50 * MILLISECOND, "told {} us late", at - asked);
        assert!(streams.contains(&2) && streams.contains(&0), "{streams:?}");
        assert_eq!(size(&viewers[0]), 1_100);
        lesson.run(&mut viewers, 8 * SECOND);
        assert_eq!(lesson.told().last(), Some(&&[2][..]));
        assert_eq!(viewers[0].holes(), 0);
        assert_eq!(size(&viewers[0]), 1_100);
        assert_eq!(lesson.priced, [0, 1, 2]);
    }
}

#[test]
fn who_wants_the_best_wants_it_also_while_it_sleeps() {
    let mut lesson = Lesson::new(1, 2);
    lesson.run(&mut [], 8 * SECOND);
    assert_eq!(lesson.told(), [NONE], "nobody is there");
    let mut viewers = [viewer(&mut lesson, 0)];
    let joined = lesson.network.now;
    lesson.run(&mut viewers, 8 * SECOND);
    assert!(lesson.wanted[1].0 - joined < 50 * MILLISECOND);
    assert!(lesson.wanted[1].1.contains(&2), "{:?}", lesson.wanted[1]);
    assert_eq!(size(&viewers[0]), 1_100);
    assert_eq!(lesson.told().last(), Some(&&[2][..]));
    let pause = |paused| Command::SetPaused(viewers[0].track, paused);
    let (stop, go_on) = (pause(true), pause(false));
    lesson.network.command(0, stop);
    lesson.run(&mut viewers, 8 * SECOND);
    assert_eq!(
        lesson.told().last(),
        Some(&NONE),
        "who is paused takes none"
    );
    lesson.network.command(0, go_on);
    let seen = viewers[0].got.len();
    lesson.run(&mut viewers, SECOND);
    assert!(viewers[0].got.len() > seen + 50);
    lesson
        .network
        .command(0, Command::RemoveDowntrack(viewers[0].track));
    lesson.run(&mut viewers, 8 * SECOND);
    assert_eq!(lesson.told().last(), Some(&NONE));
}

#[test]
fn news_is_told_once_a_second_at_most() {
    let mut lesson = Lesson::new(2, 3);
    let mut viewers = [viewer(&mut lesson, 0), viewer(&mut lesson, 1)];
    for round in 0..900u32 {
        let steady = (round / 160 % 3) as u8;
        let restless = if round % 300 < 40 { round / 7 % 3 } else { 0 };
        lesson.limit(&viewers[0], steady);
        lesson.limit(&viewers[1], restless as u8);
        lesson.run(&mut viewers, 50 * MILLISECOND);
    }
    assert!(lesson.wanted.len() > 3, "{:?}", lesson.wanted);
    for news in lesson.wanted.windows(2) {
        assert!(news[1].0 - news[0].0 >= SECOND, "{news:?}");
        assert_ne!(news[0].1, news[1].1);
    }
}

#[test]
fn what_a_publisher_cannot_send_is_priced_no_more() {
    let mut lesson = Lesson::new(1, 4);
    let mut viewers = [viewer(&mut lesson, 0)];
    lesson.limit(&viewers[0], 0);
    lesson.run(&mut viewers, 10 * SECOND);
    lesson.obedient = false; // its line has become too narrow for the others meanwhile
    lesson.limit(&viewers[0], 2);
    lesson.run(&mut viewers, 4_900 * MILLISECOND);
    assert_eq!(lesson.priced, [0, 1], "asked for, and it did not come");
    assert_eq!(size(&viewers[0]), 200, "what is there stands in");
    assert_eq!(viewers[0].holes(), 0);
}

/// A directory that goes away with the test.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_recording_wants_the_best() {
    let name = format!("tongbu-demand-{}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&scratch.0).expect("a directory");
    let journal = Journal::open(&scratch.0, JournalConfig::default()).expect("a journal");
    let mut lesson = Lesson::new(1, 5);
    let record = |track: UptrackId| {
        let recording = Recording {
            journal: JournalId(1),
            number: 1,
            sink: journal.sink(),
        };
        Command::Record(track, recording)
    };
    let begin = record(lesson.teacher.track);
    lesson.network.command(0, begin);
    lesson.run(&mut [], 10 * SECOND);
    assert_eq!(lesson.told(), [&[2][..]]);
    lesson
        .network
        .command(0, Command::ForgetJournal(JournalId(1)));
    lesson.run(&mut [], 10 * SECOND);
    assert_eq!(lesson.told(), [&[2][..], NONE]);
    let again = record(lesson.teacher.track);
    lesson.network.command(0, again);
    lesson.run(&mut [], SECOND);
    assert_eq!(lesson.told().last(), Some(&&[2][..]));
    lesson.teacher.replace_track(&mut lesson.network, "0");
    lesson.run(&mut [], SECOND);
    journal.close().expect("it closes");
}
