//! Tongbu's native media plane.

pub mod clock;
pub mod codec;
pub mod crypto;
pub mod packet;
pub mod track;
