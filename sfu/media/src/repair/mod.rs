//! Mending loss: asking a publisher again, and answering a viewer who asks.

mod nack;
mod resend;

pub use nack::{Arrival, NackGenerator};
pub use resend::ResendGuard;
