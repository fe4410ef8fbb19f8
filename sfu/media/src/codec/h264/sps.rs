//! The sequence parameter set (H.264 7.3.2.1.1), read as far as the picture size.

use crate::codec::bits::Bits;

/// Cropped size in pixels, from what follows the NAL unit's header.
pub(super) fn dimensions(unit: &[u8]) -> Option<(u16, u16)> {
    let payload = unescape(unit);
    let bits = &mut Bits::new(&payload);
    let chroma = chroma_format(bits)?;
    bits.ue()?; // log2_max_frame_num_minus4
    skip_picture_order(bits)?;
    bits.ue()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let width = macroblocks(bits)?;
    let height_units = macroblocks(bits)?;
    let frame_only = bits.flag()?;
    let fields = if frame_only { 1 } else { 2 };
    if !frame_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let (crop_x, crop_y) = cropping(bits, &chroma, fields)?;
    let height = height_units.checked_mul(fields)?;
    Some((size(width, crop_x)?, size(height, crop_y)?))
}

/// Without the emulation prevention bytes (7.4.1): 00 00 03 stands for 00 00.
fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

/// Luma samples to one crop unit (table 6-1: SubWidthC, SubHeightC).
struct Chroma {
    x: u32,
    y: u32,
}

/// From the start to `seq_scaling_list`, which only the high profiles have.
fn chroma_format(bits: &mut Bits) -> Option<Chroma> {
    let profile = bits.bits(8)?;
    bits.skip(16)?; // constraints and level
    bits.ue()?; // seq_parameter_set_id
    let high = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
    if !high.contains(&profile) {
        return Some(Chroma { x: 2, y: 2 });
    }
    let format = bits.ue()?;
    let separate_planes = format == 3 && bits.flag()?;
    bits.ue()?; // bit_depth_luma_minus8
    bits.ue()?; // bit_depth_chroma_minus8
    bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        skip_scaling_lists(bits, if format == 3 { 12 } else { 8 })?;
    }
    match format {
        _ if separate_planes => Some(Chroma { x: 1, y: 1 }),
        1 => Some(Chroma { x: 2, y: 2 }),
        2 => Some(Chroma { x: 2, y: 1 }),
        0 | 3 => Some(Chroma { x: 1, y: 1 }),
        _ => None,
    }
}

/// 7.3.2.1.1.1: a list ends early once its next scale is 0.
fn skip_scaling_lists(bits: &mut Bits, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8i32, 8i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits) -> Option<()> {
    match bits.ue()? {
        0 => bits.ue().map(drop), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            let cycle = bits.ue()?;
            (cycle <= 255).then_some(())?;
            (0..cycle).try_for_each(|_| bits.se().map(drop))
        }
        2 => Some(()),
        _ => None,
    }
}

/// A size given in macroblocks minus one, in luma samples.
fn macroblocks(bits: &mut Bits) -> Option<u32> {
    bits.ue()?.checked_add(1)?.checked_mul(16)
}

/// Luma samples cut off, both sides together (7.4.2.1.1, frame_cropping).
fn cropping(bits: &mut Bits, chroma: &Chroma, fields: u32) -> Option<(u32, u32)> {
    if !bits.flag()? {
        return Some((0, 0));
    }
    let [left, right, top, bottom] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
    let x = left.checked_add(right)?.checked_mul(chroma.x)?;
    let y = top.checked_add(bottom)?.checked_mul(chroma.y * fields)?;
    Some((x, y))
}

/// What is left of a length; a picture of nothing is none.
fn size(length: u32, cropped: u32) -> Option<u16> {
    let left = length.checked_sub(cropped).filter(|&left| left > 0)?;
    u16::try_from(left).ok()
}

#[cfg(test)]
mod tests {
    use super::dimensions;

    /// From libx264, each cropped in its own way.
    #[test]
    fn every_profile_tells_its_size() {
        let interlaced = [
            0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x04, 0x4f, 0xdc, 0x20, 0x00, 0x00, 0x03,
            0x00, 0x20, 0x00, 0x00, 0x07, 0x83, 0xe2, 0xc5, 0xb2, 0xc0,
        ];
        assert_eq!(dimensions(&interlaced), Some((1920, 1080)));
        let chroma_422 = [
            0x7a, 0x00, 0x1e, 0xbc, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0xe1, 0x00,
        ];
        assert_eq!(dimensions(&chroma_422), Some((640, 362)));
        let chroma_444 = [
            0xf4, 0x00, 0x0d, 0x91, 0x9b, 0x28, 0x2a, 0x3b, 0xc9, 0x70, 0x80,
        ];
        assert_eq!(dimensions(&chroma_444), Some((333, 222)));
        let scaling_lists = [0x64, 0x00, 0x0a, 0xac, 0xd9, 0x47, 0x27, 0x88, 0x88, 0x84];
        assert_eq!(dimensions(&scaling_lists), Some((98, 50)));
        let grey = [0x64, 0x00, 0x0d, 0xf3, 0x65, 0x05, 0x06, 0x7e, 0x36, 0x10];
        assert_eq!(dimensions(&grey), Some((320, 180)));
    }
}
