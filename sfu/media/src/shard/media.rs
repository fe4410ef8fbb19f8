//! What came in, carried to those who take it: forwarding, repair, keyframes, reports.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Event, Message, Shard};
use crate::clock::{Micros, SECOND};
use crate::congestion::PACING_INTERVAL;
use crate::demand::Layers;
use crate::ids::UptrackId;
use crate::outbox::{Outbox, Transmit};
use crate::peer::Peer;
use crate::route::{Lagging, Route};
use crate::track::{Origin, Packet, SenderClock};

/// A keyframe that is older than this is not what a viewer should begin with.
const FRESH: Micros = 2 * SECOND;

impl Shard {
    /// Send on what was taken and need not be held any longer: for each track and viewer the
    /// packets in a row, so that they lie side by side in the arena and leave as one train.
    pub fn forward<T: Transmit + ?Sized>(&mut self, now: Micros, outbox: &mut Outbox<T>) {
        let mut fed = std::mem::take(&mut self.fed);
        self.next_release = Micros::MAX;
        fed.retain(|&track| {
            let Some(due) = self.routes.get(&track).and_then(|r| r.due(self.hold)) else {
                return false;
            };
            if due > now {
                self.next_release = self.next_release.min(due);
                return true;
            }
            self.forward_track(track, now, outbox);
            false
        });
        self.fed = fed; // its memory serves the next batch
    }

    fn forward_track<T: Transmit + ?Sized>(
        &mut self,
        track: UptrackId,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some(route) = self.routes.get_mut(&track) else {
            return;
        };
        let numbers = route.release();
        let count = (numbers.end - numbers.start) as usize;
        let mut wanted = Layers::default();
        let mut lagging = std::mem::take(&mut route.lagging);
        let lagged = !lagging.is_empty();
        for &viewer in &route.viewers {
            let Some(peer) = self.peers[viewer.peer].as_mut() else {
                continue;
            };
            let layer = route.serve(peer.sinks[viewer.sink].downtrack.limit().stream);
            if !peer.sinks[viewer.sink].lagging {
                let sent = peer.forward(viewer.sink, route, numbers.start, now, outbox);
                if sent < count {
                    let next = numbers.start + sent as u64;
                    lagging.push(Lagging { viewer, next });
                    peer.sinks[viewer.sink].lagging = true;
                }
            }
            if peer.sinks[viewer.sink].downtrack.waits_for_keyframe(layer) {
                wanted.add(layer);
            }
        }
        self.counters.forwarded += (count * route.viewers.len()) as u64;
        if !lagged && !lagging.is_empty() {
            self.paced.push(track);
            self.next_pace = self.next_pace.min(now + PACING_INTERVAL);
        }
        route.lagging = lagging;
        route.trim();
        outbox.flush_some();
        for layer in wanted.iter() {
            self.request_keyframe(track, layer);
        }
    }

    /// Send more to the viewers whose pacers held something back.
    pub(super) fn pace<T: Transmit + ?Sized>(&mut self, now: Micros, outbox: &mut Outbox<T>) {
        let mut paced = std::mem::take(&mut self.paced);
        // Who has waited least goes first: the camera, which needs a little all the time, before a
        // page of slides, which takes all there is.
        paced.sort_by_key(|track| Reverse(self.routes.get(track).map(Route::waits_since)));
        paced.retain(|track| match self.routes.get_mut(track) {
            Some(route) => {
                send_to_lagging(route, &mut self.peers, now, outbox);
                !route.lagging.is_empty()
            }
            None => false,
        });
        self.next_pace = match paced.is_empty() {
            true => Micros::MAX,
            false => now + PACING_INTERVAL,
        };
        self.paced = paced;
        self.serve_beginners(now, outbox);
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
        let best = route.best();
        for journal in &mut route.journals {
            journal.handle_packet(&packet, best);
        }
        for shard in &route.shards {
            let message = Message::Media(track, Arc::clone(&packet));
            self.messages.push((shard.index, message));
        }
        if !route.is_holding() {
            self.fed.push(track);
        }
        let displaced = route.handle_packet(packet);
        if let (Some(packet), Some(&(slot, index))) = (displaced, self.uptracks.get(&track))
            && let Some(peer) = self.peers[slot].as_mut()
        {
            peer.uptracks[index].retire(packet);
        }
    }

    /// Another shard's track has begun here: its viewers begin with its past as they would there.
    pub(super) fn take_past(&mut self, track: UptrackId, packets: Vec<Arc<Packet>>) {
        let Some(route) = self.routes.get_mut(&track) else {
            return;
        };
        route.expects_past = false;
        for packet in &packets {
            route.keep(packet);
        }
        for viewer in route.viewers.clone() {
            self.give_picture(track, viewer);
        }
    }

    pub(super) fn take_clock(&mut self, track: UptrackId, origin: Origin, clock: SenderClock) {
        let Some(route) = self.routes.get_mut(&track) else {
            return;
        };
        route.handle_sender_report(origin, clock);
        for shard in &route.shards {
            self.messages
                .push((shard.index, Message::Clock(track, origin, clock)));
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
        peer.pacer.refill(now);
        let track = &mut peer.sinks[sink];
        if track.config.codec.is_video() && !peer.pacer.allows_repair() {
            track.counters.deferred += 1;
            return;
        }
        let route = track.source.and_then(|source| self.routes.get(&source));
        let traced = track.downtrack.trace(sequence);
        let found = route.zip(traced).and_then(|(route, traced)| {
            let packet = route.cached(traced.origin, traced.incoming)?;
            Some((route, packet, track.downtrack.stamp(traced, packet)?))
        });
        match found {
            None => track.counters.unavailable += 1,
            Some((route, packet, stamp)) if track.may_resend(sequence, now, rtt) => {
                peer.resend(sink, packet, stamp, route, now, outbox);
            }
            Some(_) => {}
        }
    }

    pub(super) fn keyframe_for(&mut self, slot: usize, sink: usize) {
        let Some(peer) = self.peers[slot].as_ref() else {
            return;
        };
        let sink = &peer.sinks[sink];
        if let Some(track) = sink.source {
            let route = self.routes.get(&track);
            let layer = route.map_or(0, |r| r.serve(sink.downtrack.limit().stream));
            self.request_keyframe(track, layer);
        }
    }

    /// Ask for a keyframe of a layer, wherever the publisher is.
    pub(super) fn request_keyframe(&mut self, track: UptrackId, layer: u8) {
        if track.shard() != self.config.index {
            let wanted = Message::KeyframeWanted(track, layer);
            self.messages.push((track.shard(), wanted));
            return;
        }
        let Some(&(slot, index)) = self.uptracks.get(&track) else {
            return;
        };
        if let Some(peer) = self.peers[slot].as_mut() {
            peer.uptracks[index].request_keyframe(layer);
        }
    }

    /// A viewer is about to come, and is going to begin with the newest keyframe and all that
    /// followed: ask for one of each stream where that is long ago.
    pub(super) fn freshen(&mut self, track: UptrackId, now: Micros) {
        let Some(&(slot, index)) = self.uptracks.get(&track) else {
            return;
        };
        let (Some(route), Some(peer)) = (self.routes.get(&track), self.peers[slot].as_mut()) else {
            return;
        };
        let uptrack = &mut peer.uptracks[index];
        for stream in route.streams(now) {
            let last = uptrack.last_keyframe(stream);
            if last.is_none_or(|at| now >= at + FRESH) {
                uptrack.request_keyframe(stream);
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
        for uptrack in &peer.uptracks {
            let route = self.routes.get_mut(&uptrack.id);
            if let Some(rates) = route.and_then(|r| r.poll_rates(now)) {
                self.events.push(Event::LayersChanged(uptrack.id, rates));
            }
        }
        self.scratch.clear();
        let mut load = 0;
        for sink in &mut peer.sinks {
            let route = sink.source.and_then(|source| self.routes.get(&source));
            let layer = sink.downtrack.layer();
            load += route
                .zip(layer)
                .map_or(0, |(r, layer)| r.bits_per_second(layer));
            let clock = route
                .zip(layer)
                .and_then(|(route, layer)| route.clock(layer));
            if let Some((origin, clock)) = clock
                && let Some(timestamp) = sink.downtrack.timestamp(origin, clock.timestamp)
            {
                sink.write_report(clock, timestamp, now, &mut self.scratch);
            }
        }
        peer.set_load(load / 8);
        peer.plan_redundancy(now);
        peer.trust_silence(now);
        peer.send_rtcp(&self.scratch, outbox);
        if peer.ice.poll_consent_lost(self.config.consent_timeout, now) {
            self.events.push(Event::ConsentLost(peer.id));
        }
    }
}

fn send_to_lagging<T: Transmit + ?Sized>(
    route: &mut Route,
    peers: &mut [Option<Peer>],
    now: Micros,
    outbox: &mut Outbox<T>,
) {
    let mut lagging = std::mem::take(&mut route.lagging);
    lagging.retain_mut(|lag| {
        let Some(peer) = peers[lag.viewer.peer].as_mut() else {
            return false;
        };
        let count = route.released(lag.next).size_hint().0;
        let sent = peer.forward(lag.viewer.sink, route, lag.next, now, outbox);
        lag.next += sent as u64;
        peer.sinks[lag.viewer.sink].lagging = sent < count;
        sent < count
    });
    route.lagging = lagging;
    route.trim();
}
