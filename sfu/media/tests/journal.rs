//! What a journal gives back: everything, in order, whatever happened to its files.

use std::fs;
use std::io::ErrorKind;

use tongbu_media::codec::Codec;
use tongbu_media::journal::{JournalEntry, JournalReader, Record};

mod lesson;
mod packetise;
use lesson::{
    START, Scratch, append, event, frames, packets, published, read_all, rtp, stream, write,
};
use lesson::{sent_frames, stream as entries_of};
use packetise::{CODECS, Stream};

const RECORD_HEADER: usize = 20;
const SEGMENT_HEADER: usize = 32;

/// Where each record of a segment begins, and where the last one ends.
fn record_starts(segment: &[u8]) -> Vec<usize> {
    let mut starts = vec![SEGMENT_HEADER];
    while let Some(length) = segment
        .get(starts[starts.len() - 1]..)
        .and_then(|r| r.first_chunk())
    {
        let next = starts[starts.len() - 1] + RECORD_HEADER + u32::from_le_bytes(*length) as usize;
        starts.push(next);
    }
    starts
}

#[test]
fn everything_comes_back() {
    for codec in CODECS {
        let scratch = Scratch::new();
        let sent = Stream::new(codec, 40, 200);
        let mut entries = stream(7, codec, &sent);
        let report = JournalEntry::SenderReport {
            track: 7,
            arrival: START + 5,
            ntp: u64::MAX - 1,
            rtp: 77,
        };
        entries.insert(3, report);
        entries.push(event(START + 9, r#"{"type":"lesson_ended"}"#.into()));
        write(scratch.path(), 64 << 20, entries);
        let (records, errors) = read_all(scratch.path());
        assert_eq!(frames(&records, 7), sent_frames(&sent), "{codec:?}");
        assert_eq!(errors, 0);
        let report = Record::SenderReport {
            track: 7,
            arrival: START + 5,
            ntp: u64::MAX - 1,
            rtp: 77,
        };
        assert!(records.contains(&report));
        let last = sent.packets.last().unwrap().arrival;
        let json = r#"{"type":"lesson_ended"}"#.into();
        let end = [
            Record::Event {
                arrival: START + 9,
                json,
            },
            Record::End { arrival: last },
        ];
        assert_eq!(records[records.len() - 2..], end);
        assert_eq!(packets(scratch.path()), sent.packets.len());
    }
}

#[test]
fn a_journal_of_many_segments_is_one_journal() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::H264, 100, 200);
    write(scratch.path(), 2000, entries_of(1, Codec::H264, &sent));
    assert!(scratch.segment(9).exists());
    let (records, errors) = read_all(scratch.path());
    assert_eq!((frames(&records, 1), errors), (sent_frames(&sent), 0));

    fs::remove_file(scratch.segment(5)).unwrap();
    let (records, errors) = read_all(scratch.path());
    assert_eq!(errors, 1);
    assert!(
        frames(&records, 1)
            .iter()
            .any(|&(_, _, after_loss)| after_loss)
    );
}

#[test]
fn a_torn_tail_waits_for_its_rest() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 5, 200);
    write(scratch.path(), 64 << 20, entries_of(1, Codec::Opus, &sent));
    let path = scratch.segment(1);
    let whole = fs::read(&path).unwrap();
    let starts = record_starts(&whole);
    let (last, end) = (starts[starts.len() - 3], starts[starts.len() - 2]);
    for cut in last..end {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut reader = JournalReader::open(scratch.path()).unwrap();
        assert_eq!(frames(&reader.read(100), 1), sent_frames(&sent)[..4]);
        assert!(reader.read(100).is_empty());
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map(drop)
            .unwrap();
        append(&path, &whole[cut..end]);
        assert_eq!(frames(&reader.read(100), 1), sent_frames(&sent)[4..]);
        assert_eq!(reader.errors(), 0);
    }
}

#[test]
fn a_torn_tail_is_given_up_with_its_writer() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 5, 200);
    write(scratch.path(), 64 << 20, entries_of(1, Codec::Opus, &sent));
    let path = scratch.segment(1);
    let whole = fs::read(&path).unwrap();
    let starts = record_starts(&whole);
    let (last, end) = (starts[starts.len() - 3], starts[starts.len() - 2]);
    for cut in last..end {
        fs::write(&path, &whole[..cut]).unwrap();
        let (records, errors) = read_all(scratch.path());
        assert_eq!(frames(&records, 1), sent_frames(&sent)[..4]);
        assert_eq!(errors, u64::from(cut > last), "{cut}");
    }
}

#[test]
fn any_flipped_byte_costs_one_record() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 30, 200);
    write(scratch.path(), 64 << 20, entries_of(1, Codec::Opus, &sent));
    let path = scratch.segment(1);
    let whole = fs::read(&path).unwrap();
    let starts = record_starts(&whole);
    for at in starts[10]..starts[11] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, damaged).unwrap();
        let (records, errors) = read_all(scratch.path());
        assert_eq!((frames(&records, 1).len(), errors), (29, 1), "{at}");
        assert!(matches!(records.last(), Some(Record::End { .. })));
    }
}

#[test]
fn a_damaged_segment_header_costs_nothing_else() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 30, 200);
    write(scratch.path(), 64 << 20, entries_of(1, Codec::Opus, &sent));
    let whole = fs::read(scratch.segment(1)).unwrap();
    fs::write(
        scratch.segment(1),
        [&[0; SEGMENT_HEADER], &whole[SEGMENT_HEADER..]].concat(),
    )
    .unwrap();
    let (records, errors) = read_all(scratch.path());
    assert_eq!((frames(&records, 1).len(), errors), (30, 1));
}

#[test]
fn late_and_doubled_packets_find_their_place() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Vp8, 60, 100);
    let mut packets = sent.packets.clone();
    for at in (5..packets.len() - 12).step_by(17) {
        let late = packets.remove(at);
        packets.insert(at + 11, late);
        packets.insert(at + 3, packets[at + 1].clone());
    }
    let entries = packets.iter().map(|packet| rtp(1, true, packet));
    write(
        scratch.path(),
        64 << 20,
        [published(1, Codec::Vp8)].into_iter().chain(entries),
    );
    let (records, errors) = read_all(scratch.path());
    assert_eq!((frames(&records, 1), errors), (sent_frames(&sent), 0));
}

#[test]
fn the_start_of_a_stream_may_be_overtaken() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::H264, 10, 60);
    let mut packets = sent.packets.clone();
    packets.swap(0, 2);
    let entries = packets.iter().map(|packet| rtp(1, true, packet));
    write(
        scratch.path(),
        64 << 20,
        [published(1, Codec::H264)].into_iter().chain(entries),
    );
    assert_eq!(frames(&read_all(scratch.path()).0, 1), sent_frames(&sent));
}

#[test]
fn a_gap_is_waited_for_one_second_of_the_journals_time() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 10, 60);
    let mut entries = entries_of(1, Codec::Opus, &sent);
    entries.remove(5);
    let revealed = sent.packets[5].arrival;
    entries.push(event(revealed + 999_999, "{}".into()));
    write(scratch.path(), 64 << 20, entries.clone());
    let mut reader = JournalReader::open(scratch.path()).unwrap();
    let records = reader.read(6);
    assert_eq!(frames(&records, 1).len(), 4);
    assert!(matches!(&records[5], Record::Event { json, .. } if json == "{}"));

    let scratch = Scratch::new();
    entries.push(event(revealed + 1_000_000, r#"{"second":1}"#.into()));
    write(scratch.path(), 64 << 20, entries);
    let records = JournalReader::open(scratch.path()).unwrap().read(100);
    let after: Vec<_> = frames(&records[6..], 1)
        .iter()
        .map(|frame| frame.2)
        .collect();
    assert_eq!(after, [true, false, false, false, false]);
    assert!(matches!(&records[11], Record::Event { json, .. } if json.contains("second")));
}

#[test]
fn no_more_than_1024_packets_are_held() {
    let scratch = Scratch::new();
    let mut sent = Stream::new(Codec::Opus, 1100, 60);
    sent.packets
        .iter_mut()
        .for_each(|packet| packet.arrival = START);
    let mut entries = entries_of(1, Codec::Opus, &sent);
    entries.remove(10);
    write(scratch.path(), 64 << 20, entries);
    let path = scratch.segment(1);
    let whole = fs::read(&path).unwrap();
    let starts = record_starts(&whole);
    let visible = |records: usize| {
        fs::write(&path, &whole[..starts[records]]).unwrap();
        frames(&JournalReader::open(scratch.path()).unwrap().read(5000), 1).len()
    };
    assert_eq!(visible(10 + 1023), 9);
    assert_eq!(visible(10 + 1024), 9 + 1024);
}

#[test]
fn a_stream_goes_on_after_a_gap_of_any_length() {
    for skipped in [100u64, 32_767, 32_769, 40_000, 64_000, 70_000] {
        let scratch = Scratch::new();
        let mut sent = Stream::new(Codec::Opus, 2200, 60);
        for (at, packet) in sent.packets.iter_mut().enumerate().skip(1100) {
            packet.sequence += skipped;
            packet.arrival = START + 700_000_000 + at as u64 * 20_000;
        }
        write(scratch.path(), 64 << 20, entries_of(1, Codec::Opus, &sent));
        let (records, _) = read_all(scratch.path());
        let frames = frames(&records, 1);
        assert_eq!(frames.len(), 2200, "{skipped}");
        assert!(frames[1100].2);
    }
}

#[test]
fn packets_may_stand_before_the_event_that_tells_their_codec() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Av1, 10, 200);
    let mut entries = entries_of(1, Codec::Av1, &sent);
    entries.swap(0, 4);
    let first = entries.remove(0);
    entries.insert(1, first);
    write(scratch.path(), 64 << 20, entries);
    assert_eq!(frames(&read_all(scratch.path()).0, 1), sent_frames(&sent));
}

#[test]
fn packets_of_an_unknown_track_are_counted() {
    let scratch = Scratch::new();
    let sent = Stream::new(Codec::Opus, 10, 200);
    write(
        scratch.path(),
        64 << 20,
        entries_of(1, Codec::Opus, &sent).into_iter().skip(1),
    );
    let (records, errors) = read_all(scratch.path());
    assert_eq!((records.len(), errors), (1, 10));
}

#[test]
fn what_is_no_journal_is_refused() {
    let scratch = Scratch::new();
    let missing = JournalReader::open(&scratch.path().join("none"))
        .err()
        .unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(
        JournalReader::open(scratch.path()).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    fs::write(scratch.segment(1), b"TONGBUJ1").unwrap();
    assert!(
        JournalReader::open(scratch.path())
            .unwrap()
            .read(9)
            .is_empty()
    );
    let mut newer = [0; SEGMENT_HEADER];
    newer[..10].copy_from_slice(b"TONGBUJ1\x02\0");
    let crc = crc32fast::hash(&newer[..28]);
    newer[28..].copy_from_slice(&crc.to_le_bytes());
    fs::write(scratch.segment(1), newer).unwrap();
    assert_eq!(
        JournalReader::open(scratch.path()).err().unwrap().kind(),
        ErrorKind::InvalidData
    );
}
