//! Mending loss: asking a publisher again, answering a viewer who asks, and sending what makes
//! asking unnecessary.

pub mod flexfec;
mod nack;
pub mod red;
mod resend;

pub use nack::{Arrival, NackGenerator};
pub use resend::ResendGuard;
