//! The sequence header OBU (AV1 specification 5.5.1), read as far as the picture size.

use crate::codec::bits::Bits;

/// `max_frame_width` and `max_frame_height` (AV1 specification 5.5.1).
pub(super) fn dimensions(header: &[u8]) -> Option<(u16, u16)> {
    let bits = &mut Bits::new(header);
    bits.skip(4)?; // seq_profile, still_picture
    if bits.flag()? {
        bits.skip(5)?; // reduced_still_picture_header: one level and nothing else
    } else {
        skip_operating_points(bits)?;
    }
    let width_bits = bits.bits(4)? + 1;
    let height_bits = bits.bits(4)? + 1;
    let width = bits.bits(width_bits)? + 1;
    let height = bits.bits(height_bits)? + 1;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn skip_operating_points(bits: &mut Bits) -> Option<()> {
    let delay_bits = if bits.flag()? {
        skip_timing(bits)?
    } else {
        None
    };
    let display_delay = bits.flag()?;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?; // operating_point_idc
        if bits.bits(5)? > 7 {
            bits.skip(1)?; // seq_tier
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?; // operating_parameters_info
        }
        if display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// `timing_info` and `decoder_model_info`. The latter tells the length of the delays.
fn skip_timing(bits: &mut Bits) -> Option<Option<u32>> {
    bits.skip(64)?;
    if bits.flag()? {
        bits.ue()?; // num_ticks_per_picture_minus_1
    }
    if !bits.flag()? {
        return Some(None);
    }
    let delay_bits = bits.bits(5)? + 1;
    bits.skip(32 + 5 + 5)?;
    Some(Some(delay_bits))
}
