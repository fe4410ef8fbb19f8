//! What came in, carried to those who take it: forwarding, repair, keyframes, reports.

use std::sync::Arc;

use super::{Event, Message, Shard};
use crate::clock::Micros;
use crate::ids::UptrackId;
use crate::outbox::{Outbox, Transmit};
use crate::route::Route;
use crate::track::{Origin, Packet, SenderClock};

impl Shard {
    /// Send on what was taken since the last call: for each track and viewer the packets in a
    /// row, so that they lie side by side in the arena and leave as one train.
    pub fn forward<T: Transmit + ?Sized>(&mut self, outbox: &mut Outbox<T>) {
        let mut fed = std::mem::take(&mut self.fed);
        for track in fed.drain(..) {
            let waiting = self.forward_track(track, outbox);
            if let Some(layer) = waiting {
                self.request_keyframe(track, Some(layer));
            }
        }
        self.fed = fed; // its memory serves the next batch
    }

    /// Returns the layer that somebody waits for a keyframe of.
    fn forward_track<T: Transmit + ?Sized>(
        &mut self,
        track: UptrackId,
        outbox: &mut Outbox<T>,
    ) -> Option<u8> {
        let route = self.routes.get_mut(&track)?;
        let best = route.best();
        let mut waiting = false;
        for viewer in &route.viewers {
            let Some(peer) = self.peers[viewer.peer].as_mut() else {
                continue;
            };
            let (Some(srtp), Some(path)) = (peer.srtp.as_ref(), peer.ice.path()) else {
                continue;
            };
            let sink = &mut peer.sinks[viewer.sink];
            for packet in &route.pending {
                sink.forward(packet, best, (&srtp.outbound, path), outbox);
            }
            waiting |= sink.downtrack.waits_for_keyframe(best);
        }
        self.counters.forwarded += (route.pending.len() * route.viewers.len()) as u64;
        for packet in route.pending.drain(..) {
            for journal in &mut route.journals {
                journal.handle_packet(&packet, best);
            }
            for &shard in &route.shards {
                let message = Message::Media(track, Arc::clone(&packet));
                self.messages.push((shard, message));
            }
        }
        waiting.then_some(best)
    }

    pub(super) fn started(&mut self, uptrack: UptrackId, layer: usize, ssrc: u32) {
        let Some(&(slot, index)) = self.uptracks.get(&uptrack) else {
            return;
        };
        if let Some(peer) = self.peers[slot].as_mut() {
            let track = &mut peer.uptracks[index];
            let rid = track.config.rids.get(layer).cloned().unwrap_or_default();
            self.events.push(Event::StreamStarted(uptrack, rid, ssrc));
        }
    }

    pub(super) fn take_media(&mut self, track: UptrackId, packet: Arc<Packet>) {
        let Some(route) = self.routes.get_mut(&track) else {
            return;
        };
        if route.pending.is_empty() {
            self.fed.push(track);
        }
        let displaced = route.handle_packet(packet);
        if let (Some(packet), Some(&(slot, index))) = (displaced, self.uptracks.get(&track))
            && let Some(peer) = self.peers[slot].as_mut()
        {
            peer.uptracks[index].retire(packet);
        }
    }

    pub(super) fn take_clock(&mut self, track: UptrackId, origin: Origin, clock: SenderClock) {
        let Some(route) = self.routes.get_mut(&track) else {
            return;
        };
        route.handle_sender_report(origin, clock);
        for &shard in &route.shards {
            self.messages
                .push((shard, Message::Clock(track, origin, clock)));
        }
    }

    pub(super) fn resend<T: Transmit + ?Sized>(
        &mut self,
        slot: usize,
        sink: usize,
        sequence: u16,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some(peer) = self.peers[slot].as_mut() else {
            return;
        };
        let rtt = peer.rtt();
        let (Some(srtp), Some(path)) = (peer.srtp.as_ref(), peer.ice.path()) else {
            return;
        };
        let sink = &mut peer.sinks[sink];
        let route = sink.source.and_then(|source| self.routes.get(&source));
        let traced = sink.downtrack.trace(sequence);
        let found = route
            .zip(traced)
            .and_then(|(route, (origin, incoming, stamp))| {
                Some((route.cached(origin, incoming)?, stamp))
            });
        match found {
            None => sink.counters.unavailable += 1,
            Some((packet, stamp)) if sink.may_resend(sequence, now, rtt) => {
                sink.resend(packet, stamp, (&srtp.outbound, path), outbox);
            }
            Some(_) => {}
        }
    }

    pub(super) fn keyframe_for(&mut self, slot: usize, sink: usize) {
        let source = self.peers[slot].as_ref().and_then(|p| p.sinks[sink].source);
        if let Some(track) = source {
            let best = self.routes.get(&track).map(Route::best);
            self.request_keyframe(track, best);
        }
    }

    /// Ask for a keyframe of a layer, or of all, wherever the publisher is.
    pub(super) fn request_keyframe(&mut self, track: UptrackId, layer: Option<u8>) {
        if track.shard() != self.config.index {
            let wanted = Message::KeyframeWanted(track, layer.unwrap_or(0));
            self.messages.push((track.shard(), wanted));
            return;
        }
        let Some(&(slot, index)) = self.uptracks.get(&track) else {
            return;
        };
        if let Some(peer) = self.peers[slot].as_mut() {
            match layer {
                Some(layer) => peer.uptracks[index].request_keyframe(layer),
                None => peer.uptracks[index].request_keyframes(),
            }
        }
    }

    pub(super) fn ask_for_journal_keyframes(&mut self, now: Micros) {
        for route in self
            .routes
            .values()
            .filter(|r| r.video && !r.journals.is_empty())
        {
            let Some(&(slot, index)) = self.uptracks.get(&route.uptrack) else {
                continue;
            };
            let Some(peer) = self.peers[slot].as_mut() else {
                continue;
            };
            let track = &mut peer.uptracks[index];
            let best = route.best();
            let last = track.last_keyframe(best);
            let wanted = route
                .journals
                .iter()
                .any(|j| j.wants_keyframe(best, last, now));
            if wanted && route.flows(now) {
                track.request_keyframe(best);
            }
        }
    }

    /// Once a second: reports and consent.
    pub(super) fn visit_peer<T: Transmit + ?Sized>(
        &mut self,
        slot: usize,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some(peer) = self.peers[slot].as_mut() else {
            return;
        };
        peer.poll_reports(now, &mut self.scratch, outbox);
        self.scratch.clear();
        for sink in &mut peer.sinks {
            let route = sink.source.and_then(|source| self.routes.get(&source));
            let layer = sink.downtrack.layer();
            let clock = route
                .zip(layer)
                .and_then(|(route, layer)| route.clock(layer));
            if let Some((origin, clock)) = clock
                && let Some(timestamp) = sink.downtrack.timestamp(origin, clock.timestamp)
            {
                sink.write_report(clock, timestamp, now, &mut self.scratch);
            }
        }
        peer.send_rtcp(&self.scratch, outbox);
        if peer.ice.poll_consent_lost(self.config.consent_timeout, now) {
            self.events.push(Event::ConsentLost(peer.id));
        }
    }
}
