//! The state of one core, sans-IO: its peers, its routes, and what goes between them.
//!
//! The loop in `engine.rs` gives it datagrams, commands, messages of other shards and the time
//! (`handle_*`), then calls [`Shard::forward`]; what it has to say waits in `events` and
//! `messages`. It calls the state machines and carries their results on; it decides nothing.
//!
//! This file is the way in; `media.rs` carries what came in to those who take it, `beginning.rs`
//! gives who comes late a picture, `links.rs` looks after the ways to viewers, `members.rs` keeps
//! who is here, `connections.rs` knows TCP, `demand.rs` what is wanted of a publisher.

mod beginning;
mod connections;
mod demand;
mod links;
mod media;
mod members;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::congestion::LinkState;
use crate::counters::ShardCounters;
use crate::demand::Wants;
use crate::ice::{Check, Credentials};
use crate::ids::{DowntrackId, JournalId, PeerId, UptrackId};
use crate::outbox::{Carrier, ConnectionId, Outbox, Path, Transmit};
use crate::packet::rtp::{self, Class};
use crate::packet::stun;
use crate::peer::{Dropped, Input, Peer, Srtp};
use crate::route::{LayerRate, Route, Viewer};
use crate::track::{
    Limit, Origin, Packet, PlayoutDelay, Recording, RtpSinkConfig, SenderClock, Speech,
    UptrackConfig,
};

/// How often publishers get feedback.
const FEEDBACK_INTERVAL: Micros = 10 * MILLISECOND;
/// Peers are visited for reports and consent once a second, a share of them at each feedback.
const VISITS: usize = (SECOND / FEEDBACK_INTERVAL) as usize;
/// Addresses one peer may be known by at once.
const MAX_ADDRESSES: usize = 8;

/// What Python asks of a shard.
pub enum Command {
    /// A peer of ours to be.
    AddPeer(PeerId, Credentials),
    /// Forget it, with all its tracks.
    RemovePeer(PeerId),
    /// ICE restart.
    RotateCredentials(PeerId, Credentials),
    /// One DTLS datagram to the peer.
    SendDtls(PeerId, Vec<u8>),
    /// The handshake is through.
    SetKeys(PeerId, Box<Srtp>),
    /// Expect a published track.
    AddUptrack(PeerId, UptrackId, Box<UptrackConfig>),
    /// Forget a published track.
    RemoveUptrack(UptrackId),
    /// A track to send to the peer.
    AddDowntrack(PeerId, DowntrackId, Box<RtpSinkConfig>),
    /// Send it no more.
    RemoveDowntrack(DowntrackId),
    /// Feed a downtrack.
    SetSource(DowntrackId, Option<UptrackId>),
    /// Stop or go on.
    SetPaused(DowntrackId, bool),
    /// Send no more than this of its source.
    SetLimit(DowntrackId, Limit),
    /// How long what arrives should wait at the viewer before it is shown or played.
    SetPlayoutDelay(DowntrackId, PlayoutDelay),
    /// What would be sent if the line carried it, bits a second.
    SetWanted(PeerId, u64),
    /// A viewer is about to come: what it begins with is not to be old.
    Freshen(UptrackId),
    /// Record a track.
    Record(UptrackId, Recording),
    /// The journal is about to close.
    ForgetJournal(JournalId),
}

/// What shards tell each other.
#[derive(Debug, Clone)]
pub enum Message {
    /// This shard has a viewer of your track.
    Subscribe(UptrackId, usize),
    /// It has none any more.
    Unsubscribe(UptrackId, usize),
    /// What a viewer of my track can begin with; once, before all media.
    Past(UptrackId, Vec<Arc<Packet>>),
    /// A packet of my track.
    Media(UptrackId, Arc<Packet>),
    /// The publisher's clock.
    Clock(UptrackId, Origin, SenderClock),
    /// A viewer here waits for a keyframe of this layer of your track.
    KeyframeWanted(UptrackId, u8),
    /// This shard's takers want this of your track.
    Wanted(UptrackId, usize, Wants),
    /// My track is gone.
    Ended(UptrackId),
}

/// What a shard tells Python.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A DTLS datagram.
    Dtls(PeerId, Vec<u8>),
    /// The peer's address is known, or moved.
    Connected(PeerId, std::net::SocketAddr),
    /// No check for too long.
    ConsentLost(PeerId),
    /// The first packet of a stream: track, RID, SSRC.
    StreamStarted(UptrackId, String, u32),
    /// What the layers of a track cost now.
    LayersChanged(UptrackId, Vec<LayerRate>),
    /// The simulcast streams of a track that anybody takes, in the order of the offer.
    LayersWanted(UptrackId, Vec<u8>),
    /// Somebody speaks on a track of sound, or has ended.
    Speaking(UptrackId, Speech),
    /// What the way to a viewer carries now.
    LinkChanged(PeerId, LinkState, Carrier),
}

/// [`Peer::handle_rtp`] or [`Peer::handle_rtcp`].
type HandleSrtp = fn(&mut Peer, &mut [u8], Micros, &mut Vec<Input>) -> Result<(), Dropped>;

/// How a shard is set up.
#[derive(Clone, Copy, Debug)]
pub struct ShardConfig {
    /// Its place among the engine's shards.
    pub index: usize,
    /// Silence of checks after which consent is lost.
    pub consent_timeout: Micros,
}

/// One core's share of the plane.
pub struct Shard {
    config: ShardConfig,
    peers: Vec<Option<Peer>>,
    /// Slots of peers that have left.
    free: Vec<usize>,
    /// Slots of peers that have uptracks.
    publishers: Vec<usize>,
    slots: FxHashMap<PeerId, usize>,
    by_ufrag: FxHashMap<String, usize>,
    by_address: FxHashMap<std::net::SocketAddr, usize>,
    /// TCP connections, each of the one peer that has proved itself on it.
    by_connection: FxHashMap<ConnectionId, usize>,
    uptracks: FxHashMap<UptrackId, (usize, usize)>,
    downtracks: FxHashMap<DowntrackId, Viewer>,
    routes: FxHashMap<UptrackId, Route>,
    /// Tracks with packets that are not released yet.
    fed: Vec<UptrackId>,
    /// Tracks with viewers who wait for their pacers.
    paced: Vec<UptrackId>,
    /// Viewers who begin with packets of the past.
    beginners: Vec<(UptrackId, Viewer)>,
    /// Tracks of which more may be wanted than was told, and when to look at them.
    reconsidered: Vec<(UptrackId, Micros)>,
    hold: Micros,
    next_release: Micros,
    next_pace: Micros,
    inputs: Vec<Input>,
    scratch: Vec<u8>,
    next_feedback: Micros,
    visit: usize,
    links: links::Links,
    /// What Python should hear, oldest first.
    pub events: Vec<Event>,
    /// What other shards should hear: which one, and what.
    pub messages: Vec<(usize, Message)>,
    /// TCP connections that nobody needs any more, to be closed.
    pub disconnects: Vec<ConnectionId>,
    /// What happened, in numbers.
    pub counters: ShardCounters,
}

impl Shard {
    /// A shard with nobody on it.
    pub fn new(config: ShardConfig) -> Self {
        Self {
            config,
            peers: Vec::new(),
            free: Vec::new(),
            publishers: Vec::new(),
            slots: FxHashMap::default(),
            by_ufrag: FxHashMap::default(),
            by_address: FxHashMap::default(),
            by_connection: FxHashMap::default(),
            uptracks: FxHashMap::default(),
            downtracks: FxHashMap::default(),
            routes: FxHashMap::default(),
            fed: Vec::new(),
            paced: Vec::new(),
            beginners: Vec::new(),
            reconsidered: Vec::new(),
            hold: 0,
            next_release: Micros::MAX,
            next_pace: Micros::MAX,
            inputs: Vec::new(),
            scratch: Vec::new(),
            next_feedback: 0,
            visit: 0,
            links: links::Links::default(),
            events: Vec::new(),
            messages: Vec::new(),
            disconnects: Vec::new(),
            counters: ShardCounters::default(),
        }
    }

    // ------------------------------------------------------------------ handle

    /// One datagram from the socket; SRTP is opened in place.
    pub fn handle_datagram<T: Transmit + ?Sized>(
        &mut self,
        path: Path,
        datagram: &mut [u8],
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        match rtp::classify(datagram) {
            Class::Stun => self.handle_stun(path, datagram, now, outbox),
            Class::Dtls => self.handle_dtls(path, datagram),
            Class::Rtp => self.handle_srtp(path, datagram, now, outbox, Peer::handle_rtp),
            Class::Rtcp => self.handle_srtp(path, datagram, now, outbox, Peer::handle_rtcp),
            Class::Other => self.counters.dropped.malformed += 1,
        }
    }

    /// One command from Python. What names somebody who is gone is ignored.
    pub fn handle_command<T: Transmit + ?Sized>(
        &mut self,
        command: Command,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        match command {
            Command::AddPeer(id, credentials) => self.add_peer(id, credentials, now),
            Command::RemovePeer(id) => self.remove_peer(id),
            Command::RotateCredentials(id, new) => self.rotate_credentials(id, new, now),
            Command::SendDtls(id, datagram) => self.send_dtls(id, &datagram, outbox),
            Command::SetKeys(id, srtp) => self.set_keys(id, *srtp, now, outbox),
            Command::AddUptrack(peer, id, config) => self.add_uptrack(peer, id, *config, now),
            Command::RemoveUptrack(id) => self.remove_uptrack(id),
            Command::RemoveDowntrack(id) => self.remove_downtrack(id),
            Command::AddDowntrack(peer, id, config) => self.add_downtrack(peer, id, *config),
            Command::SetSource(id, source) => self.set_source(id, source),
            Command::SetPaused(id, paused) => self.set_paused(id, paused),
            Command::SetLimit(id, limit) => self.set_limit(id, limit),
            Command::SetPlayoutDelay(id, delay) => self.set_playout_delay(id, delay),
            Command::SetWanted(id, wanted) => self.set_wanted(id, wanted, now),
            Command::Freshen(id) => self.freshen(id, now),
            Command::Record(id, journal) => self.record(id, journal),
            Command::ForgetJournal(id) => {
                self.routes.values_mut().for_each(|r| r.forget_journal(id));
            }
        }
    }

    /// One message of another shard.
    pub fn handle_message(&mut self, message: Message) {
        match message {
            Message::Subscribe(track, shard) => self.subscribe_shard(track, shard),
            Message::Unsubscribe(track, shard) => {
                if let Some(route) = self.routes.get_mut(&track) {
                    route.shards.retain(|s| s.index != shard);
                }
            }
            Message::Past(track, packets) => self.take_past(track, packets),
            Message::Media(track, packet) => self.take_media(track, packet),
            Message::Clock(track, origin, clock) => self.take_clock(track, origin, clock),
            Message::KeyframeWanted(track, layer) => self.request_keyframe(track, layer),
            Message::Wanted(track, shard, wants) => self.take_wants(track, shard, wants),
            Message::Ended(track) => self.end_route(track),
        }
    }

    /// The time has come that [`Shard::poll_timeout`] named.
    pub fn handle_timeout<T: Transmit + ?Sized>(&mut self, now: Micros, outbox: &mut Outbox<T>) {
        if now >= self.next_pace {
            self.pace(now, outbox);
        }
        if now < self.next_feedback {
            return;
        }
        self.next_feedback = now + FEEDBACK_INTERVAL;
        self.ask_for_journal_keyframes(now);
        for &slot in &self.publishers {
            if let Some(peer) = self.peers[slot].as_mut() {
                peer.poll_feedback(now, &mut self.scratch, outbox);
                let speaking = peer.poll_speech(now);
                self.events
                    .extend(speaking.map(|(track, speech)| Event::Speaking(track, speech)));
            }
        }
        self.visit_links(now, outbox);
        self.visit = (self.visit + 1) % VISITS;
        for slot in (self.visit..self.peers.len()).step_by(VISITS) {
            self.visit_peer(slot, now, outbox);
            self.visit_demand_of(slot, now);
        }
        if self.visit == 0 {
            self.reconsider_copies();
        }
        self.visit_demand(now);
    }

    // ------------------------------------------------------------------ poll

    /// When to call [`Shard::handle_timeout`] and [`Shard::forward`] next.
    pub fn poll_timeout(&self) -> Micros {
        self.next_feedback
            .min(self.next_release)
            .min(self.next_pace)
    }

    /// How long pictures may be held for their last packet: longer trains, cheaper packets.
    pub fn set_hold(&mut self, hold: Micros) {
        self.hold = hold;
    }

    /// Peers here now.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().flatten()
    }

    // ------------------------------------------------------------------ datagrams

    fn handle_stun<T: Transmit + ?Sized>(
        &mut self,
        path: Path,
        datagram: &[u8],
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Ok(request) = stun::Message::parse(datagram) else {
            self.counters.dropped.malformed += 1;
            return;
        };
        if request.class != stun::Class::Request {
            return; // we ask nothing, so an answer is none; an indication keeps a NAT open
        }
        let mut answer = std::mem::take(&mut self.scratch);
        match self.claimed(&request, now) {
            Some((slot, pwd)) if request.verify(pwd) => {
                answer.clear();
                stun::write_success(&mut answer, &request.transaction_id, path.remote, pwd);
                self.latch(slot, path, request.use_candidate, now);
                outbox.push(path, &answer);
            }
            _ => self.counters.dropped.unauthentic += 1,
        }
        self.scratch = answer; // its memory serves the next
    }

    /// The peer that a check is for by its word, and the password that would prove it.
    fn claimed(&self, request: &stun::Message<'_>, now: Micros) -> Option<(usize, &[u8])> {
        let (ours, _) = request.username_fragments()?;
        let slot = *self.by_ufrag.get(ours)?;
        let pwd = self.peers[slot].as_ref()?.ice.password(ours, now)?;
        Some((slot, pwd.as_bytes()))
    }

    fn latch(&mut self, slot: usize, path: Path, nominated: bool, now: Micros) {
        if let Some(connection) = path.connection
            && !self.remember_connection(connection, slot)
        {
            return;
        }
        let Some(peer) = self.peers[slot].as_mut() else {
            return;
        };
        if peer.ice.handle_check(path, nominated, now) == Check::Moved {
            self.events.push(Event::Connected(peer.id, path.remote));
        }
        if path.connection.is_some() {
            return;
        }
        if self.by_address.insert(path.remote, slot) == Some(slot) {
            return;
        }
        peer.addresses.retain(|address| *address != path.remote);
        peer.addresses.push(path.remote);
        if peer.addresses.len() > MAX_ADDRESSES {
            // The oldest goes, but never the one we send to.
            let current = peer.ice.path().map(|p| p.remote);
            let oldest = usize::from(Some(peer.addresses[0]) == current);
            let forgotten = peer.addresses.remove(oldest);
            self.forget_address(forgotten, slot);
        }
    }

    fn handle_dtls(&mut self, path: Path, datagram: &[u8]) {
        match self.peer_at(path) {
            Some(slot) => {
                let id = self.peers[slot].as_ref().map(|p| p.id);
                self.events
                    .extend(id.map(|id| Event::Dtls(id, datagram.to_vec())));
            }
            None => self.counters.dropped.unknown_address += 1,
        }
    }

    fn handle_srtp<T: Transmit + ?Sized>(
        &mut self,
        path: Path,
        datagram: &mut [u8],
        now: Micros,
        outbox: &mut Outbox<T>,
        handle: HandleSrtp,
    ) {
        let Some(slot) = self.peer_at(path) else {
            self.counters.dropped.unknown_address += 1;
            return;
        };
        self.handle_srtp_of(slot, datagram, now, outbox, handle);
    }

    fn handle_srtp_of<T: Transmit + ?Sized>(
        &mut self,
        slot: usize,
        datagram: &mut [u8],
        now: Micros,
        outbox: &mut Outbox<T>,
        handle: HandleSrtp,
    ) {
        let mut inputs = std::mem::take(&mut self.inputs);
        if let Some(peer) = self.peers[slot].as_mut()
            && let Err(dropped) = handle(peer, datagram, now, &mut inputs)
        {
            self.counters.dropped.count(dropped);
        }
        for input in inputs.drain(..) {
            self.handle_input(slot, input, now, outbox);
        }
        self.inputs = inputs;
    }

    fn handle_input<T: Transmit + ?Sized>(
        &mut self,
        slot: usize,
        input: Input,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        match input {
            Input::Started {
                uptrack,
                layer,
                ssrc,
            } => self.started(uptrack, layer, ssrc),
            Input::Media { uptrack, packet } => self.take_media(uptrack, packet),
            Input::SenderReport {
                uptrack,
                origin,
                clock,
            } => {
                self.take_clock(uptrack, origin, clock);
            }
            Input::Lost { sink, sequence } => self.resend(slot, sink, sequence, now, outbox),
            Input::KeyframeRequest { sink } => self.keyframe_for(slot, sink),
        }
    }

    fn peer_at(&self, path: Path) -> Option<usize> {
        match path.connection {
            None => self.by_address.get(&path.remote).copied(),
            Some(connection) => self.by_connection.get(&connection).copied(),
        }
    }
}
