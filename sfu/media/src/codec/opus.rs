//! Opus (RFC 7587): a packet is a frame, and each can be decoded.

use super::depacketiser::{self, Malformed};

pub(super) struct Assembler;

impl depacketiser::Assembler for Assembler {
    fn begins_frame(&self, _payload: &[u8]) -> bool {
        true
    }

    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        frame.extend_from_slice(payload);
        Ok(true)
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        Ok(true)
    }

    fn reset(&mut self) {}
}
