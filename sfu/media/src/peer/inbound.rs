//! Media of the peer: opened, bound to its track, and undone of RTX.

use super::bindings::Binding;
use super::{Dropped, Input, MAX_EARLY, MAX_PAYLOAD, Peer};
use crate::clock::Micros;
use crate::packet::extension::Kind;
use crate::packet::rtp::RtpPacket;
use crate::track::Uptrack;

impl Peer {
    /// An SRTP datagram; opened in place.
    pub fn handle_rtp(
        &mut self,
        datagram: &mut [u8],
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let Some(srtp) = self.srtp.as_mut() else {
            return self.keep_early(datagram);
        };
        let (len, _) = srtp.inbound.open_rtp(datagram)?;
        let rtp = RtpPacket::parse(&datagram[..len]).map_err(|_| Dropped::Malformed)?;
        if rtp.payload.len() > MAX_PAYLOAD {
            return Err(Dropped::Oversized);
        }
        let binding = match self.bindings.get(rtp.ssrc) {
            Some(binding) => binding,
            None => match self.bind(&rtp, inputs) {
                Ok(binding) => binding,
                Err(dropped) => {
                    self.handle_stray(&rtp, now);
                    return Err(dropped);
                }
            },
        };
        self.note_transport_sequence(binding.uptrack, &rtp, now);
        if binding.repair {
            return self.handle_repair(binding, &rtp, now, inputs);
        }
        self.handle_media(binding, &rtp, false, now, inputs);
        Ok(())
    }

    fn keep_early(&mut self, datagram: &[u8]) -> Result<(), Dropped> {
        if self.early.len() == MAX_EARLY {
            return Err(Dropped::NoKeys);
        }
        self.early.push(datagram.to_vec());
        Ok(())
    }

    fn handle_media(
        &mut self,
        binding: Binding,
        rtp: &RtpPacket<'_>,
        repaired: bool,
        now: Micros,
        inputs: &mut Vec<Input>,
    ) {
        let track = &mut self.uptracks[binding.uptrack];
        if let Some(packet) = track.handle_rtp(binding.layer, rtp, repaired, now) {
            inputs.push(Input::Media {
                uptrack: track.id,
                packet,
            });
        }
    }

    /// A retransmission (RFC 4588, 4): the original sequence number, then the payload. One
    /// without payload is bandwidth probing.
    fn handle_repair(
        &mut self,
        binding: Binding,
        rtp: &RtpPacket<'_>,
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let Some((sequence, payload)) = rtp.payload.split_first_chunk() else {
            return Ok(());
        };
        let track = &self.uptracks[binding.uptrack];
        let ssrc = track.ssrc(binding.layer).ok_or(Dropped::Unbound)?;
        let original = RtpPacket {
            payload_type: track.config.payload_type,
            sequence: u16::from_be_bytes(*sequence),
            ssrc,
            payload,
            ..*rtp
        };
        self.handle_media(binding, &original, true, now, inputs);
        Ok(())
    }

    /// A packet of no track: of one that was removed, or will be added. It has arrived all the
    /// same, and where its numbers are must be known if it becomes a stream.
    fn handle_stray(&mut self, rtp: &RtpPacket<'_>, now: Micros) {
        if !self.uptracks.is_empty() {
            self.note_transport_sequence(0, rtp, now); // all tracks have the same ids
        }
        if let Some(forgotten) = self.bindings.note(rtp.ssrc) {
            self.forget_stream(forgotten);
        }
    }

    fn note_transport_sequence(&mut self, uptrack: usize, rtp: &RtpPacket<'_>, now: Micros) {
        let map = &self.uptracks[uptrack].config.extensions;
        let element = map
            .read(rtp.extension)
            .find(|(kind, _)| *kind == Kind::TransportCc);
        if let Some((_, &[high, low])) = element {
            self.twcc
                .handle_packet(u16::from_be_bytes([high, low]), rtp.ssrc, now);
        }
    }

    /// Find out what a new SSRC is: by MID and RID, else by the SSRCs of the SDP, else by what it
    /// was of a track that was removed, else by a payload type that only one track has (RFC 9143,
    /// 9.2).
    fn bind(&mut self, rtp: &RtpPacket<'_>, inputs: &mut Vec<Input>) -> Result<Binding, Dropped> {
        if self.bindings.is_full() {
            return Err(Dropped::Unbound);
        }
        let uptrack = self.track_of(rtp).ok_or(Dropped::Unbound)?;
        let track = &mut self.uptracks[uptrack];
        let config = &track.config;
        let repair = config.rtx_payload_type == Some(rtp.payload_type);
        if !repair && config.payload_type != rtp.payload_type {
            return Err(Dropped::Unbound);
        }
        let kind = if repair { Kind::RepairedRid } else { Kind::Rid };
        let rid = config
            .extensions
            .read(rtp.extension)
            .find(|(k, _)| *k == kind)
            .map(|(_, rid)| rid);
        let former = self.bindings.former(rtp.ssrc);
        let rid = rid.or_else(|| Some(former?.rid.as_ref()?.as_bytes()));
        let layer = match (config.rids.is_empty(), rid) {
            (true, _) => Some(0),
            (false, Some(rid)) => config.rids.iter().position(|r| r.as_bytes() == rid),
            (false, None) => None,
        };
        let layer = layer.ok_or(Dropped::Unbound)?;
        let binding = Binding {
            uptrack,
            layer,
            repair,
        };
        self.bindings.bind(rtp.ssrc, binding);
        if !repair {
            track.bind(layer, rtp.ssrc, rtp.sequence);
            inputs.push(Input::Started {
                uptrack: track.id,
                layer,
                ssrc: rtp.ssrc,
            });
        }
        Ok(binding)
    }

    fn track_of(&self, rtp: &RtpPacket<'_>) -> Option<usize> {
        let tracks = &self.uptracks;
        let carries = |t: &Uptrack| {
            let config = &t.config;
            config.payload_type == rtp.payload_type
                || config.rtx_payload_type == Some(rtp.payload_type)
        };
        let mid = tracks.iter().find_map(|t| {
            let mut extensions = t.config.extensions.read(rtp.extension);
            extensions.find(|(kind, _)| *kind == Kind::Mid)
        });
        let of_mid = |mid: &[u8]| tracks.iter().position(|t| t.config.mid.as_bytes() == mid);
        if let Some((_, mid)) = mid {
            return of_mid(mid); // who names another section belongs to none of these
        }
        let by_ssrc = tracks
            .iter()
            .position(|t| t.config.ssrcs.contains(&rtp.ssrc));
        if by_ssrc.is_some() {
            return by_ssrc;
        }
        if let Some(former) = self.bindings.former(rtp.ssrc) {
            return of_mid(former.mid.as_bytes());
        }
        let mut candidates = (0..tracks.len()).filter(|&i| carries(&tracks[i]));
        candidates.next().filter(|_| candidates.next().is_none())
    }
}
