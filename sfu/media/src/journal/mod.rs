//! The lesson's journal: everything that was published, in the order in which it arrived.
//!
//! What may live here: the format on disk, the one writer of a journal, and its readers. What is
//! made of a journal is made elsewhere.
//!
//! # The format
//!
//! A journal is a directory:
//!
//! - `lock`: empty. Its writer holds an exclusive `flock(2)` on it for as long as it lives. A
//!   journal without an end record whose lock is free was abandoned.
//! - `00000001.tbj`, `00000002.tbj`, ...: segments, read in the order of their numbers. Only the
//!   last one grows. A writer that finds segments never touches them; it starts the next one.
//!
//! All numbers are little-endian; times are microseconds since the Unix epoch.
//!
//! A segment starts with a header of 32 bytes:
//!
//! | offset | type | what |
//! |---|---|---|
//! | 0 | 8 bytes | `TONGBUJ1` |
//! | 8 | u16 | version of the format: 1 |
//! | 10 | u16 | length of this header: 32; records begin here |
//! | 12 | u32 | number of the segment, as in its name |
//! | 16 | u64 | arrival of its first record |
//! | 24 | u32 | 0 |
//! | 28 | u32 | CRC-32 (IEEE 802.3, as in zlib) of the 28 bytes before |
//!
//! Records follow without padding:
//!
//! | offset | type | what |
//! |---|---|---|
//! | 0 | u32 | length of the body, at most 1 MiB |
//! | 4 | u32 | CRC-32 of everything from offset 8 to the end of the body |
//! | 8 | u8 | type |
//! | 9 | u8 | flags: 0; a reader ignores those it does not know |
//! | 10 | u16 | track; 0 when the record is of no track |
//! | 12 | u64 | arrival |
//! | 20 | | body |
//!
//! | type | body |
//! |---|---|
//! | 1 event | one JSON object, UTF-8. `{"type":"track_published","track":1,"codec":"H264",...}` tells the codec of a track |
//! | 2 RTP | an RTP packet: 12 bytes of header (RFC 3550, 5.1) without CSRCs and extensions, then the payload without padding. The packets of a track are one stream: one SSRC, sequence numbers without gaps unless packets were lost |
//! | 3 sender report | u64 NTP timestamp, u32 RTP timestamp (RFC 3550, 6.4.1) |
//! | 4 end | nothing: the journal was closed in good order |
//!
//! A record of another type is skipped. Records stand in the order in which they reached the
//! writer: packets of one track may be out of order (retransmissions come late), and arrivals of
//! different tracks may be by some milliseconds.
//!
//! # Order
//!
//! A reader puts the packets of a track in order by their sequence numbers and drops doubles. It
//! waits for a missing one until 1 s of the journal's time (the arrivals of any records) has
//! passed or 1,024 packets of the track are held; so it does for the packet that begins the first
//! keyframe, and for the event that tells the codec. Everything else passes at once. At the end
//! record nothing is waited for.
//!
//! # Damage
//!
//! The last record may be torn when the writer was killed or the disk was full. A reader waits for
//! the rest of it until a later segment exists or the writer is known to be gone. Where a record
//! does not check out, a reader looks byte by byte for the next one that does (of a known type,
//! with a length that this type can have, and with a good CRC) and counts one error.
//!
//! A writer that could not write cuts the segment back and writes the same bytes again later. Where
//! it cannot even cut, it writes those records again in the next segment: then some stand twice.

mod format;
mod queue;
mod reader;
mod segments;
mod tail;
mod track;
mod writer;

pub use queue::{JournalEntry, JournalSink, JournalStats};
pub use reader::{JournalReader, Packets, Record, RtpRecord};
pub use segments::{CreateSegment, SegmentFile};
pub use writer::{AlreadyLocked, Journal, JournalConfig, JournalNotice};
