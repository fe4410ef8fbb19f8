//! Published streams, the views of them, and what lies between.

mod packet;

pub use packet::Packet;
