//! Invariant: any file at all is read to its end; what the raw reader tells of it, records and
//! damage, does not overlap and lies within it; and both readers agree on whether it is damaged.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tongbu_media::journal::{JournalReader, RawItem, RawReader};

/// A journal of one segment, written anew for each input.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let name = format!("tongbu-fuzz-journal-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).expect("a directory for the journal");
    directory
});

fuzz_target!(|input: &[u8]| {
    fs::write(DIRECTORY.join("00000001.tbj"), input).expect("room for the journal");
    let (Ok(mut raw), Ok(mut reader)) = (
        RawReader::open(&DIRECTORY),
        JournalReader::open(&DIRECTORY),
    ) else {
        return; // it says that it is of another version
    };
    let mut end = 0;
    for item in raw.flush(usize::MAX) {
        let (offset, bytes) = match item {
            RawItem::Record(record) => (record.offset, 20 + record.body.len() as u64),
            RawItem::Damage(damage) => (damage.offset, damage.bytes),
        };
        assert!(offset >= end, "at {offset} inside of what ends at {end}");
        end = offset + bytes;
    }
    assert!(end <= input.len() as u64);
    reader.read(usize::MAX);
    reader.flush();
    assert!(reader.errors() >= raw.errors());
});
