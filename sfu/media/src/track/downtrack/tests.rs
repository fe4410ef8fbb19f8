//! What a downtrack lets through, and under what numbers.

use super::*;

const CLOCK: u32 = 90_000;

fn packet(layer: u8, sequence: u64, timestamp: u32, keyframe: bool) -> Packet {
    let origin = Origin {
        layer,
        generation: 0,
    };
    let arrival = u64::from(timestamp) * 1_000_000 / u64::from(CLOCK);
    Packet {
        origin,
        sequence,
        timestamp,
        keyframe,
        arrival,
        ..Packet::default()
    }
}

#[test]
fn begins_at_a_keyframe() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 100, 0);
    assert_eq!(track.handle_packet(&packet(0, 7, 0, false), 0), None);
    assert!(track.waits_for_keyframe(0));
    let first = track.handle_packet(&packet(0, 8, 3_000, true), 0);
    assert_eq!(first.map(|r| r.sequence), Some(100));
    let second = track.handle_packet(&packet(0, 9, 6_000, false), 0);
    assert_eq!(second.map(|r| r.sequence), Some(101));
    assert!(!track.waits_for_keyframe(0));
}

#[test]
fn a_layer_change_leaves_no_gap() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0, 0);
    track.handle_packet(&packet(0, 500, 0, true), 0);
    let before = track.handle_packet(&packet(0, 501, 3_000, false), 1);
    assert_eq!(track.handle_packet(&packet(1, 90, 3_000, false), 1), None);
    let after = track.handle_packet(&packet(1, 91, 6_000, true), 1);
    let (before, after) = (before.unwrap(), after.unwrap());
    assert_eq!(after.sequence, before.sequence + 1);
    let sent = |stamp: Stamp, timestamp: u32| timestamp.wrapping_add(stamp.timestamp_offset);
    let step = sent(after, 6_000).wrapping_sub(sent(before, 3_000));
    assert!((2_999..=3_000).contains(&step), "{step} ticks");
    assert_eq!(track.handle_packet(&packet(0, 502, 6_000, false), 1), None);
}

#[test]
fn late_packets_keep_their_place_and_never_precede_a_change_over() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0, 0);
    track.handle_packet(&packet(0, 10, 0, true), 0);
    track.handle_packet(&packet(0, 12, 0, false), 0);
    let late = track.handle_packet(&packet(0, 11, 0, false), 0);
    assert_eq!(late.map(|r| r.sequence), Some(1));
    assert_eq!(track.handle_packet(&packet(0, 9, 0, false), 0), None);
}

#[test]
fn retransmissions_are_traced_over_change_overs() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0, 0);
    track.handle_packet(&packet(0, 500, 0, true), 0);
    track.handle_packet(&packet(0, 501, 0, false), 0);
    track.handle_packet(&packet(1, 90, 3_000, true), 1);
    track.handle_packet(&packet(1, 91, 3_000, false), 1);
    let traced = |sequence| track.trace(sequence).map(|t| (t.origin.layer, t.incoming));
    assert_eq!(traced(1), Some((0, 501)));
    assert_eq!(traced(2), Some((1, 90)));
    assert_eq!(traced(3), Some((1, 91)));
    assert_eq!(traced(4), None);
    assert_eq!(traced(65_535), None);
}

#[test]
fn a_pause_ends_with_a_keyframe_and_without_a_gap() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0, 0);
    track.handle_packet(&packet(0, 10, 0, true), 0);
    track.pause(true);
    assert_eq!(track.handle_packet(&packet(0, 11, 0, true), 0), None);
    assert!(!track.waits_for_keyframe(0));
    track.pause(false);
    assert_eq!(track.handle_packet(&packet(0, 12, 0, false), 0), None);
    let resumed = track.handle_packet(&packet(0, 13, 0, true), 0);
    assert_eq!(resumed.map(|r| r.sequence), Some(1));
}

#[test]
fn the_sequence_goes_on_when_the_source_changes() {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0, 0);
    let last = track.handle_packet(&packet(0, 10, 0, true), 0).unwrap();
    track.handle_source_change();
    assert_eq!(track.trace(0), None);
    let next = track
        .handle_packet(&packet(0, 70_000, 900, true), 0)
        .unwrap();
    assert_eq!(next.sequence, last.sequence + 1);
}
