//! Parity for a viewer's video: FlexFEC (draft-ietf-payload-flexible-fec-scheme-03), in the one form
//! that browsers read: a mask (R and F bit 0), one protected SSRC.
//!
//! # Which packets share a parity packet
//!
//! With groups of `L` packets, `D` apart, parity packet `j` leaves behind media packet `jL` and covers
//! `jL - D, jL - 2D, ... jL - LD`. Where `L` and `D` have no common divisor, these sets cover every
//! packet exactly once, and
//!
//! - a burst of up to `D` packets takes at most one packet of each group, and no parity packet with
//!   one of its own packets: they are `D` apart too;
//! - parity packets leave evenly, one in `L`, not in a train at the end of a block;
//! - a packet is back `LD / 2` packets after it was lost on average, `LD` at most.
//!
//! [`FecPlan`] chooses `L` and `D`. Where the stream pauses, what is pending leaves early, in fewer
//! packets.
//!
//! The packets must be those that the viewer gets, to the octet, before they are sealed; but header
//! extensions that are written on the way count as zero, for so the receivers of libwebrtc take them.

mod plan;

pub use plan::FecPlan;

use crate::clock::{MILLISECOND, Micros};
use crate::packet::extension::{ExtensionMap, Kind, elements};
use crate::packet::rtp::{FIXED_HEADER_LEN, RtpPacket};

/// How far back a mask of 15 + 31 + 63 bits reaches (section 4.2).
const MAX_SPAN: u32 = 109;
/// Parities under way at once: never more than the spacing of the widest plan, and as many of the plan
/// before it.
const MAX_PENDING: usize = 24;
/// Packets longer than this are not protected; a parity packet is 32 octets longer still.
const MAX_PACKET: usize = 1_460;
/// A stream that has sent nothing for so long has paused: twice a frame at 30 per second.
const PAUSE: Micros = 66 * MILLISECOND;
/// Parity packets that pauses may cost beyond one in `L`, saved up while there are none.
const MAX_SAVED: u32 = 8;

/// What has become of the packets of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FecCounters {
    /// Packets that a parity packet covers.
    pub covered: u64,
    /// Packets that none does: too long, too late, or too many under way.
    pub uncovered: u64,
    /// Parity packets.
    pub parities: u64,
}

/// The parity of one viewer's stream.
#[derive(Debug)]
pub struct FlexFec {
    ssrc: u32,
    plan: FecPlan,
    pending: Vec<Parity>,
    newest: u64,
    last_packet: Micros,
    /// `L`ths of a parity packet that pauses may cost.
    saved: u32,
    /// Parity packets into which what is pending goes, while it leaves early.
    leaving: usize,
    /// See [`FecCounters`].
    pub counters: FecCounters,
}

impl FlexFec {
    /// For the media stream of this SSRC.
    pub fn new(ssrc: u32, plan: FecPlan) -> Self {
        Self {
            ssrc,
            plan,
            pending: (0..MAX_PENDING).map(|_| Parity::new()).collect(),
            newest: 0,
            last_packet: 0,
            saved: 0,
            leaving: 0,
            counters: FecCounters::default(),
        }
    }

    /// Protect the packets from here on so; those under way stay as they are.
    pub fn set_plan(&mut self, plan: FecPlan) {
        self.plan = plan;
    }

    /// Take a packet as it goes out, unsealed, once; `sequence` is its number with the roll-overs
    /// counted. Resent packets are not for here.
    pub fn handle_packet(
        &mut self,
        sequence: u64,
        packet: &[u8],
        extensions: &ExtensionMap,
        now: Micros,
    ) {
        (self.last_packet, self.leaving) = (now, 0);
        self.newest = self.newest.max(sequence);
        self.saved = (self.saved + 1).min(MAX_SAVED * u32::from(self.plan.group));
        let leaves_at = self.plan.leaves_at(sequence);
        let fits = (FIXED_HEADER_LEN..=MAX_PACKET).contains(&packet.len());
        let parity = (fits && leaves_at > self.newest).then(|| self.parity(leaves_at));
        match parity.flatten() {
            Some(parity) => {
                parity.add(sequence, packet, extensions);
                self.counters.covered += 1;
            }
            None => self.counters.uncovered += 1,
        }
    }

    /// Append the payload of the parity packet that is to leave now, for a packet of the FEC stream;
    /// false if there is none. To be asked after each packet, and when [`Self::poll_timeout`] has come.
    pub fn poll_payload(&mut self, now: Micros, out: &mut Vec<u8>) -> bool {
        let due = |parity: &Parity| parity.is_pending() && parity.leaves_at <= self.newest;
        let index = match self.pending.iter().position(due) {
            Some(index) => index,
            None if self.has_paused(now) => match self.gather() {
                Some(index) => index,
                None => return false,
            },
            None => return false,
        };
        self.pending[index].write(self.ssrc, out);
        self.pending[index].clear();
        self.counters.parities += 1;
        true
    }

    /// When [`Self::poll_payload`] has something although no packet came.
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.may_leave_early().then(|| self.last_packet + PAUSE)
    }

    fn may_leave_early(&self) -> bool {
        let affordable = self.leaving > 0 || self.saved >= u32::from(self.plan.group);
        affordable && self.pending.iter().any(Parity::is_pending)
    }

    fn has_paused(&self, now: Micros) -> bool {
        self.may_leave_early() && now >= self.last_packet.saturating_add(PAUSE)
    }

    fn parity(&mut self, leaves_at: u64) -> Option<&mut Parity> {
        let is_it = |parity: &Parity| parity.is_pending() && parity.leaves_at == leaves_at;
        let index = self.pending.iter().position(is_it).or_else(|| {
            let free = self
                .pending
                .iter()
                .position(|parity| !parity.is_pending())?;
            self.pending[free].leaves_at = leaves_at;
            Some(free)
        })?;
        self.pending.get_mut(index)
    }

    /// Put every so-manieth of the pending parities together: the parity of disjoint groups is that of
    /// all their packets. Neighbours stay apart, for they are lost together.
    fn gather(&mut self) -> Option<usize> {
        let mut order = [(u64::MAX, 0); MAX_PENDING];
        let mut count = 0;
        let mut packets = 0;
        for (index, parity) in self.pending.iter().enumerate() {
            if parity.is_pending() {
                order[count] = (parity.oldest(), index);
                count += 1;
                packets += parity.members.count_ones();
            }
        }
        order[..count].sort_unstable();
        if self.leaving == 0 {
            self.leaving = self.groups(packets);
        }
        let stride = self.leaving;
        self.leaving -= 1;
        let (first, rest) = order[..count].split_first()?;
        for (_, index) in rest.iter().skip(stride - 1).step_by(stride) {
            self.merge(first.1, *index);
        }
        Some(first.1)
    }

    /// Into how many parity packets so many packets go: twice as many as usual, two if that can be, but
    /// no more than were saved for.
    fn groups(&mut self, packets: u32) -> usize {
        let group = u32::from(self.plan.group);
        let wanted = packets.div_ceil((group / 2).max(1)).max(2.min(packets));
        let groups = wanted.min(self.saved / group).max(1);
        self.saved = self.saved.saturating_sub(groups * group);
        groups as usize
    }

    fn merge(&mut self, into: usize, from: usize) {
        if let Ok([into, from]) = self.pending.get_disjoint_mut([into, from])
            && into.absorb(from)
        {
            from.clear();
        }
    }
}

/// One parity packet under construction.
#[derive(Debug)]
struct Parity {
    /// The media packet behind which it leaves.
    leaves_at: u64,
    /// Bit `n`: packet `leaves_at - n` is in it.
    members: u128,
    /// The first eight octets of the FEC header: those of the RTP headers, with the length in the
    /// place of the sequence number.
    header: [u8; 8],
    body: Vec<u8>,
}

impl Parity {
    fn new() -> Self {
        Self {
            leaves_at: 0,
            members: 0,
            header: [0; 8],
            body: Vec::with_capacity(MAX_PACKET),
        }
    }

    fn clear(&mut self) {
        (self.members, self.header) = (0, [0; 8]);
        self.body.clear();
    }

    fn is_pending(&self) -> bool {
        self.members != 0
    }

    /// How far before `leaves_at` its oldest packet is.
    fn reach(&self) -> u32 {
        u128::BITS - 1 - self.members.leading_zeros()
    }

    fn oldest(&self) -> u64 {
        self.leaves_at - u64::from(self.reach())
    }

    /// Section 6.2: everything of the packet but version, sequence number and SSRC.
    fn add(&mut self, sequence: u64, packet: &[u8], extensions: &ExtensionMap) {
        let Some((fixed, body)) = packet.split_first_chunk::<FIXED_HEADER_LEN>() else {
            return;
        };
        let bit = 1u128.checked_shl((self.leaves_at - sequence) as u32);
        let bit = bit.unwrap_or_default();
        if self.members & bit != 0 {
            return; // twice would be not at all
        }
        self.members |= bit;
        let [length_high, length_low] = (body.len() as u16).to_be_bytes();
        let [first, second, _, _, t0, t1, t2, t3, ..] = *fixed;
        let header = [
            first & 0x3f,
            second,
            length_high,
            length_low,
            t0,
            t1,
            t2,
            t3,
        ];
        xor(&mut self.header, &header);
        if self.body.len() < body.len() {
            self.body.resize(body.len(), 0);
        }
        xor(&mut self.body, body);
        clear_mutable(&mut self.body, packet, extensions);
    }

    /// Take in the packets of another, if a mask can tell of all.
    fn absorb(&mut self, other: &Self) -> bool {
        let (late, early) = match self.leaves_at >= other.leaves_at {
            true => (&*self, other),
            false => (other, &*self),
        };
        let shift = (late.leaves_at - early.leaves_at) as u32;
        if shift > early.members.leading_zeros() {
            return false;
        }
        let members = late.members | early.members << shift;
        let span = u128::BITS - members.leading_zeros() - members.trailing_zeros();
        if span > MAX_SPAN || late.members & early.members << shift != 0 {
            return false;
        }
        (self.leaves_at, self.members) = (late.leaves_at, members);
        xor(&mut self.header, &other.header);
        if self.body.len() < other.body.len() {
            self.body.resize(other.body.len(), 0);
        }
        xor(&mut self.body, &other.body);
        true
    }

    /// Header (section 4.2), then the parity of what follows the fixed RTP headers.
    fn write(&self, ssrc: u32, out: &mut Vec<u8>) {
        const ONE_SSRC: [u8; 4] = [1, 0, 0, 0];
        out.extend_from_slice(&self.header);
        out.extend_from_slice(&ONE_SSRC);
        out.extend_from_slice(&ssrc.to_be_bytes());
        out.extend_from_slice(&(self.oldest() as u16).to_be_bytes());
        self.write_mask(out);
        out.extend_from_slice(&self.body);
    }

    /// Bit `n` of the mask is the packet `n` after the oldest. A k bit of 1 goes before the last part.
    fn write_mask(&self, out: &mut Vec<u8>) {
        let mask = self.members << self.members.leading_zeros(); // the oldest is topmost
        let part = |start: u32, bits: u32| (mask << start >> (u128::BITS - bits)) as u64;
        let is_last = |end: u32| mask << end == 0;
        let [first, second] = [is_last(15), is_last(46)];
        let k = |last: bool, bits: u32| u64::from(last) << bits;
        out.extend_from_slice(&((k(first, 15) | part(0, 15)) as u16).to_be_bytes());
        if !first {
            out.extend_from_slice(&((k(second, 31) | part(15, 31)) as u32).to_be_bytes());
        }
        if !first && !second {
            out.extend_from_slice(&(k(true, 63) | part(46, 63)).to_be_bytes());
        }
    }
}

fn xor(into: &mut [u8], from: &[u8]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into ^= from;
    }
}

/// Octets of a video-timing extension that stand before those which servers on the way fill in.
const VIDEO_TIMING_OWN: usize = 7;

/// Take the octets out of a sum again that are written after the parity is made, or by a server on
/// the way: libwebrtc's receiver counts them as zero, in the extensions it negotiated.
fn clear_mutable(sum: &mut [u8], packet: &[u8], map: &ExtensionMap) {
    let extension = RtpPacket::parse(packet).ok().and_then(|p| p.extension);
    let Some((profile, bytes)) = extension else {
        return;
    };
    for (id, data) in elements(profile, bytes) {
        let mutable = match map.kind(id) {
            Some(Kind::TransportCc | Kind::AbsSendTime | Kind::TransmissionOffset) => data,
            Some(Kind::VideoTiming) => data.get(VIDEO_TIMING_OWN..).unwrap_or_default(),
            _ => continue,
        };
        let at = mutable.as_ptr().addr() - packet.as_ptr().addr() - FIXED_HEADER_LEN;
        if let Some(sum) = sum.get_mut(at..at + mutable.len()) {
            xor(sum, mutable);
        }
    }
}

#[cfg(test)]
mod tests;
