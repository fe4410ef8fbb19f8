//! Tongbu's native media plane.

pub mod clock;
pub mod codec;
pub mod journal;
pub mod packet;
pub mod track;
