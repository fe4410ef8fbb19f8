//! What a journal tells depends on its bytes alone: not on when they are read, nor on their sense.

use std::fs;

use proptest::prelude::*;
use tongbu_media::codec::Codec;
use tongbu_media::journal::JournalReader;

mod lesson;
mod packetise;
use lesson::{Scratch, append, published, read_all, stream as entries_of, write};
use packetise::Stream;

/// Two tracks with loss and disorder, in segments of about this size.
fn lively_journal(directory: &std::path::Path, segment_bytes: u64, lost: &[usize]) {
    let video = entries_of(1, Codec::H264, &Stream::new(Codec::H264, 60, 120));
    let audio = entries_of(2, Codec::Opus, &Stream::new(Codec::Opus, 60, 120));
    let mut entries: Vec<_> = video
        .chunks(3)
        .zip(audio.chunks(1))
        .flat_map(|(v, a)| [v, a].concat())
        .collect();
    for &at in lost {
        let at = 4 + at % (entries.len() - 20);
        let packet = entries.remove(at);
        if at % 3 == 0 {
            entries.insert(at + 9, packet);
        }
    }
    write(directory, segment_bytes, entries);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// The reader of a growing journal tells what the reader of the whole one tells.
    #[test]
    fn slicing_changes_nothing(
        segment_bytes in prop::sample::select(vec![1000u64, 4000, 1 << 20]),
        lost in prop::collection::vec(any::<usize>(), 0..8),
        damage in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 0..6),
        slices in prop::collection::vec((1usize..3000, 1usize..12), 1..30),
    ) {
        let whole = Scratch::new();
        lively_journal(whole.path(), segment_bytes, &lost);
        let mut segments: Vec<_> =
            (1..).map_while(|number| fs::read(whole.segment(number)).ok()).collect();
        for (segment, byte, value) in damage {
            let index = segment.index(segments.len());
            let at = byte.index(segments[index].len());
            segments[index][at] = value;
            if value < 32 {
                segments[index].truncate(at.max(1));
            }
        }
        for (index, segment) in segments.iter().enumerate() {
            fs::write(whole.segment(index as u32 + 1), segment).unwrap();
        }
        let expected = read_all(whole.path());

        let growing = Scratch::new();
        fs::write(growing.path().join("lock"), b"").unwrap();
        let mut reader = JournalReader::open(growing.path()).unwrap();
        let (mut records, mut slices) = (Vec::new(), slices.iter().cycle());
        for (index, segment) in segments.iter().enumerate() {
            let path = growing.segment(index as u32 + 1);
            let mut written = 0;
            while written < segment.len() {
                let &(bytes, limit) = slices.next().unwrap();
                let end = segment.len().min(written + bytes);
                append(&path, &segment[written..end]);
                written = end;
                let some = reader.read(limit);
                prop_assert!(some.len() <= limit);
                records.extend(some);
            }
        }
        while records.len() < expected.0.len() {
            match reader.read(7) {
                some if some.is_empty() => break,
                some => records.extend(some),
            }
        }
        records.extend(reader.flush());
        prop_assert_eq!((records, reader.errors()), expected);
    }

    /// Any file at all is read to its end.
    #[test]
    fn arbitrary_segments_do_not_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..5], 0..400),
        headed in any::<bool>(),
    ) {
        let scratch = Scratch::new();
        write(scratch.path(), 64 << 20, [published(1, Codec::Vp9)]);
        let mut content = if headed { fs::read(scratch.segment(1)).unwrap() } else { Vec::new() };
        content.extend(bytes);
        fs::write(scratch.segment(1), content).unwrap();
        read_all(scratch.path());
    }
}
