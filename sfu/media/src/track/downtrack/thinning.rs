//! Thinned VP8 as browsers send it (L1T3, PictureID of 15 bits, TL0PICIDX, TID and Y), and SVC:
//! what a viewer gets of it is numbered as if nothing else had ever been there.

use super::*;
use crate::codec::{self, LayerReader, Seen};

const CLOCK: u32 = 90_000;
/// Ticks between pictures, 30 a second.
const FRAME: u32 = 3_000;
/// Temporal layers of L1T3, and whether a picture builds on nothing above TID 0 (Y).
const PATTERN: [(u8, bool); 4] = [(0, false), (2, true), (1, true), (2, false)];

/// A publisher's stream, read as the uptrack reads it.
struct Vp8 {
    reader: LayerReader,
    layer: u8,
    sequence: u64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    phase: usize,
}

impl Vp8 {
    fn new(layer: u8, sequence: u64, picture_id: u16, tl0: u8) -> Self {
        Self {
            reader: LayerReader::new(Codec::Vp8),
            layer,
            sequence,
            timestamp: u32::MAX - 7 * FRAME, // wraps soon
            picture_id,
            tl0,
            phase: 0,
        }
    }

    /// The packets of the next picture; a keyframe begins the pattern anew.
    fn picture(&mut self, keyframe: bool, packets: usize) -> Vec<Packet> {
        let phase = if keyframe { 0 } else { self.phase };
        let (temporal, sync) = PATTERN[phase];
        self.phase = (phase + 1) % PATTERN.len();
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let made = (0..packets).map(|i| {
            let [high, low] = self.picture_id.to_be_bytes();
            let first = if i == 0 { 0x90 } else { 0x80 };
            let layer = temporal << 6 | u8::from(sync) << 5;
            let frame = if keyframe { 0x10 } else { 0x11 };
            let payload = vec![first, 0xe0, high | 0x80, low, self.tl0, layer, frame, 0, 0];
            let marker = i + 1 == packets;
            let layering = self.reader.handle_packet(Seen {
                payload: &payload,
                marker,
                dependency: None,
            });
            let packet = Packet {
                origin: Origin {
                    layer: self.layer,
                    generation: 0,
                },
                sequence: self.sequence + i as u64,
                timestamp: self.timestamp,
                marker,
                keyframe: codec::is_keyframe(Codec::Vp8, &payload),
                layering,
                layered: true,
                picture: codec::picture_ids(Codec::Vp8, &payload),
                arrival: (self.sequence + i as u64) * 11_000,
                payload,
                ..Packet::default()
            };
            assert_eq!(
                packet.layering.layer.temporal, temporal,
                "as it was written"
            );
            packet
        });
        let made = made.collect();
        self.sequence += packets as u64;
        self.timestamp = self.timestamp.wrapping_add(FRAME);
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        made
    }
}

/// A packet that went out: what it was, and under what.
#[derive(Clone, Debug)]
struct Out {
    packet: Packet,
    stamp: Stamp,
}

impl Out {
    fn picture(&self) -> u16 {
        self.stamp.numbers.picture.expect("a PictureID").picture_id
    }

    fn tl0(&self) -> u8 {
        let ids = self.stamp.numbers.picture.expect("a PictureID");
        ids.tl0_pic_idx.expect("a TL0PICIDX")
    }

    fn temporal(&self) -> u8 {
        self.packet.layering.layer.temporal
    }
}

fn limit(temporal: u8) -> Limit {
    Limit {
        layer: Layer {
            temporal,
            ..Layer::HIGHEST
        },
        ..Limit::default()
    }
}

fn give(track: &mut Downtrack, packet: &Packet, stream: u8) -> Option<Out> {
    let stamp = track.handle_packet(packet, stream)?;
    let packet = packet.clone();
    Some(Out { packet, stamp })
}

/// So many pictures of three packets each; what of them went out.
fn run(track: &mut Downtrack, source: &mut Vp8, pictures: usize) -> Vec<Out> {
    let stream = source.layer;
    let made = (0..pictures).flat_map(|_| source.picture(false, 3));
    made.filter_map(|packet| give(track, &packet, stream))
        .collect()
}

fn begun(temporal: u8, source: &mut Vp8) -> (Downtrack, Vec<Out>) {
    let mut track = Downtrack::new(Codec::Vp8, CLOCK, 0x7ffe, 0);
    track.set_limit(limit(temporal));
    let key = source.picture(true, 3);
    let first = key.iter().filter_map(|p| give(&mut track, p, source.layer));
    let out = first.collect();
    (track, out)
}

/// Neither sequence numbers nor PictureIDs have a gap, in the order of sending.
fn assert_gapless(out: &[Out]) {
    for pair in out.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(after.stamp.sequence, before.stamp.sequence + 1);
        let begins = u16::from(after.packet.timestamp != before.packet.timestamp);
        let next = (before.picture() + begins) & 0x7fff;
        assert_eq!(after.picture(), next, "after {:?}", before.stamp);
    }
}

#[test]
fn a_lower_frame_rate_leaves_no_gap_in_sequence_numbers_nor_pictures() {
    for (most, expected) in [(0, 25), (1, 50), (2, 100)] {
        let mut source = Vp8::new(0, 65_500, 0x7ff0, 250);
        let (mut track, mut out) = begun(most, &mut source);
        out.extend(run(&mut track, &mut source, 99));
        assert_gapless(&out);
        assert_eq!(out.len(), expected * 3, "up to temporal layer {most}");
        assert!(out.iter().all(|o| o.temporal() <= most));
        for o in &out {
            assert_eq!(Some(o.tl0()), o.packet.picture.unwrap().tl0_pic_idx);
            assert_eq!(o.stamp.marker, o.packet.marker);
        }
        let tl0: Vec<u8> = out
            .iter()
            .filter(|o| o.temporal() == 0)
            .map(Out::tl0)
            .collect();
        let steps = tl0.windows(2).map(|w| w[1].wrapping_sub(w[0]));
        assert!(steps.into_iter().all(|step| step <= 1), "{tl0:?}");
    }
}

#[test]
fn the_clock_of_a_thinned_stream_is_the_publishers() {
    let mut source = Vp8::new(0, 1, 1, 1);
    let (mut track, mut out) = begun(0, &mut source);
    out.extend(run(&mut track, &mut source, 40));
    let sent = |o: &Out| o.packet.timestamp.wrapping_add(o.stamp.timestamp_offset);
    for pair in out.windows(2) {
        let step = sent(&pair[1]).wrapping_sub(sent(&pair[0]));
        assert!(step == 0 || step == 4 * FRAME, "{step} ticks");
    }
}

#[test]
fn the_frame_rate_falls_at_once_and_rises_where_a_picture_joins() {
    let mut source = Vp8::new(0, 1, 1, 1);
    let (mut track, mut out) = begun(2, &mut source);
    out.extend(run(&mut track, &mut source, 4)); // T2 T1 T2 T0
    track.set_limit(limit(0));
    let thin = run(&mut track, &mut source, 4);
    assert_eq!(thin.iter().map(Out::temporal).collect::<Vec<_>>(), [0; 3]);
    out.extend(thin);
    track.set_limit(limit(2));
    assert!(!track.waits_for_keyframe(0));
    // T2 has its Y bit, but T1 may still build on its own past: one layer at a time.
    let up: Vec<u8> = run_pictures(&mut track, &mut source, 8, &mut out);
    assert_eq!(up, [1, 0, 2, 1, 2, 0]);
    assert_gapless(&out);
}

/// The temporal layers of what went out, a picture each.
fn run_pictures(
    track: &mut Downtrack,
    source: &mut Vp8,
    pictures: usize,
    all: &mut Vec<Out>,
) -> Vec<u8> {
    let mut layers = Vec::new();
    for _ in 0..pictures {
        let out = run(track, source, 1);
        layers.extend(out.first().map(Out::temporal));
        all.extend(out);
    }
    layers
}

#[test]
fn a_late_packet_of_a_kept_picture_takes_the_number_kept_for_it() {
    let mut source = Vp8::new(0, 100, 50, 1);
    let (mut track, mut out) = begun(0, &mut source);
    run(&mut track, &mut source, 3);
    let picture = source.picture(false, 3); // T0
    let [first, late, last] = &picture[..] else {
        panic!("three packets");
    };
    out.extend(give(&mut track, first, 0));
    out.extend(give(&mut track, last, 0));
    out.extend(run(&mut track, &mut source, 4));
    out.extend(give(&mut track, late, 0));
    out.sort_by_key(|o| o.stamp.sequence);
    assert_eq!(out.len(), 9);
    assert_gapless(&out);
}

#[test]
fn a_packet_that_was_left_out_stays_so_when_it_comes_again() {
    let mut source = Vp8::new(0, 100, 50, 1);
    let (mut track, _) = begun(1, &mut source);
    let left_out = source.picture(false, 3); // T2
    assert!(left_out.iter().all(|p| give(&mut track, p, 0).is_none()));
    run(&mut track, &mut source, 9);
    assert!(left_out.iter().all(|p| give(&mut track, p, 0).is_none()));
}

/// How many pictures back retransmissions are traced, and that they repeat what was sent.
fn reach(most: u8, pictures: usize) -> usize {
    let mut source = Vp8::new(0, 60_000, 0x7f00, 9);
    let (mut track, mut out) = begun(most, &mut source);
    out.extend(run(&mut track, &mut source, pictures));
    let newest = out.last().expect("something was sent").packet.clone();
    let mut furthest = 0;
    for o in &out {
        let traced = track.trace(o.stamp.sequence as u16);
        let stamp = traced.and_then(|traced| {
            assert_eq!(traced.incoming, o.packet.sequence, "another packet");
            track.stamp(traced, &o.packet)
        });
        if let Some(stamp) = stamp {
            assert_eq!(stamp, o.stamp, "it must be the same packet to the bit");
            let back = newest.timestamp.wrapping_sub(o.packet.timestamp) / FRAME;
            furthest = furthest.max(back as usize);
        }
    }
    furthest
}

/// Each run of pictures left out takes one of [`MAX_STRETCHES`]: at 30 pictures a second 7.5 a second
/// where only T0 goes on, which reaches 12.8 s back, 15 where T1 does too: 6.4 s.
#[test]
fn retransmissions_are_traced_across_pictures_left_out_as_far_as_stretches_are_remembered() {
    assert!((376..=384).contains(&reach(0, 900)), "{}", reach(0, 900));
    assert!((188..=192).contains(&reach(1, 900)), "{}", reach(1, 900));
    assert_eq!(reach(2, 900), 900);
}

#[test]
fn a_change_of_stream_goes_on_with_pictures_and_base_layer() {
    let mut small = Vp8::new(0, 500, 0x7ffa, 200);
    let mut large = Vp8::new(1, 9_000, 77, 3);
    let (mut track, mut out) = begun(0, &mut small);
    out.extend(run(&mut track, &mut small, 9)); // ends with a picture that is left out
    let key = large.picture(true, 3);
    out.extend(key.iter().filter_map(|p| give(&mut track, p, 1)));
    let after = run(&mut track, &mut large, 8);
    assert!(after.iter().all(|o| o.packet.origin.layer == 1));
    out.extend(after);
    assert_gapless(&out);
    let base: Vec<u8> = out.iter().map(Out::tl0).collect();
    for pair in base.windows(2) {
        assert!(pair[1].wrapping_sub(pair[0]) <= 1, "{base:?}");
    }
    let changes = out.windows(2).find(|w| w[1].packet.origin.layer == 1);
    let [before, first] = changes.expect("it changed over") else {
        panic!("two");
    };
    assert_eq!(first.tl0(), before.tl0().wrapping_add(1));
    // And what was sent before is still told from what was sent after.
    let traced = track.trace(before.stamp.sequence as u16).expect("recent");
    assert_eq!(track.stamp(traced, &before.packet), Some(before.stamp));
}

#[test]
fn a_stream_without_layers_is_repeated_as_it_was_sent_after_a_pause() {
    let mut source = Vp8::new(0, 1, 1, 1);
    let (mut track, _) = begun(2, &mut source);
    track.pause(true);
    (0..50).for_each(|_| drop(source.picture(false, 3)));
    track.pause(false);
    for mut packet in source.picture(true, 3) {
        packet.layered = false;
        let sent = track.handle_packet(&packet, 0).expect("a keyframe");
        let traced = track.trace(sent.sequence as u16).expect("just sent");
        assert_eq!(track.stamp(traced, &packet), Some(sent));
    }
}

#[test]
fn of_svc_the_highest_layer_that_is_kept_ends_the_picture() {
    let mut reader = LayerReader::new(Codec::Vp9);
    let mut track = Downtrack::new(Codec::Vp9, CLOCK, 0, 0);
    let lower = Limit {
        layer: Layer {
            spatial: 1,
            temporal: 7,
        },
        ..Limit::default()
    };
    let mut out = Vec::new();
    for picture in 0..6u32 {
        if picture == 3 {
            track.set_limit(lower);
        }
        for spatial in 0..3u8 {
            // I L F B E, predicted (P) but for the keyframe, which tells of three layers (V); each
            // builds on the one below (D).
            let key = picture == 0;
            let first = match (key, spatial) {
                (true, 0) => 0xbe,
                (true, _) => 0xbc,
                (false, _) => 0xfc,
            };
            let layer = spatial << 1 | u8::from(spatial > 0);
            let mut payload = vec![first, 0x80, picture as u8, layer];
            match (key, spatial) {
                (true, 0) => payload.extend([0x40, 0x82, 0x49]),
                (true, _) => payload.extend([0x82, 0x49]),
                (false, _) => payload.extend([0x02, 0x86]),
            }
            let marker = spatial == 2;
            let layering = reader.handle_packet(Seen {
                payload: &payload,
                marker,
                dependency: None,
            });
            let packet = Packet {
                sequence: u64::from(picture * 3 + u32::from(spatial)),
                timestamp: picture * FRAME,
                marker,
                keyframe: key && spatial == 0,
                layering,
                layered: true,
                picture: codec::picture_ids(Codec::Vp9, &payload),
                payload,
                ..Packet::default()
            };
            out.extend(give(&mut track, &packet, 0));
        }
    }
    let sent: Vec<(u8, bool)> = out
        .iter()
        .map(|o| (o.packet.layering.layer.spatial, o.stamp.marker))
        .collect();
    let all = [(0, false), (1, false), (2, true)].repeat(3);
    let lower = [(0, false), (1, true)].repeat(3);
    assert_eq!(sent, [all, lower].concat());
    let numbers: Vec<u64> = out.iter().map(|o| o.stamp.sequence).collect();
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());
    // VP9 refers by differences: its ids stay.
    assert!(
        out.iter()
            .all(|o| o.picture() == o.packet.picture.unwrap().picture_id)
    );
    for o in &out {
        let traced = track.trace(o.stamp.sequence as u16).expect("recent");
        assert_eq!(track.stamp(traced, &o.packet), Some(o.stamp));
    }
}
