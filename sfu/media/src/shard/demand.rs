//! Which streams of a track its takers want: gathered on each shard, told to the publisher's, and
//! by that to Python.

use super::{Event, Message, Shard};
use crate::clock::Micros;
use crate::demand::{Layers, Wants};
use crate::ids::UptrackId;
use crate::peer::Peer;
use crate::route::Route;

impl Shard {
    /// Somebody may want more of the track from now on.
    pub(super) fn reconsider(&mut self, track: UptrackId) {
        if self.reconsidered.iter().all(|(t, _)| *t != track) {
            self.reconsidered.push((track, 0));
        }
    }

    /// Another shard's takers want this of a track here.
    pub(super) fn take_wants(&mut self, track: UptrackId, shard: usize, wants: Wants) {
        if let Some(route) = self.routes.get_mut(&track)
            && let Some(taker) = route.shards.iter_mut().find(|s| s.index == shard)
        {
            taker.wants = wants;
            self.reconsider(track);
        }
    }

    /// Look at the tracks of which somebody may want more.
    pub(super) fn visit_demand(&mut self, now: Micros) {
        let mut reconsidered = std::mem::take(&mut self.reconsidered);
        reconsidered.retain_mut(|(track, due)| {
            if now >= *due {
                match self.tell_demand(*track, now) {
                    Some(next) => *due = next,
                    None => return false,
                }
            }
            true
        });
        reconsidered.append(&mut self.reconsidered);
        self.reconsidered = reconsidered;
    }

    /// Once a second: copies of other shards' tracks, of which somebody may want less.
    pub(super) fn reconsider_copies(&mut self) {
        let here = self.config.index;
        let reconsidered = &mut self.reconsidered;
        for &track in self.routes.keys().filter(|t| t.shard() != here) {
            if reconsidered.iter().all(|(known, _)| *known != track) {
                reconsidered.push((track, 0));
            }
        }
    }

    /// Once a second: the tracks of a publisher.
    pub(super) fn visit_demand_of(&mut self, slot: usize, now: Micros) {
        let tracks = self.peers[slot].as_ref().map_or(0, |p| p.uptracks.len());
        for index in 0..tracks {
            let Some(track) = self.peers[slot].as_ref().map(|p| p.uptracks[index].id) else {
                return;
            };
            self.tell_demand(track, now);
        }
    }

    /// Tell what is wanted of a track where it is news. Returns when to look again if more is
    /// wanted than may be told now.
    fn tell_demand(&mut self, track: UptrackId, now: Micros) -> Option<Micros> {
        let here = self.config.index;
        let route = self.routes.get_mut(&track).filter(|r| r.video)?;
        let wants = wants_here(route, &self.peers);
        if track.shard() != here {
            if route.wants_told != wants {
                route.wants_told = wants;
                let message = Message::Wanted(track, here, wants);
                self.messages.push((track.shard(), message));
            }
            return None;
        }
        let wants = route.shards.iter().fold(wants, |all, s| all.and(s.wants));
        let wanted = route.resolve(wants);
        if let Some(streams) = route.poll_demand(wanted, now) {
            let streams: Vec<u8> = streams.iter().collect();
            self.events.push(Event::LayersWanted(track, streams));
        }
        let demand = route.demand.as_ref()?;
        demand.due().filter(|_| demand.lacks(wanted))
    }
}

/// What the viewers and journals of this shard want: what they may have, what stands in for it, and
/// what they are on until they can change.
fn wants_here(route: &Route, peers: &[Option<Peer>]) -> Wants {
    let mut wants = Wants::default();
    for viewer in &route.viewers {
        let Some(peer) = peers[viewer.peer].as_ref() else {
            continue;
        };
        let downtrack = &peer.sinks[viewer.sink].downtrack;
        if downtrack.is_paused() {
            continue;
        }
        let stream = downtrack.limit().stream;
        wants.add(stream);
        wants.streams.add(route.serve(stream));
        downtrack
            .layer()
            .into_iter()
            .for_each(|l| wants.streams.add(l));
    }
    for journal in &route.journals {
        wants.add(None);
        journal
            .layer()
            .into_iter()
            .for_each(|l| wants.streams.add(l));
    }
    wants
}

impl Route {
    /// The streams that are meant: for the best one the one that costs most, and all that were
    /// never seen, for one of them may be better.
    fn resolve(&self, wants: Wants) -> Layers {
        let all = self.demand.as_ref().map(|d| d.all()).unwrap_or_default();
        let mut wanted = wants.streams;
        // Who may have more than there is has the best.
        if wants.best || !wanted.without(all).is_empty() {
            let cost = |stream: u8| self.bits_per_second(stream);
            all.iter()
                .filter(|stream| cost(*stream) == 0)
                .chain(all.iter().max_by_key(|stream| cost(*stream)))
                .for_each(|stream| wanted.add(stream));
        }
        wanted
    }
}
