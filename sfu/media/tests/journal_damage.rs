//! A spoilt journal costs what is spoilt: no more, and never a panic or an endless search.

use std::fs;

use proptest::prelude::*;
use tongbu_media::codec::Codec;
use tongbu_media::journal::{Damage, JournalReader, RawItem, RawReader, RawRecord};

mod lesson;
mod packetise;
use lesson::{START, Scratch, event, read_all, stream as entries_of, write};
use packetise::Stream;

const SEGMENT_HEADER: usize = 32;

fn journal(scratch: &Scratch, segment_bytes: u64) {
    let mut entries = entries_of(1, Codec::H264, &Stream::new(Codec::H264, 40, 300));
    entries.extend(entries_of(
        2,
        Codec::Opus,
        &Stream::new(Codec::Opus, 40, 80),
    ));
    entries.push(event(START + 9, r#"{"type":"lesson_ended"}"#.into()));
    write(scratch.path(), segment_bytes, entries);
}

fn read_raw(scratch: &Scratch) -> (Vec<RawRecord>, Vec<Damage>) {
    let mut reader = RawReader::open(scratch.path()).unwrap();
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    loop {
        let mut items = reader.read(7);
        if items.is_empty() {
            items = reader.flush(7);
        }
        if items.is_empty() {
            return (records, damage);
        }
        for item in items {
            match item {
                RawItem::Record(record) => records.push(record),
                RawItem::Damage(one) => damage.push(one),
            }
        }
    }
}

fn end_of(record: &RawRecord) -> u64 {
    record.offset + 20 + record.body.len() as u64
}

#[test]
fn the_raw_reader_tells_every_record_and_where_it_stands() {
    let scratch = Scratch::new();
    journal(&scratch, 4_000);
    let (records, damage) = read_raw(&scratch);
    assert!(damage.is_empty());
    assert_eq!(
        records.iter().filter(|r| r.kind == 2).count(),
        lesson::packets(scratch.path())
    );
    assert_eq!(records.last().map(|r| r.kind), Some(4));
    for record in &records {
        let segment = fs::read(scratch.segment(record.segment)).unwrap();
        let body = &segment[record.offset as usize + 20..end_of(record) as usize];
        assert_eq!(body, record.body);
    }
    let segments = records.last().map_or(0, |r| r.segment);
    assert!(segments > 3 && !scratch.segment(segments + 1).exists());
}

#[test]
fn a_live_journal_is_not_damaged_by_its_torn_end() {
    let scratch = Scratch::new();
    journal(&scratch, 1 << 20);
    let whole = fs::read(scratch.segment(1)).unwrap();
    fs::write(scratch.segment(1), &whole[..whole.len() - 25]).unwrap();
    let mut reader = RawReader::open(scratch.path()).unwrap();
    let before = reader.read(usize::MAX);
    assert!(before.iter().all(|item| matches!(item, RawItem::Record(_))));
    fs::write(scratch.segment(1), &whole).unwrap();
    assert_eq!(
        reader.read(9).len(),
        2,
        "the event that was torn, and the end"
    );
    assert_eq!(reader.errors(), 0);
}

#[test]
fn a_missing_segment_is_told() {
    let scratch = Scratch::new();
    journal(&scratch, 4_000);
    fs::remove_file(scratch.segment(2)).unwrap();
    let missing = Damage {
        segment: 2,
        offset: 0,
        bytes: 0,
    };
    assert_eq!(read_raw(&scratch).1, [missing]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    /// One flipped bit anywhere costs the record it is in, and no other.
    #[test]
    fn any_single_flip_costs_the_record_it_touches(
        segment_bytes in prop::sample::select(vec![1_500u64, 6_000, 1 << 20]),
        segment in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let scratch = Scratch::new();
        journal(&scratch, segment_bytes);
        let (whole, _) = read_raw(&scratch);
        let number = 1 + segment.index(whole.last().unwrap().segment as usize) as u32;
        let mut bytes = fs::read(scratch.segment(number)).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(scratch.segment(number), bytes).unwrap();

        let touched = |r: &RawRecord| {
            r.segment == number && (r.offset..end_of(r)).contains(&(at as u64))
        };
        let expected: Vec<_> = whole.iter().filter(|r| !touched(r)).cloned().collect();
        if let Ok(mut reader) = JournalReader::open(scratch.path()) {
            reader.read(usize::MAX);
            reader.flush();
            prop_assert!(reader.errors() >= 1);
        }
        let (records, damage) = read_raw(&scratch);
        prop_assert_eq!(&records, &expected);
        prop_assert_eq!(damage.len(), 1);
        let lost = whole.iter().find(|r| touched(r)).map(|r| (r.offset, end_of(r) - r.offset));
        let header = (0, SEGMENT_HEADER as u64);
        prop_assert_eq!((damage[0].offset, damage[0].bytes), lost.unwrap_or(header));
    }
}

/// A pattern in which every twelfth byte looks like the head of an event of a mebibyte.
fn tarpit(bytes: usize) -> Vec<u8> {
    let head = [0xff, 0xff, 0x0f, 0, 7, 7, 7, 7, 1, 0, 0, 0];
    head.iter().copied().cycle().take(bytes).collect()
}

#[test]
fn a_file_made_to_keep_a_reader_busy_is_left_behind() {
    let scratch = Scratch::new();
    journal(&scratch, 1 << 20);
    let good = fs::read(scratch.segment(1)).unwrap();
    let (header, records) = good.split_at(SEGMENT_HEADER);
    // Checked in full this would be half a terabyte.
    let segment = [header, &tarpit(6 << 20), records, records].concat();
    fs::write(scratch.segment(1), segment).unwrap();
    let (records, damage) = read_raw(&scratch);
    assert_eq!(records.last().map(|r| r.kind), Some(4), "the end is found");
    assert_eq!(damage.len(), 1);
}

#[test]
fn records_of_impossible_lengths_cost_themselves() {
    let scratch = Scratch::new();
    journal(&scratch, 1 << 20);
    let good = fs::read(scratch.segment(1)).unwrap();
    let (whole, _) = read_raw(&scratch);
    let at = whole[5].offset as usize;
    for length in [0, 1, 11, 65_536, 1 << 20, (1 << 20) + 1, u32::MAX] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        fs::write(scratch.segment(1), bytes).unwrap();
        let (records, damage) = read_raw(&scratch);
        assert_eq!(
            (records.len(), damage.len()),
            (whole.len() - 1, 1),
            "{length}"
        );
    }
}

#[test]
fn a_later_segment_of_another_version_costs_its_header() {
    let scratch = Scratch::new();
    journal(&scratch, 4_000);
    let (whole, _) = read_raw(&scratch);
    let mut bytes = fs::read(scratch.segment(2)).unwrap();
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    fs::write(scratch.segment(2), bytes).unwrap();
    let (records, damage) = read_raw(&scratch);
    assert_eq!((records.len(), damage.len()), (whole.len(), 1));
}

#[test]
fn a_longer_segment_header_of_a_later_release_is_passed_over() {
    let scratch = Scratch::new();
    journal(&scratch, 1 << 20);
    let (whole, _) = read_raw(&scratch);
    let mut bytes = fs::read(scratch.segment(1)).unwrap();
    bytes[10] = 48;
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    bytes.splice(32..32, [7; 16]);
    fs::write(scratch.segment(1), bytes).unwrap();
    let (records, damage) = read_raw(&scratch);
    assert_eq!((records.len(), damage.len()), (whole.len(), 0));
}

#[test]
fn a_folder_that_vanishes_ends_the_journal() {
    let scratch = Scratch::new();
    journal(&scratch, 4_000);
    let mut reader = JournalReader::open(scratch.path()).unwrap();
    assert!(!reader.read(3).is_empty());
    fs::remove_dir_all(scratch.path()).unwrap();
    let rest = reader.read(usize::MAX);
    assert!(
        reader.read(1).is_empty(),
        "{} came from what was open",
        rest.len()
    );
    reader.flush();
    assert!(reader.errors() >= 1);
    assert!(RawReader::open(scratch.path()).is_err());
    read_all_of_nothing(scratch);
}

/// An empty folder with a lock is a journal of which nothing is written yet.
fn read_all_of_nothing(scratch: Scratch) {
    fs::create_dir_all(scratch.path()).unwrap();
    fs::write(scratch.path().join("lock"), b"").unwrap();
    assert_eq!(read_all(scratch.path()), (Vec::new(), 0));
}
