//! Names that cross the seam: small integers, never reused, that tell their shard.

use std::sync::atomic::{AtomicU32, Ordering};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The shard that owns it: the low byte.
            pub fn shard(self) -> usize {
                (self.0 & 0xff) as usize
            }
        }
    };
}

id!(
    /// One connection.
    PeerId
);
id!(
    /// One published track.
    UptrackId
);
id!(
    /// One viewer's view of a track.
    DowntrackId
);
id!(
    /// One lesson's journal. Journals belong to no shard; their low byte is 0.
    JournalId
);

/// Gives out ids; shared by all of one engine, so that no two kinds ever look alike in a log.
#[derive(Debug, Default)]
pub struct IdSource(AtomicU32);

impl IdSource {
    /// The next number, with its owner in the low byte.
    pub fn next(&self, shard: usize) -> u32 {
        let serial = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        (serial << 8) | (shard as u32 & 0xff)
    }
}
