//! What the journal costs: `cargo bench --bench journal` prints one JSON line.
//!
//! A video track of H264 frames in FU-A packets of 1,200 bytes. Writing counts the CPU time of the
//! writer's thread, system calls included; pushing that of the thread that calls it; reading is
//! wall time from the page cache to whole frames.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tongbu_media::journal::{Journal, JournalConfig, JournalEntry, JournalReader, JournalSink};
use tongbu_media::track::Packet;

const PACKETS: u32 = 400_000;
const PACKETS_A_FRAME: u32 = 10;
/// Pushed at once, then a pause: as shards do.
const BURST: u32 = 1000;

fn main() {
    let directory = std::env::temp_dir().join(format!("tongbu-bench-{}", std::process::id()));
    let journal = Journal::open(&directory, JournalConfig::default()).expect("a writable place");
    let (push_ns, write_ns) = write(&journal.sink());
    journal.close().expect("the disk has room");
    let (bytes, frames, read) = read(&directory);
    let megabytes = bytes as f64 / 1e6;
    println!(
        r#"{{"bench":"journal","packets":{PACKETS},"frames":{frames},"megabytes":{megabytes:.0},"push_ns":{push_ns},"write_ns":{write_ns},"read_mb_s":{:.0}}}"#,
        megabytes / read.as_secs_f64()
    );
    let _ = fs::remove_dir_all(directory);
}

/// Nanoseconds a packet: pushing it, and writing it.
fn write(sink: &JournalSink) -> (u64, u64) {
    let json = r#"{"type":"track_published","track":1,"codec":"H264"}"#.to_owned();
    sink.push(JournalEntry::Event { arrival: 0, json });
    let mut pushing = Duration::ZERO;
    for burst in 0..PACKETS / BURST {
        let entries: Vec<_> = (burst * BURST..(burst + 1) * BURST).map(packet).collect();
        let start = Instant::now();
        for entry in entries {
            assert!(sink.push(entry));
        }
        pushing += start.elapsed();
        while sink.queued() > 4000 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    while sink.stats().records <= u64::from(PACKETS) {
        std::thread::sleep(Duration::from_millis(1));
    }
    (
        pushing.as_nanos() as u64 / u64::from(PACKETS),
        writer_cpu_ns() / u64::from(PACKETS),
    )
}

fn packet(index: u32) -> JournalEntry {
    let (frame, part) = (index / PACKETS_A_FRAME, index % PACKETS_A_FRAME);
    let mut header = [0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    header[1] |= u8::from(part == PACKETS_A_FRAME - 1) << 7;
    header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    header[4..8].copy_from_slice(&(frame * 3000).to_be_bytes());
    let mut payload = vec![index as u8; 1200];
    let edge = match part {
        0 => 0x80,
        part if part == PACKETS_A_FRAME - 1 => 0x40,
        _ => 0,
    };
    payload[..3].copy_from_slice(&[0x5c, edge | 1, 0x88]);
    let packet = Arc::new(Packet {
        payload,
        ..Packet::default()
    });
    let arrival = u64::from(index) * 1000;
    JournalEntry::Rtp {
        track: 1,
        arrival,
        header,
        packet,
        video: true,
    }
}

/// CPU time of the thread named "journal", from /proc.
fn writer_cpu_ns() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let writer = tasks.flatten().map(|task| task.path()).find(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "journal")
    });
    let statistics = writer.and_then(|task| fs::read_to_string(task.join("schedstat")).ok());
    let first = statistics
        .as_deref()
        .and_then(|line| line.split(' ').next());
    first
        .and_then(|field| field.parse().ok())
        .expect("a kernel with schedstat")
}

fn read(directory: &Path) -> (u64, usize, Duration) {
    let mut reader = JournalReader::open(directory).expect("just written");
    let (start, mut frames) = (Instant::now(), 0);
    loop {
        match reader.read(256).len() {
            0 => break,
            records => frames += records,
        }
    }
    (reader.bytes_read(), frames - 2, start.elapsed())
}
