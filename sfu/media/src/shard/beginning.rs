//! Who comes late sees a picture at once: the newest keyframe with all that followed, from the
//! cache, as fast as his pacer lets it pass. Where that would be too much a keyframe is asked for,
//! one for all who wait.

use super::Shard;
use crate::clock::Micros;
use crate::congestion::PACING_INTERVAL;
use crate::ids::UptrackId;
use crate::outbox::{Outbox, Transmit};
use crate::peer::Peer;
use crate::route::{Route, Viewer};

impl Shard {
    /// Let a viewer who has nothing of the track yet begin with its past, if that can be.
    pub(super) fn begin(&mut self, track: UptrackId, viewer: Viewer) {
        let Some(route) = self.routes.get(&track).filter(|r| r.video) else {
            return;
        };
        let Some(peer) = self.peers[viewer.peer].as_mut().filter(|p| p.is_reached()) else {
            return;
        };
        let sink = &mut peer.sinks[viewer.sink];
        let layer = route.serve(sink.downtrack.limit().stream);
        if sink.lagging || !sink.downtrack.has_nothing() {
            return;
        }
        sink.beginning = route.beginning(layer);
        if sink.beginning.is_some() {
            sink.lagging = true;
            sink.downtrack.set_hurried(true);
            self.beginners.push((track, viewer));
            self.next_pace = 0;
        }
    }

    /// Send more to those who begin.
    pub(super) fn serve_beginners<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let mut beginners = std::mem::take(&mut self.beginners);
        beginners.retain(|&(track, viewer)| {
            let route = self.routes.get(&track);
            match route.zip(self.peers[viewer.peer].as_mut()) {
                Some((route, peer)) => serve(track, route, peer, viewer.sink, now, outbox),
                None => false,
            }
        });
        if !beginners.is_empty() {
            self.next_pace = self.next_pace.min(now + PACING_INTERVAL);
        }
        self.beginners = beginners;
    }
}

/// Send what the pacer lets pass; tells whether there is more.
fn serve<T: Transmit + ?Sized>(
    track: UptrackId,
    route: &Route,
    peer: &mut Peer,
    sink: usize,
    now: Micros,
    outbox: &mut Outbox<T>,
) -> bool {
    // The slot, or the sink, may be another's by now.
    let Some(one) = peer.sinks.get_mut(sink).filter(|s| s.source == Some(track)) else {
        return false;
    };
    let Some(mut beginning) = one.beginning else {
        return false;
    };
    let end = route.end_of_past(beginning.origin);
    peer.pacer.refill(now);
    while beginning.next < end && peer.pacer.allows() {
        if let Some(packet) = route.cached(beginning.origin, beginning.next) {
            peer.forward_one(sink, packet, route, now, outbox);
        }
        beginning.next += 1;
    }
    let more = beginning.next < end;
    let one = &mut peer.sinks[sink];
    one.beginning = more.then_some(beginning);
    one.lagging = more;
    one.downtrack.set_hurried(more);
    more
}
