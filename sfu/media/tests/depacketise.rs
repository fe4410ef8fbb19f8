//! Frames cut into payloads in every way the formats know come back whole, or not at all.

use proptest::prelude::*;
use tongbu_media::codec::{
    Codec, CodedFrame, Depacketiser, MAX_FRAME_BYTES, RtpPayload, dimensions, is_keyframe,
};

mod packetise;
use packetise::{CODECS, Sent, Stream, VIDEO};

fn receive<'a>(codec: Codec, packets: impl IntoIterator<Item = &'a Sent>) -> Vec<CodedFrame> {
    let mut depacketiser = Depacketiser::new(codec);
    for packet in packets {
        depacketiser.push(packet.as_payload());
    }
    std::iter::from_fn(|| depacketiser.poll_frame()).collect()
}

#[test]
fn every_frame_comes_back_whole() {
    for codec in CODECS {
        for mtu in [24, 60, 200, 1200] {
            let stream = Stream::new(codec, 12, mtu);
            let frames = receive(codec, &stream.packets);
            assert_eq!(frames.len(), 12, "{codec:?} {mtu}");
            for (frame, sent) in frames.iter().zip(&stream.frames) {
                assert_eq!(frame.data, sent.data, "{codec:?} {mtu}");
                assert_eq!(frame.timestamp, sent.timestamp);
                assert_eq!(frame.keyframe, sent.keyframe, "{codec:?} {mtu}");
                assert_eq!(frame.arrival, sent.arrival);
                assert!(!frame.after_loss);
            }
        }
    }
}

#[test]
fn without_marker_the_timestamp_ends_a_frame() {
    for codec in VIDEO {
        let mut stream = Stream::new(codec, 8, 60);
        stream
            .packets
            .iter_mut()
            .for_each(|packet| packet.marker = false);
        let frames = receive(codec, &stream.packets);
        let expected: Vec<_> = stream
            .frames
            .iter()
            .map(|frame| &frame.data)
            .take(7)
            .collect();
        assert_eq!(
            frames.iter().map(|frame| &frame.data).collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn losing_any_packet_costs_its_frame_and_flags_the_next() {
    for codec in CODECS {
        let stream = Stream::new(codec, 12, 60);
        for lost in 1..stream.packets.len() {
            let hit = stream.packets[lost].timestamp;
            let rest = stream
                .packets
                .iter()
                .filter(|packet| packet.sequence != lost as u64);
            let got: Vec<_> = receive(codec, rest)
                .iter()
                .map(|f| (f.timestamp, f.after_loss))
                .collect();
            let others = stream
                .frames
                .iter()
                .map(|f| f.timestamp)
                .filter(|&t| t != hit);
            let expected: Vec<_> = others.map(|t| (t, t == hit.wrapping_add(3000))).collect();
            assert_eq!(got, expected, "{codec:?} without {lost}");
        }
    }
}

#[test]
fn a_stream_that_begins_inside_a_frame_starts_with_the_next() {
    for codec in VIDEO {
        let stream = Stream::new(codec, 4, 24);
        let frames = receive(codec, &stream.packets[1..]);
        assert_eq!(frames[0].data, stream.frames[1].data, "{codec:?}");
        assert_eq!(frames.len(), 3);
    }
}

#[test]
fn probes_between_packets_change_nothing() {
    for codec in CODECS {
        let stream = Stream::new(codec, 6, 60);
        let mut depacketiser = Depacketiser::new(codec);
        for packet in &stream.packets {
            let media = RtpPayload {
                sequence: packet.sequence * 2,
                ..packet.as_payload()
            };
            depacketiser.push(media);
            depacketiser.push(RtpPayload {
                sequence: media.sequence + 1,
                payload: &[],
                ..media
            });
        }
        let frames: Vec<_> = std::iter::from_fn(|| depacketiser.poll_frame()).collect();
        assert_eq!(frames.len(), 6, "{codec:?}");
        assert!(frames.iter().all(|frame| !frame.after_loss));
    }
}

fn push(to: &mut Depacketiser, sequence: u64, timestamp: u32, marker: bool, payload: &[u8]) {
    to.push(RtpPayload {
        sequence,
        timestamp,
        marker,
        arrival: 0,
        payload,
    });
}

#[test]
fn parameter_sets_with_a_timestamp_of_their_own_join_the_next_frame() {
    let mut depacketiser = Depacketiser::new(Codec::H264);
    push(&mut depacketiser, 0, 10, true, &[0x67, 0x42]);
    push(&mut depacketiser, 1, 20, true, &[0x68, 0xce]);
    push(&mut depacketiser, 2, 30, true, &[0x65, 0x88]);
    let frame = depacketiser.poll_frame().unwrap();
    let expected = [
        0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65, 0x88,
    ];
    assert_eq!(
        (frame.timestamp, frame.data.as_slice()),
        (30, &expected[..])
    );
    assert!(frame.keyframe && depacketiser.poll_frame().is_none());
}

#[test]
fn a_keyframe_that_lost_its_parameter_sets_is_not_whole() {
    let mut depacketiser = Depacketiser::new(Codec::H264);
    for frame in 0..3 {
        if frame != 1 {
            push(
                &mut depacketiser,
                u64::from(frame) * 2,
                frame,
                false,
                &[0x67, 0x42],
            );
        }
        push(
            &mut depacketiser,
            u64::from(frame) * 2 + 1,
            frame,
            true,
            &[0x65, 0x88],
        );
    }
    let frames: Vec<_> = std::iter::from_fn(|| depacketiser.poll_frame()).collect();
    assert_eq!(
        frames
            .iter()
            .map(|frame| frame.timestamp)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(depacketiser.stats().incomplete, 1);
}

#[test]
fn a_frame_beyond_the_limit_is_dropped_and_counted() {
    let mut depacketiser = Depacketiser::new(Codec::Vp8);
    let mut payload = vec![0x10; 60_000];
    for sequence in 0..=(MAX_FRAME_BYTES / 59_000) as u64 {
        payload[0] = if sequence == 0 { 0x10 } else { 0x00 };
        push(&mut depacketiser, sequence, 1, false, &payload);
    }
    push(&mut depacketiser, 1000, 2, true, &[0x10, 1, 2, 3]);
    let frame = depacketiser.poll_frame().unwrap();
    assert_eq!((frame.timestamp, frame.after_loss), (2, true));
    assert_eq!(depacketiser.stats().oversized, 1);
}

/// From libx264: 1,278 x 718, cropped, with emulation prevention.
const SPS: [u8; 25] = [
    0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbe, 0xaa, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
];

#[test]
fn the_size_of_a_real_parameter_set_is_read() {
    assert_eq!(dimensions(Codec::H264, &SPS), Some((1278, 718)));
    let aggregated = [&[0x78, 0, SPS.len() as u8][..], &SPS].concat();
    assert_eq!(dimensions(Codec::H264, &aggregated), Some((1278, 718)));
    for cut in 0..9 {
        assert_eq!(dimensions(Codec::H264, &SPS[..cut]), None, "{cut}");
    }
}

/// Bytes that look a little like payloads: any first bytes, then few different ones.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let tame = prop::sample::select(vec![0u8, 1, 3, 0x80]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<[u8; 2]>(), prop::collection::vec(tame, 0..40)).prop_map(|(head, tail)| [
            &head[..],
            &tail
        ]
        .concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_arbitrary_payloads(
        packets in prop::collection::vec((payload(), any::<bool>(), 0u32..2, 0u64..4), 1..40),
    ) {
        for codec in CODECS {
            let mut depacketiser = Depacketiser::new(codec);
            let (mut sequence, mut timestamp) = (u64::from(u32::MAX), u32::MAX - 2);
            for (payload, marker, later, step) in &packets {
                is_keyframe(codec, payload);
                dimensions(codec, payload);
                sequence += step;
                timestamp = timestamp.wrapping_add(*later);
                push(&mut depacketiser, sequence, timestamp, *marker, payload);
                while let Some(frame) = depacketiser.poll_frame() {
                    prop_assert!(!frame.data.is_empty());
                }
            }
        }
    }

    #[test]
    fn damaged_payloads_do_not_panic(
        codec in prop::sample::select(CODECS.to_vec()),
        damage in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 1..20),
    ) {
        let mut stream = Stream::new(codec, 6, 60);
        for (packet, byte, value) in damage {
            let index = packet.index(stream.packets.len());
            let payload = &mut stream.packets[index].payload;
            let at = byte.index(payload.len());
            payload[at] = value;
            if value % 2 == 0 {
                payload.truncate(at + 1);
            }
            is_keyframe(codec, payload);
            dimensions(codec, payload);
        }
        receive(codec, &stream.packets);
    }

    #[test]
    fn what_comes_out_after_any_loss_was_sent(
        codec in prop::sample::select(CODECS.to_vec()),
        mtu in 20usize..300,
        lost in prop::collection::hash_set(1u64..200, 0..30),
    ) {
        let stream = Stream::new(codec, 20, mtu);
        let (gone, kept): (Vec<_>, Vec<_>) =
            stream.packets.iter().partition(|packet| lost.contains(&packet.sequence));
        let frames = receive(codec, kept);
        let mut frames = frames.iter();
        let mut lost_before = false;
        for sent in &stream.frames {
            let whole = gone.iter().all(|packet| packet.timestamp != sent.timestamp);
            if whole {
                let frame = frames.next().expect("a frame with all its packets comes out");
                prop_assert_eq!(&frame.data, &sent.data);
                prop_assert_eq!(frame.timestamp, sent.timestamp);
                prop_assert_eq!(frame.after_loss, lost_before);
            }
            lost_before = !whole;
        }
        prop_assert!(frames.next().is_none());
    }
}
