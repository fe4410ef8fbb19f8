//! Descriptors written bit by bit, and what the reader makes of them.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Writes bits, most significant first.
#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(&mut self, count: u32, value: u32) -> &mut Self {
        self.0
            .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn octets(&self) -> Vec<u8> {
        let octet = |bits: &[bool]| {
            let bits = bits.iter().enumerate();
            bits.fold(0, |octet, (at, bit)| octet | u8::from(*bit) << (7 - at))
        };
        self.0.chunks(8).map(octet).collect()
    }
}

fn mandatory(borders: u32, template: u32, frame: u32) -> Writer {
    let mut writer = Writer::default();
    writer.put(2, borders).put(6, template).put(16, frame);
    writer
}

/// (how the layer differs from that of the template before, indications, frame differences)
type TemplateLine<'a> = (u32, &'a str, &'a [u32]);

fn put_indications(writer: &mut Writer, indications: &str) {
    for indication in indications.chars() {
        writer.put(2, "-DSR".find(indication).unwrap() as u32);
    }
}

fn put_structure(writer: &mut Writer, offset: u32, templates: &[TemplateLine<'_>]) {
    let targets = templates[0].1.len() as u32;
    writer.put(6, offset).put(5, targets - 1);
    for (next, _, _) in &templates[1..] {
        writer.put(2, *next);
    }
    writer.put(2, 3);
    for (_, indications, _) in templates {
        put_indications(writer, indications);
    }
    for (_, _, differences) in templates {
        for difference in *differences {
            writer.put(1, 1).put(4, difference - 1);
        }
        writer.put(1, 0);
    }
    // One chain: ns(4) of 1 with three targets, ns(3) with two.
    writer.put(2, if targets == 3 { 0b01 } else { 0b10 });
    for _ in templates {
        writer.put(4, 0);
    }
    writer.put(1, 0); // no resolutions
}

/// Three temporal layers, as the specification's example L1T3 (A.10) lays them out.
const L1T3: &[TemplateLine<'_>] = &[
    (0, "SSS", &[]),
    (0, "SSS", &[4]),
    (1, "-DS", &[2]),
    (1, "--D", &[1]),
];

/// Two spatial layers, the upper building on the lower with key frames only.
const L2T1_KEY: &[TemplateLine<'_>] = &[
    (0, "SS", &[]),
    (0, "S-", &[2]),
    (2, "-S", &[1]),
    (0, "-S", &[2]),
];

fn with_structure(offset: u32, templates: &[TemplateLine<'_>], flags: u32) -> Writer {
    let mut writer = mandatory(0b10, offset, 1);
    writer.put(5, 0b10000 | flags);
    put_structure(&mut writer, offset, templates);
    writer
}

fn layering(reader: &mut DependencyReader, octets: &[u8]) -> Layering {
    reader.handle_descriptor(octets).unwrap().layering
}

#[test]
fn temporal_layers_and_their_switching_points() {
    let mut reader = DependencyReader::default();
    let key = reader.handle_descriptor(&with_structure(60, L1T3, 0).octets());
    let key = key.unwrap();
    assert!(key.structure && key.layering.begins_frame() && !key.layering.ends_frame());
    assert_eq!(key.frame_number, 1);
    assert_eq!(key.layering.opens.temporal, 2);
    for (template, temporal, opens) in [(61, 0, 2), (62, 1, 2), (63, 2, 2)] {
        let told = layering(&mut reader, &mandatory(0b11, template, 7).octets());
        assert_eq!(told.layer.temporal, temporal);
        assert_eq!(told.opens.temporal, opens);
        assert!(told.begins_frame() && told.ends_frame());
        assert_eq!(told.top, 0);
    }
    // ids wrap at 64: template 0 would be the fifth of four
    assert_eq!(reader.handle_descriptor(&mandatory(3, 0, 8).octets()), None);
}

#[test]
fn spatial_layers_and_who_needs_them() {
    let mut reader = DependencyReader::default();
    let key = layering(&mut reader, &with_structure(0, L2T1_KEY, 0).octets());
    assert_eq!((key.layer.spatial, key.opens.spatial, key.top), (0, 1, 1));
    assert!(!key.is_alone());
    let delta = layering(&mut reader, &mandatory(3, 1, 3).octets());
    assert!(delta.is_alone());
    assert_eq!(delta.opens.spatial, 0);
    let upper = layering(&mut reader, &mandatory(3, 2, 2).octets());
    assert_eq!(upper.layer.spatial, 1);
}

#[test]
fn a_frame_may_bring_its_own_indications() {
    let mut reader = DependencyReader::default();
    layering(&mut reader, &with_structure(0, L1T3, 0).octets());
    let mut descriptor = mandatory(3, 1, 5);
    descriptor.put(5, 0b00100);
    put_indications(&mut descriptor, "SSR");
    let told = layering(&mut reader, &descriptor.octets());
    assert_eq!(told.opens.temporal, 1);
}

#[test]
fn layers_that_are_not_sent_lower_the_top_until_the_next_structure() {
    let mut reader = DependencyReader::default();
    let mut first = with_structure(0, L2T1_KEY, 0b01000);
    first.put(2, 0b01);
    assert_eq!(layering(&mut reader, &first.octets()).top, 0);
    let mut both = mandatory(3, 1, 3);
    both.put(5, 0b01000).put(2, 0b11);
    assert_eq!(layering(&mut reader, &both.octets()).top, 1);
    assert_eq!(layering(&mut reader, &first.octets()).top, 0);
    let again = with_structure(0, L2T1_KEY, 0).octets();
    let again = reader.handle_descriptor(&again).unwrap();
    assert!(!again.structure);
    assert_eq!(again.layering.top, 1);
}

#[test]
fn a_late_packet_is_read_by_the_structure_before() {
    let mut reader = DependencyReader::default();
    layering(&mut reader, &with_structure(0, L1T3, 0).octets());
    layering(&mut reader, &with_structure(4, L2T1_KEY, 0).octets());
    let late = layering(&mut reader, &mandatory(3, 3, 1).octets());
    assert_eq!(late.layer.temporal, 2);
    let new = layering(&mut reader, &mandatory(3, 6, 9).octets());
    assert_eq!(new.layer.spatial, 1);
}

/// From Chromium's AV1 in L3T3, which began with two of three spatial layers: nine decode targets,
/// fifteen templates, resolutions.
#[test]
fn a_browsers_structure_is_read() {
    const KEY: &str = "c10001c0081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006\
        000040001d954926e082b04a0941b820ac1282503157f974000ca864330e222222eca8655304224230eca87753\
        013f00b3027f016704ff02cf1f80";
    let octets = |hex: &str| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let mut reader = DependencyReader::default();
    for (hex, layer, opens, top) in [
        (KEY, (0, 0), (2, 2), 1),
        ("c60002", (1, 0), (2, 2), 1),
        ("c300031a20100800", (0, 2), (0, 2), 1),
        ("c200055ffd30100c0c", (0, 1), (0, 2), 2), // the third layer is announced
        ("85000a12e800", (1, 0), (1, 2), 2),
        ("8b000b", (2, 0), (2, 2), 2),
    ] {
        let told = layering(&mut reader, &octets(hex));
        let of = |layer: Layer| (layer.spatial, layer.temporal);
        assert_eq!(
            (of(told.layer), of(told.opens), told.top),
            (layer, opens, top),
            "{hex}"
        );
        assert_eq!(told.is_alone(), layer.0 == 2, "{hex}");
        assert!(told.begins_frame());
    }
}

#[test]
fn what_breaks_the_format_changes_nothing() {
    let mut reader = DependencyReader::default();
    let whole = with_structure(0, L1T3, 0).octets();
    for len in 0..whole.len() {
        assert_eq!(reader.handle_descriptor(&whole[..len]), None, "{len}");
    }
    assert_eq!(reader.handle_descriptor(&mandatory(3, 0, 1).octets()), None);
    // nine temporal layers
    let mut writer = mandatory(3, 0, 1);
    writer.put(5, 0b10000).put(6, 0).put(5, 0);
    (0..9).for_each(|_| {
        writer.put(2, 1);
    });
    let endless = [writer.octets(), vec![0x55; 200]].concat();
    assert_eq!(reader.handle_descriptor(&endless), None);
    assert!(reader.handle_descriptor(&whole).is_some());
}

#[test]
fn numbers_below_n_take_the_bits_of_the_format() {
    // n = 5: 0, 1, 2 in two bits, 3 and 4 in three
    let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
    let numbers: Vec<_> = (0..5).map(|_| non_symmetric(&mut bits, 5)).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4].map(Some));
    assert_eq!(non_symmetric(&mut Bits::new(&[]), 1), Some(0));
}

proptest! {
    #[test]
    fn never_panics(all in vec(vec(any::<u8>(), 0..80), 1..8)) {
        let mut reader = DependencyReader::default();
        for descriptor in &all {
            if let Some(told) = reader.handle_descriptor(descriptor) {
                let layering = told.layering;
                prop_assert!(layering.layer.spatial <= MAX_SPATIAL);
                prop_assert!(layering.layer.temporal <= MAX_TEMPORAL);
                prop_assert_eq!(layering.opens.max(layering.layer), layering.opens);
            }
        }
    }

    #[test]
    fn never_panics_behind_a_structure(tail: Vec<u8>, flags in 0u32..32, template in 0u32..64) {
        let mut reader = DependencyReader::default();
        reader.handle_descriptor(&with_structure(3, L1T3, 0).octets());
        let mut writer = mandatory(3, template, 9);
        writer.put(5, flags);
        reader.handle_descriptor(&[writer.octets(), tail].concat());
    }
}
