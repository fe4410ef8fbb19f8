//! Media of the peer: opened, bound to its track, and undone of RTX.

use super::{Binding, Dropped, Input, MAX_EARLY, MAX_PAYLOAD, MAX_STREAMS, Peer};
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
        let binding = match self.bindings.get(&rtp.ssrc) {
            Some(binding) => *binding,
            None => self.bind(&rtp, inputs)?,
        };
        self.note_transport_sequence(binding, &rtp, now);
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

    fn note_transport_sequence(&mut self, binding: Binding, rtp: &RtpPacket<'_>, now: Micros) {
        let map = &self.uptracks[binding.uptrack].config.extensions;
        let element = map
            .read(rtp.extension)
            .find(|(kind, _)| *kind == Kind::TransportCc);
        if let Some((_, &[high, low])) = element {
            self.twcc
                .handle_packet(u16::from_be_bytes([high, low]), rtp.ssrc, now);
        }
    }

    /// Find out what a new SSRC is: by MID and RID, else by the SSRCs of the SDP, else by a
    /// payload type that only one track has.
    fn bind(&mut self, rtp: &RtpPacket<'_>, inputs: &mut Vec<Input>) -> Result<Binding, Dropped> {
        if self.bindings.len() >= MAX_STREAMS {
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
            .find(|(k, _)| *k == kind);
        let layer = match (config.rids.is_empty(), rid) {
            (true, _) => Some(0),
            (false, Some((_, rid))) => config.rids.iter().position(|r| r.as_bytes() == rid),
            (false, None) => None,
        };
        let layer = layer.ok_or(Dropped::Unbound)?;
        let binding = Binding {
            uptrack,
            layer,
            repair,
        };
        self.bindings.insert(rtp.ssrc, binding);
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
        let by_mid = tracks.iter().position(|t| {
            let mut extensions = t.config.extensions.read(rtp.extension);
            extensions.any(|(k, mid)| k == Kind::Mid && mid == t.config.mid.as_bytes())
        });
        let by_ssrc = || {
            tracks
                .iter()
                .position(|t| t.config.ssrcs.contains(&rtp.ssrc))
        };
        let by_payload_type = || {
            let mut candidates = (0..tracks.len()).filter(|&i| carries(&tracks[i]));
            candidates.next().filter(|_| candidates.next().is_none())
        };
        by_mid.or_else(by_ssrc).or_else(by_payload_type)
    }
}
