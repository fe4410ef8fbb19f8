//! The plane's notion of time: an argument, never asked for inside a state machine.

/// Microseconds since the Unix epoch on the engine's clock: wall time when the engine
/// started, monotonic from there.
pub type Micros = u64;

/// One second of [`Micros`].
pub const SECOND: Micros = 1_000_000;
/// One millisecond of [`Micros`].
pub const MILLISECOND: Micros = 1_000;
