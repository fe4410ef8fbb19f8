//! The ways to viewers: what they carry is told to Python, and tried with padding where more is
//! wanted.

use super::{Event, Shard};
use crate::clock::{MILLISECOND, Micros};
use crate::outbox::{Outbox, Transmit};

/// Links are looked at in so many turns, one at each feedback: each link every 50 ms.
const TURNS: usize = 5;
/// A link that is being tried is looked at in each turn for so long.
const TRIED: Micros = 250 * MILLISECOND;
/// Packets repeated at most to fill one piece of a probe; small ones do not fill much.
const MAX_REPEATED: u64 = 64;

/// Who is looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Links {
    turn: usize,
    /// Slots of the peers whose links are being tried, and until when.
    tried: Vec<(usize, Micros)>,
}

impl Shard {
    /// Look at the links whose turn it is.
    pub(super) fn visit_links<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let mut tried = std::mem::take(&mut self.links.tried);
        tried.retain(|&(slot, until)| {
            self.try_link(slot, now, outbox);
            now < until
        });
        self.links.turn = (self.links.turn + 1) % TURNS;
        for slot in (self.links.turn..self.peers.len()).step_by(TURNS) {
            let Some(peer) = self.peers[slot].as_mut() else {
                continue;
            };
            // While nothing is heard nothing is decided: what was sent before goes on afterwards.
            let state = peer.sent.poll_change(now).filter(|state| state.feedback);
            if let Some((state, path)) = state.zip(peer.ice.path()) {
                let event = Event::LinkChanged(peer.id, state, path.carrier());
                self.events.push(event);
            }
            peer.poll_parity(now, outbox);
            if self.try_link(slot, now, outbox) && tried.iter().all(|(s, _)| *s != slot) {
                tried.push((slot, now + TRIED));
            }
        }
        self.links.tried = tried;
    }

    /// Send what is due of a probe: the newest packets again, which may mend a loss as well, and
    /// padding where there are none. Tells whether there was something due.
    fn try_link<T: Transmit + ?Sized>(
        &mut self,
        slot: usize,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) -> bool {
        let Some(peer) = self.peers[slot].as_mut() else {
            return false;
        };
        let Some(sink) = peer.sinks.iter().position(|s| s.config.rtx.is_some()) else {
            return false;
        };
        let Some(probe) = peer.sent.poll_probe(now) else {
            return false;
        };
        let mut due = probe.bytes as usize;
        for index in sink..peer.sinks.len() {
            let track = &peer.sinks[index];
            let Some(route) = track.source.and_then(|source| self.routes.get(&source)) else {
                continue;
            };
            let newest = track.downtrack.next_sequence();
            for back in 1..=MAX_REPEATED {
                let track = &peer.sinks[index];
                let traced = track.downtrack.trace(newest.wrapping_sub(back) as u16);
                let Some((traced, packet)) =
                    traced.and_then(|t| Some((t, route.cached(t.origin, t.incoming)?)))
                else {
                    break;
                };
                let stamp = track.downtrack.stamp(traced, packet);
                let sent = stamp.map_or(0, |stamp| peer.repeat(index, packet, stamp, now, outbox));
                due = due.saturating_sub(sent);
                if due == 0 {
                    return true;
                }
            }
        }
        peer.pad(sink, due, now, outbox);
        true
    }
}
