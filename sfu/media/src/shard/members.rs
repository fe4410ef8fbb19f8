//! Who is here: peers, their tracks, and the routes between them.

use std::net::SocketAddr;

use super::{Message, Shard};
use crate::clock::Micros;
use crate::demand::{Demand, Wants};
use crate::ice::{Credentials, IceLite};
use crate::ids::{DowntrackId, PeerId, UptrackId};
use crate::outbox::{Outbox, Transmit};
use crate::peer::{Peer, Srtp};
use crate::route::{Route, ShardTaker, Viewer};
use crate::track::{
    JournalTrack, Limit, PlayoutDelay, Recording, RtpSink, RtpSinkConfig, Uptrack, UptrackConfig,
};

impl Shard {
    pub(super) fn add_peer(&mut self, id: PeerId, credentials: Credentials, now: Micros) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        self.by_ufrag.insert(credentials.ufrag.clone(), slot);
        self.slots.insert(id, slot);
        self.peers[slot] = Some(Peer::new(id, IceLite::new(credentials, now)));
    }

    pub(super) fn remove_peer(&mut self, id: PeerId) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        let Some(peer) = self.peers[slot].take() else {
            return;
        };
        self.free.push(slot);
        self.publishers.retain(|s| *s != slot);
        for address in &peer.addresses {
            self.forget_address(*address, slot);
        }
        self.close_connections_of(slot);
        for ufrag in peer.ice.ufrags() {
            self.by_ufrag.remove(ufrag);
        }
        for sink in &peer.sinks {
            self.downtracks.remove(&sink.id);
            self.leave_route(sink.source, slot);
        }
        for track in &peer.uptracks {
            self.uptracks.remove(&track.id);
            self.end_route(track.id);
        }
    }

    /// An address that another peer has taken over meanwhile stays that peer's.
    pub(super) fn forget_address(&mut self, address: SocketAddr, slot: usize) {
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
    }

    pub(super) fn rotate_credentials(&mut self, id: PeerId, credentials: Credentials, now: Micros) {
        let Some((slot, peer)) = self.peer_mut(id) else {
            return;
        };
        let ufrag = credentials.ufrag.clone();
        let forgotten = peer.ice.restart(credentials, now);
        forgotten.and_then(|old| self.by_ufrag.remove(&old));
        self.by_ufrag.insert(ufrag, slot);
    }

    pub(super) fn send_dtls<T: Transmit + ?Sized>(
        &mut self,
        id: PeerId,
        datagram: &[u8],
        outbox: &mut Outbox<T>,
    ) {
        let path = self.peer_mut(id).and_then(|(_, peer)| peer.ice.path());
        if let Some(path) = path {
            outbox.push(path, datagram);
        }
    }

    pub(super) fn set_keys<T: Transmit + ?Sized>(
        &mut self,
        id: PeerId,
        srtp: Srtp,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some((slot, peer)) = self.peer_mut(id) else {
            return;
        };
        peer.srtp = Some(srtp);
        let early = peer.take_early();
        let sources: Vec<_> = peer.sinks.iter().map(|s| s.source).collect();
        for (sink, track) in (0..).zip(sources) {
            if let Some(track) = track {
                self.give_picture(track, Viewer { peer: slot, sink });
            }
        }
        for mut datagram in early {
            self.handle_srtp_of(slot, &mut datagram, now, outbox, Peer::handle_rtp);
        }
    }

    pub(super) fn add_uptrack(
        &mut self,
        peer: PeerId,
        id: UptrackId,
        config: UptrackConfig,
        now: Micros,
    ) {
        let Some((slot, peer)) = self.peer_mut(peer) else {
            return;
        };
        let mut route = Route::new(id, config.codec.is_video());
        route.demand = Some(Demand::new(config.rids.len(), now));
        peer.uptracks.push(Uptrack::new(id, config));
        let index = peer.uptracks.len() - 1;
        self.uptracks.insert(id, (slot, index));
        if index == 0 {
            self.publishers.push(slot);
        }
        self.routes.insert(id, route);
    }

    pub(super) fn add_downtrack(&mut self, peer: PeerId, id: DowntrackId, config: RtpSinkConfig) {
        let Some((slot, peer)) = self.peer_mut(peer) else {
            return;
        };
        peer.add_sink(RtpSink::new(id, config));
        let sink = peer.sinks.len() - 1;
        self.downtracks.insert(id, Viewer { peer: slot, sink });
    }

    /// Those who take it wait for another source; journals have it to its end.
    pub(super) fn remove_uptrack(&mut self, id: UptrackId) {
        let Some((slot, index)) = self.uptracks.remove(&id) else {
            return;
        };
        self.end_route(id);
        let Some(peer) = self.peers[slot].as_mut() else {
            return;
        };
        peer.remove_uptrack(index);
        if let Some(moved) = peer.uptracks.get(index) {
            self.uptracks.insert(moved.id, (slot, index));
        }
        if peer.uptracks.is_empty() {
            self.publishers.retain(|s| *s != slot);
        }
    }

    pub(super) fn remove_downtrack(&mut self, id: DowntrackId) {
        let Some(viewer) = self.downtracks.remove(&id) else {
            return;
        };
        let Some(peer) = self.peers[viewer.peer].as_mut() else {
            return;
        };
        let gone = peer.remove_sink(viewer.sink);
        let last = Viewer {
            sink: peer.sinks.len(),
            ..viewer
        };
        let moved = peer.sinks.get(viewer.sink).map(|s| (s.id, s.source));
        self.beginners.retain(|(_, v)| *v != viewer);
        if let Some(track) = gone.source {
            if let Some(route) = self.routes.get_mut(&track) {
                route.forget_viewer(viewer);
            }
            self.drop_idle_route(track);
        }
        if let Some((moved, source)) = moved {
            self.downtracks.insert(moved, viewer);
            let beginners = self.beginners.iter_mut().filter(|(_, v)| *v == last);
            beginners.for_each(|(_, v)| *v = viewer);
            if let Some(route) = source.and_then(|track| self.routes.get_mut(&track)) {
                route.rename_viewer(last, viewer);
            }
        }
    }

    pub(super) fn set_source(&mut self, id: DowntrackId, source: Option<UptrackId>) {
        let Some(&viewer) = self.downtracks.get(&id) else {
            return;
        };
        let Some(peer) = self.peers[viewer.peer].as_mut() else {
            return;
        };
        let here = self.config.index;
        let gone = |track: &UptrackId| track.shard() == here && !self.routes.contains_key(track);
        let source = source.filter(|track| !gone(track));
        let sink = &mut peer.sinks[viewer.sink];
        if sink.source == source {
            return;
        }
        let video = sink.config.codec.is_video();
        let old = std::mem::replace(&mut sink.source, source);
        sink.lagging = false;
        sink.beginning = None;
        sink.downtrack.handle_source_change();
        if let Some(route) = old.and_then(|old| self.routes.get_mut(&old)) {
            route.forget_viewer(viewer);
        }
        old.into_iter()
            .for_each(|track| self.drop_idle_route(track));
        if let Some(track) = source {
            self.join_route(track, viewer, video);
            self.give_picture(track, viewer);
        }
    }

    pub(super) fn set_paused(&mut self, id: DowntrackId, paused: bool) {
        let Some(&viewer) = self.downtracks.get(&id) else {
            return;
        };
        if let Some(peer) = self.peers[viewer.peer].as_mut() {
            let sink = &mut peer.sinks[viewer.sink];
            sink.downtrack.pause(paused);
            if let (Some(track), false) = (sink.source, paused) {
                self.reconsider(track);
                self.want_picture(track);
            }
        }
    }

    pub(super) fn set_limit(&mut self, id: DowntrackId, limit: Limit) {
        let Some(&viewer) = self.downtracks.get(&id) else {
            return;
        };
        let Some(peer) = self.peers[viewer.peer].as_mut() else {
            return;
        };
        let sink = &mut peer.sinks[viewer.sink];
        sink.downtrack.set_limit(limit);
        let Some((track, route)) = sink.source.and_then(|t| Some((t, self.routes.get(&t)?))) else {
            return;
        };
        let layer = route.serve(limit.stream);
        let waits = route.video && sink.downtrack.waits_for_keyframe(layer);
        self.reconsider(track);
        if waits {
            self.request_keyframe(track, layer);
        }
    }

    pub(super) fn set_playout_delay(&mut self, id: DowntrackId, delay: PlayoutDelay) {
        let Some(&viewer) = self.downtracks.get(&id) else {
            return;
        };
        if let Some(peer) = self.peers[viewer.peer].as_mut() {
            let sink = &mut peer.sinks[viewer.sink];
            match sink.config.codec.is_video() {
                true => sink.set_playout_delay(delay),
                false => peer.sound_delay = delay.least(),
            }
        }
    }

    pub(super) fn set_wanted(&mut self, id: PeerId, bits_per_second: u64, now: Micros) {
        if let Some((_, peer)) = self.peer_mut(id) {
            peer.sent.set_wanted(bits_per_second, now);
        }
    }

    pub(super) fn record(&mut self, track: UptrackId, recording: Recording) {
        let found = self
            .uptracks
            .get(&track)
            .copied()
            .zip(self.routes.get_mut(&track));
        if let Some(((slot, index), route)) = found
            && let Some(peer) = self.peers[slot].as_ref()
        {
            let config = &peer.uptracks[index].config;
            let journal = JournalTrack::new(recording, config.codec, config.clock_rate);
            route.journals.push(journal);
            self.reconsider(track);
            self.want_picture(track);
        }
    }

    pub(super) fn peer_mut(&mut self, id: PeerId) -> Option<(usize, &mut Peer)> {
        let slot = *self.slots.get(&id)?;
        Some((slot, self.peers[slot].as_mut()?))
    }

    // ------------------------------------------------------------------ routes

    pub(super) fn want_picture(&mut self, track: UptrackId) {
        if let Some(route) = self.routes.get(&track).filter(|r| r.video) {
            let best = route.best();
            self.request_keyframe(track, best);
        }
    }

    /// A viewer begins with what is here, or else a keyframe is asked for.
    pub(super) fn give_picture(&mut self, track: UptrackId, viewer: Viewer) {
        self.begin(track, viewer);
        let sink = self.peers[viewer.peer]
            .as_ref()
            .map(|p| &p.sinks[viewer.sink]);
        let Some(sink) = sink.filter(|s| s.beginning.is_none()) else {
            return;
        };
        let route = self.routes.get(&track);
        if let Some(route) = route.filter(|r| r.video && !r.expects_past) {
            let layer = route.serve(sink.downtrack.limit().stream);
            self.request_keyframe(track, layer);
        }
    }

    pub(super) fn join_route(&mut self, track: UptrackId, viewer: Viewer, video: bool) {
        let here = self.config.index;
        if track.shard() != here && !self.routes.contains_key(&track) {
            let mut route = Route::new(track, video);
            route.expects_past = true;
            self.routes.insert(track, route);
            self.messages
                .push((track.shard(), Message::Subscribe(track, here)));
        }
        if let Some(route) = self.routes.get_mut(&track) {
            route.viewers.push(viewer);
            self.reconsider(track);
        }
    }

    pub(super) fn leave_route(&mut self, track: Option<UptrackId>, slot: usize) {
        let Some(track) = track else {
            return;
        };
        if let Some(route) = self.routes.get_mut(&track) {
            route.forget_peer(slot);
        }
        self.drop_idle_route(track);
    }

    /// A copy of another shard's route is kept only while somebody here takes it.
    pub(super) fn drop_idle_route(&mut self, track: UptrackId) {
        let here = self.config.index;
        let idle = self
            .routes
            .get(&track)
            .is_some_and(|r| r.viewers.is_empty());
        if idle && track.shard() != here {
            self.routes.remove(&track);
            self.messages
                .push((track.shard(), Message::Unsubscribe(track, here)));
        }
    }

    pub(super) fn subscribe_shard(&mut self, track: UptrackId, shard: usize) {
        match self.routes.get_mut(&track) {
            Some(route) => {
                if route.shards.iter().all(|s| s.index != shard) {
                    let wants = Wants::default();
                    route.shards.push(ShardTaker {
                        index: shard,
                        wants,
                    });
                }
                let past = route.past().collect();
                self.messages.push((shard, Message::Past(track, past)));
            }
            None => self.messages.push((shard, Message::Ended(track))),
        }
    }

    /// The track is gone: its viewers wait for another source.
    pub(super) fn end_route(&mut self, track: UptrackId) {
        let Some(route) = self.routes.remove(&track) else {
            return;
        };
        for viewer in route.viewers {
            if let Some(peer) = self.peers[viewer.peer].as_mut() {
                let sink = &mut peer.sinks[viewer.sink];
                sink.source = None;
                sink.lagging = false;
                sink.beginning = None;
                sink.downtrack.handle_source_change();
            }
        }
        for shard in route.shards {
            self.messages.push((shard.index, Message::Ended(track)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::outbox::Outgoing;
    use crate::packet::extension::ExtensionMap;
    use crate::shard::{Command, ShardConfig};

    struct Nowhere;

    impl Transmit for Nowhere {
        fn transmit(&mut self, _: &[u8], _: &[Outgoing]) {}
    }

    fn uptrack() -> Box<UptrackConfig> {
        Box::new(UptrackConfig {
            mid: "0".into(),
            codec: Codec::Vp8,
            payload_type: 96,
            rtx_payload_type: None,
            clock_rate: 90_000,
            nack: true,
            extensions: ExtensionMap::default(),
            rids: Vec::new(),
            ssrcs: vec![1],
        })
    }

    fn downtrack(ssrc: u32) -> Box<RtpSinkConfig> {
        Box::new(RtpSinkConfig {
            mid: "0".into(),
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: None,
            flexfec: None,
            red_payload_type: None,
            clock_rate: 90_000,
            ssrc,
            cname: String::new(),
            extensions: ExtensionMap::default(),
            start: (0, 0),
        })
    }

    #[test]
    fn nothing_is_left_of_a_thousand_tracks() {
        let mut outbox = Outbox::new(Box::new(Nowhere));
        let config = ShardConfig {
            index: 0,
            consent_timeout: 1,
        };
        let mut shard = Shard::new(config);
        let mut tell = |command| shard.handle_command(command, 7, &mut outbox);
        let peer = PeerId(1 << 8);
        let credentials = Credentials {
            ufrag: "u".into(),
            pwd: "p".into(),
        };
        tell(Command::AddPeer(peer, credentials));
        let steady = (UptrackId(2 << 8), DowntrackId(3 << 8));
        tell(Command::AddUptrack(peer, steady.0, uptrack()));
        tell(Command::AddDowntrack(peer, steady.1, downtrack(3)));
        for id in (4..1_004).map(|n| n << 8) {
            let (up, down) = (UptrackId(id), DowntrackId(id));
            tell(Command::AddUptrack(peer, up, uptrack()));
            tell(Command::AddDowntrack(peer, down, downtrack(id)));
            tell(Command::SetSource(down, Some(up)));
            tell(Command::SetSource(steady.1, Some(up)));
            if id % 512 == 0 {
                tell(Command::RemoveUptrack(up));
                tell(Command::RemoveDowntrack(down));
            } else {
                tell(Command::RemoveDowntrack(down));
                tell(Command::RemoveUptrack(up));
            }
        }
        assert_eq!((shard.uptracks.len(), shard.downtracks.len()), (1, 1));
        assert_eq!((shard.routes.len(), shard.publishers.len()), (1, 1));
        assert!(shard.fed.is_empty() && shard.paced.is_empty() && shard.beginners.is_empty());
        let peer = shard.peers().next().expect("one");
        assert_eq!((peer.uptracks.len(), peer.sinks.len()), (1, 1));
        assert_eq!(peer.sinks[0].source, None);
        shard.handle_command(Command::RemoveUptrack(steady.0), 7, &mut outbox);
        assert!(shard.publishers.is_empty() && shard.routes.is_empty());
    }
}
