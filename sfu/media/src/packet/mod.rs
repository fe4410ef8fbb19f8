//! Wire formats: parse and write in place; no state.
//!
//! What arrives is borrowed, never copied: a parser takes a slice and hands back views of it. Remote
//! input yields a [`ParseError`], never a panic; each parser has a fuzz target (`fuzz/`). Writers
//! append to a `Vec<u8>` that the caller reuses, so that neither way allocates in the steady state.

use std::fmt;

pub mod extension;
mod reader;
pub mod rtcp;
pub mod rtp;
pub mod stun;

use reader::Reader;

/// Why bytes from the network are not what they should be. The peer misbehaved; drop the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It ends before what it announces.
    Truncated,
    /// Its version or magic is another protocol's.
    Version,
    /// The named field contradicts the rest.
    Malformed(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the packet ends before what it announces"),
            Self::Version => f.write_str("the packet is of another protocol or version"),
            Self::Malformed(field) => write!(f, "the packet's {field} contradicts the rest"),
        }
    }
}

impl std::error::Error for ParseError {}
