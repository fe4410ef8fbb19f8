//! The fan-out of one published track on one shard: its recent packets, and who takes it here.
//!
//! The shard that the publisher belongs to has a route, and so has every shard with a viewer;
//! packets cross between them by shared reference, and each route keeps its own window of them.

mod releasing;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::{MILLISECOND, Micros};
use crate::codec::Layer;
use crate::demand::{Demand, Layers, Wants};
use crate::ids::{JournalId, UptrackId};
use crate::track::{Cache, JournalTrack, Meter, Origin, Packet, Past, SenderClock};

/// Packets kept of one video stream: at 2 Mbit/s some 5 s, several round trips of a satellite.
const VIDEO_CACHE: usize = 1_024;
/// Packets kept of one audio stream: 5 s.
const AUDIO_CACHE: usize = 256;
/// Which layers there are is looked at this often.
const CHOICE_INTERVAL: Micros = 50 * MILLISECOND;
/// A viewer begins with packets of the past if they are no more than this; a keyframe costs all
/// viewers about as much.
const MAX_BEGINNING: u64 = 300;
const MAX_BEGINNING_BYTES: usize = 150_000;
/// A layer's cost is told again when it has changed by more than this part of it.
const NEWS: u64 = 10;
/// Simulcast layers one track may have.
pub const MAX_LAYERS: usize = 8;

/// A packet on its way to the viewers.
#[derive(Clone, Debug)]
pub struct Released {
    /// The packet.
    pub packet: Arc<Packet>,
    /// Padding that gives it the size of its neighbours, so that they leave as one train.
    pub padding: u8,
}

/// What it costs to take a layer with those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRate {
    /// Simulcast layer, in the order of the offer.
    pub stream: u8,
    /// Spatial layer within it.
    pub spatial: u8,
    /// Temporal layer within it.
    pub temporal: u8,
    /// On the wire, smoothed.
    pub bits_per_second: u64,
}

impl LayerRate {
    /// The same layer at about the same cost.
    fn is_like(&self, other: &Self) -> bool {
        let place = |rate: &Self| (rate.stream, rate.spatial, rate.temporal);
        let difference = self.bits_per_second.abs_diff(other.bits_per_second);
        place(self) == place(other) && difference * NEWS <= other.bits_per_second
    }
}

/// Where a viewer stands who begins with packets of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The stream.
    pub origin: Origin,
    /// The packet that is next.
    pub next: u64,
}

/// A viewer who was not sent everything yet.
#[derive(Clone, Copy, Debug)]
pub struct Lagging {
    /// Who.
    pub viewer: Viewer,
    /// Number of the packet that is next.
    pub next: u64,
}

/// A viewer's track, by its place in the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Slot of the peer.
    pub peer: usize,
    /// Index among the peer's sinks.
    pub sink: usize,
}

/// Another shard that takes a track.
#[derive(Clone, Copy, Debug)]
pub struct ShardTaker {
    /// Which.
    pub index: usize,
    /// What its viewers want.
    pub wants: Wants,
}

/// One layer of simulcast as this shard sees it.
#[derive(Debug)]
struct Stream {
    cache: Cache,
    clock: Option<(Origin, SenderClock)>,
    meter: Meter,
    /// First packet of the newest keyframe and its timestamp; the number after the newest packet.
    keyframe: Option<(Origin, u64, u32)>,
    next: u64,
}

impl Stream {
    /// A single layer counts also while it stands still: a slide.
    fn active(&self, now: Micros, layers: usize) -> bool {
        layers == 1 || !self.meter.idle(now)
    }

    fn new(video: bool) -> Self {
        Self {
            cache: Cache::new(if video { VIDEO_CACHE } else { AUDIO_CACHE }),
            clock: None,
            meter: Meter::default(),
            keyframe: None,
            next: 0,
        }
    }

    fn note(&mut self, packet: &Packet) {
        let same = self
            .keyframe
            .filter(|(origin, ..)| *origin == packet.origin);
        if same.is_none() {
            (self.keyframe, self.next) = (None, 0);
        }
        self.next = self.next.max(packet.sequence + 1);
        // A keyframe has several packets that would do; the first is the one to begin at.
        let newer = |&(_, first, timestamp): &(Origin, u64, u32)| {
            packet.sequence > first && packet.timestamp != timestamp
        };
        if packet.keyframe && same.as_ref().is_none_or(newer) {
            self.keyframe = Some((packet.origin, packet.sequence, packet.timestamp));
        }
    }
}

/// Fan-out of one track on one shard.
pub struct Route {
    /// The track.
    pub uptrack: UptrackId,
    /// Whether it is video.
    pub video: bool,
    /// Who takes it here.
    pub viewers: Vec<Viewer>,
    /// The journals that record it; only where the publisher is.
    pub journals: Vec<JournalTrack>,
    /// Other shards with viewers of it; only where the publisher is.
    pub shards: Vec<ShardTaker>,
    /// What the publisher is told of its takers; only where the publisher is.
    pub demand: Option<Demand>,
    /// What its shard was told that is wanted here; only where the publisher is not.
    pub wants_told: Wants,
    /// Whether its shard has yet to hear what there was before; only where the publisher is not.
    pub expects_past: bool,
    /// Viewers that wait for their pacer.
    pub lagging: Vec<Lagging>,
    /// Packets taken and not released yet, or released and not sent to all.
    queue: VecDeque<Released>,
    /// Number of the first packet in the queue, and of the first that is not released.
    first: u64,
    unreleased: u64,
    /// Since when the oldest unreleased packet waits, and whether a picture's last is among them.
    held_since: Option<Micros>,
    whole: bool,
    /// Timestamp and first arrival of the newest picture, and how long the one before it took.
    picture: (u32, Micros),
    spread: Micros,
    latest: Micros,
    layers: Vec<Stream>,
    best: u8,
    /// Which layer is sent to who may have at most this one.
    served: [u8; MAX_LAYERS],
    next_choice: Micros,
    /// The rates that were last told.
    told: Vec<LayerRate>,
}

impl Route {
    /// Nobody takes the track yet.
    pub fn new(uptrack: UptrackId, video: bool) -> Self {
        Self {
            uptrack,
            video,
            viewers: Vec::new(),
            journals: Vec::new(),
            shards: Vec::new(),
            demand: None,
            wants_told: Wants::default(),
            expects_past: false,
            lagging: Vec::new(),
            queue: VecDeque::new(),
            first: 0,
            unreleased: 0,
            held_since: None,
            whole: false,
            picture: (0, 0),
            spread: Micros::MAX,
            latest: 0,
            layers: Vec::new(),
            best: 0,
            served: [0; MAX_LAYERS],
            next_choice: 0,
            told: Vec::new(),
        }
    }

    /// Keep a packet and line it up for forwarding; gives back the one that fell out.
    pub fn handle_packet(&mut self, packet: Arc<Packet>) -> Option<Arc<Packet>> {
        let now = packet.arrival;
        let displaced = self.keep(&packet);
        self.held_since.get_or_insert(now);
        self.whole |= packet.marker;
        self.measure_spread(packet.timestamp, now);
        self.queue.push_back(Released { packet, padding: 0 });
        displaced
    }

    /// Keep a packet that is not to be forwarded; gives back the one that fell out.
    pub fn keep(&mut self, packet: &Arc<Packet>) -> Option<Arc<Packet>> {
        let now = packet.arrival;
        let layer = self.layer(packet.origin.layer);
        let wakes = layer.meter.idle(now);
        let Layer { spatial, temporal } = packet.layering.layer;
        layer.note(packet);
        let meter = &mut layer.meter;
        meter.handle_packet(spatial, temporal, packet.payload.len(), now);
        let displaced = layer.cache.insert(Arc::clone(packet));
        if self.layers.len() > 1 && (wakes || now >= self.next_choice) {
            self.choose(now);
        }
        displaced
    }

    /// All that viewers can begin with, whichever layer they are given.
    pub fn past(&self) -> impl Iterator<Item = Arc<Packet>> {
        let layers = (0..).zip(&self.layers);
        let begun = layers.filter_map(|(i, layer)| Some((self.beginning(i)?, layer)));
        begun.flat_map(|(Beginning { origin, next }, layer)| {
            (next..layer.next).filter_map(move |n| layer.cache.get(origin, n).cloned())
        })
    }

    /// Bits a second of a layer as it is published.
    pub fn bits_per_second(&self, layer: u8) -> u64 {
        let layer = self.layers.get(layer as usize);
        layer.map_or(0, |l| l.meter.total())
    }

    /// What the layers cost, where that is news.
    pub fn poll_rates(&mut self, now: Micros) -> Option<Vec<LayerRate>> {
        let mut told = self.told.iter();
        let same = self
            .rates(now)
            .all(|new| told.next().is_some_and(|old| new.is_like(old)));
        if same && told.next().is_none() {
            return None;
        }
        self.told = self.rates(now).collect();
        Some(self.told.clone())
    }

    /// These streams are wanted; returns what the publisher should hear.
    pub fn poll_demand(&mut self, wanted: Layers, now: Micros) -> Option<Layers> {
        let mut flowing = Layers::default();
        let streams = (0..).zip(&self.layers);
        let active = streams.filter(|(_, l)| !l.meter.idle(now));
        active.for_each(|(stream, _)| flowing.add(stream));
        self.demand.as_mut()?.poll(wanted, flowing, now)
    }

    /// What each layer costs that is being sent, or would be if anybody wanted it.
    fn rates(&self, now: Micros) -> impl Iterator<Item = LayerRate> {
        let streams = self.layers.iter().enumerate();
        let demand = self.demand.as_ref();
        let sleeps = move |stream| demand.is_some_and(|d| d.sleeps(stream as u8, now));
        let active = streams.filter(move |(i, l)| l.active(now, self.layers.len()) || sleeps(*i));
        active.flat_map(|(stream, layer)| {
            let rates = layer.meter.rates();
            rates.map(move |(spatial, temporal, bits_per_second)| LayerRate {
                stream: stream as u8,
                spatial,
                temporal,
                bits_per_second,
            })
        })
    }

    /// The publisher told the time of a stream.
    pub fn handle_sender_report(&mut self, origin: Origin, clock: SenderClock) {
        self.layer(origin.layer).clock = Some((origin, clock));
        for journal in &mut self.journals {
            journal.handle_sender_report(origin, clock);
        }
    }

    /// The layer of the highest bitrate.
    pub fn best(&self) -> u8 {
        self.best
    }

    /// The layer for who may have at most this one; the best one without a limit.
    #[inline]
    pub fn serve(&self, limit: Option<u8>) -> u8 {
        let served = limit.and_then(|layer| self.served.get(layer as usize));
        served.copied().unwrap_or(self.best)
    }

    /// A packet of the recent past.
    pub fn cached(&self, origin: Origin, sequence: u64) -> Option<&Arc<Packet>> {
        self.layers
            .get(origin.layer as usize)?
            .cache
            .get(origin, sequence)
    }

    /// Where a viewer of this layer can begin now: at its newest keyframe, if all packets since
    /// are here and they are not too many.
    pub fn beginning(&self, layer: u8) -> Option<Beginning> {
        let stream = self.layers.get(layer as usize)?;
        let (origin, next, _) = stream.keyframe?;
        let mut bytes = 0;
        for sequence in next..stream.next {
            bytes += stream.cache.get(origin, sequence)?.payload.len();
        }
        let few = stream.next - next <= MAX_BEGINNING && bytes <= MAX_BEGINNING_BYTES;
        few.then_some(Beginning { origin, next })
    }

    /// Where the past ends for who begins: with the packets of the stream that are not released.
    pub fn end_of_past(&self, origin: Origin) -> u64 {
        let released = (self.unreleased - self.first) as usize;
        let mut held = self.queue.range(released..).map(|r| &r.packet);
        let end = || Some(self.layers.get(origin.layer as usize)?.next);
        let held = held.find(|p| p.origin == origin).map(|p| p.sequence);
        held.or_else(end).unwrap_or(0)
    }

    /// The publisher's clock for a layer.
    pub fn clock(&self, layer: u8) -> Option<(Origin, SenderClock)> {
        self.layers.get(layer as usize)?.clock
    }

    /// Those of which something has come lately.
    pub fn streams(&self, now: Micros) -> impl Iterator<Item = u8> {
        let layers = (0..).zip(&self.layers);
        layers.filter_map(move |(stream, l)| (!l.meter.idle(now)).then_some(stream))
    }

    /// Whether anything has come lately.
    pub fn flows(&self, now: Micros) -> bool {
        self.layers.iter().any(|l| !l.meter.idle(now))
    }

    /// The peer in this slot is gone.
    pub fn forget_peer(&mut self, peer: usize) {
        self.viewers.retain(|v| v.peer != peer);
        self.lagging.retain(|l| l.viewer.peer != peer);
    }

    /// This viewer takes another track now.
    pub fn forget_viewer(&mut self, viewer: Viewer) {
        self.viewers.retain(|v| *v != viewer);
        self.lagging.retain(|l| l.viewer != viewer);
    }

    /// This viewer has another place in the shard now.
    pub fn rename_viewer(&mut self, from: Viewer, to: Viewer) {
        let lagging = self.lagging.iter_mut().map(|l| &mut l.viewer);
        let all = self.viewers.iter_mut().chain(lagging);
        all.filter(|v| **v == from).for_each(|v| *v = to);
    }

    /// The journal is closed.
    pub fn forget_journal(&mut self, journal: JournalId) {
        self.journals.retain(|j| j.journal() != journal);
    }

    fn layer(&mut self, layer: u8) -> &mut Stream {
        let index = layer as usize;
        while self.layers.len() <= index {
            self.layers.push(Stream::new(self.video));
        }
        &mut self.layers[index]
    }

    /// The best layer is the one with the highest bitrate; it stays until it falls idle or
    /// another is clearly better, for every change costs a keyframe. For a layer that is not
    /// being sent stands the best of those that are cheaper.
    fn choose(&mut self, now: Micros) {
        self.next_choice = now + CHOICE_INTERVAL;
        let active = || {
            self.layers
                .iter()
                .enumerate()
                .filter(|(_, l)| !l.meter.idle(now))
        };
        let cost = |(_, layer): &(usize, &Stream)| layer.meter.total();
        let Some((candidate, layer)) = active().max_by_key(cost) else {
            return;
        };
        let current = &self.layers[self.best as usize].meter;
        if current.idle(now) || layer.meter.total() * 4 > current.total() * 5 {
            self.best = candidate as u8;
        }
        let best = usize::from(self.best);
        for (index, served) in self.served.iter_mut().enumerate() {
            let wanted = self.layers.get(index).map(|l| &l.meter);
            let most = wanted.map_or(u64::MAX, Meter::total);
            let cheaper = active().filter(|l| cost(l) <= most).max_by_key(cost);
            let instead = || cheaper.or_else(|| active().min_by_key(cost));
            *served = match wanted {
                Some(meter) if !meter.idle(now) => index as u8,
                Some(_) => instead().map_or(best, |(i, _)| i) as u8,
                None => best as u8,
            };
        }
    }
}

impl Past for Route {
    fn packet(&self, origin: Origin, sequence: u64) -> Option<&Arc<Packet>> {
        self.cached(origin, sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn packet(layer: u8, sequence: u64, bytes: usize, arrival: Micros) -> Arc<Packet> {
        let origin = Origin {
            layer,
            generation: 0,
        };
        Arc::new(Packet {
            origin,
            sequence,
            arrival,
            payload: vec![0; bytes],
            ..Packet::default()
        })
    }

    #[test]
    fn follows_the_layer_that_carries_most() {
        let mut route = Route::new(UptrackId(1), true);
        let mut feed = |from: u64, layers: &[(u8, usize)]| {
            for i in 0..200 {
                let now = from + i * 10 * MILLISECOND;
                for &(layer, bytes) in layers {
                    route.handle_packet(packet(layer, from + i, bytes, now));
                }
            }
            route.best()
        };
        assert_eq!(feed(SECOND, &[(0, 100), (1, 400), (2, 1_000)]), 2);
        assert_eq!(feed(3 * SECOND, &[(0, 100), (1, 400)]), 1);
        assert_eq!(feed(5 * SECOND, &[(0, 390), (1, 400)]), 1);
    }

    #[test]
    fn a_still_slide_stays_the_best_layer() {
        let mut route = Route::new(UptrackId(1), true);
        route.handle_packet(packet(0, 1, 1_000, SECOND));
        route.handle_packet(packet(0, 2, 1_000, 60 * SECOND));
        assert_eq!(route.best(), 0);
    }

    fn key(sequence: u64, bytes: usize) -> Arc<Packet> {
        let mut packet = Packet::clone(&packet(0, sequence, bytes, SECOND));
        (packet.keyframe, packet.timestamp) = (true, sequence as u32);
        Arc::new(packet)
    }

    #[test]
    fn a_viewer_begins_at_the_newest_keyframe_if_all_since_is_here() {
        let mut route = Route::new(UptrackId(1), true);
        let begins = |route: &Route| route.beginning(0).map(|b| b.next);
        for sequence in 1..20 {
            route.handle_packet(packet(0, sequence, 100, SECOND));
        }
        assert_eq!(begins(&route), None, "no keyframe yet");
        route.handle_packet(key(20, 100));
        route.handle_packet(packet(0, 22, 100, SECOND));
        assert_eq!(begins(&route), None, "one is missing");
        route.handle_packet(packet(0, 21, 100, SECOND));
        assert_eq!(begins(&route), Some(20));
        route.handle_packet(key(23, 100));
        assert_eq!(begins(&route), Some(23));
        assert_eq!(route.beginning(1), None);
    }

    #[test]
    fn a_past_that_would_cost_more_than_a_keyframe_is_not_begun_with() {
        for (bytes, most) in [(100, MAX_BEGINNING), (1_000, 150)] {
            let mut route = Route::new(UptrackId(1), true);
            route.handle_packet(key(0, bytes));
            for sequence in 1..most {
                route.handle_packet(packet(0, sequence, bytes, SECOND));
            }
            assert!(route.beginning(0).is_some(), "{most} of {bytes} bytes");
            route.handle_packet(packet(0, most, bytes, SECOND));
            assert!(route.beginning(0).is_none(), "{most} and one of {bytes}");
        }
    }
}
