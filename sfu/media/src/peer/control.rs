//! RTCP, both ways: what the peer reports and asks for, and what it is told.

use super::{Dropped, Input, OUR_SSRC, Peer};
use crate::clock::{Micros, SECOND};
use crate::ids::UptrackId;
use crate::outbox::{Outbox, Transmit};
use crate::packet::rtcp::{self, Dlrr, Rtcp, XrBlock};
use crate::track::{SenderClock, Speech, Uptrack};

impl Peer {
    /// An SRTCP datagram; opened in place.
    pub fn handle_rtcp(
        &mut self,
        datagram: &mut [u8],
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let srtp = self.srtp.as_mut().ok_or(Dropped::NoKeys)?;
        let len = srtp.inbound.open_rtcp(datagram)?;
        if let [_, _, _, _, a, b, c, d, ..] = *datagram
            && let Some(forgotten) = self.bindings.note(u32::from_be_bytes([a, b, c, d]))
        {
            self.forget_stream(forgotten);
        }
        for packet in rtcp::packets(&datagram[..len]) {
            self.handle_rtcp_packet(packet.map_err(|_| Dropped::Malformed)?, now, inputs);
        }
        Ok(())
    }

    fn handle_rtcp_packet(&mut self, packet: Rtcp<'_>, now: Micros, inputs: &mut Vec<Input>) {
        match packet {
            Rtcp::SenderReport(report) => {
                let clock = SenderClock {
                    ntp: report.info.ntp,
                    timestamp: report.info.rtp,
                    arrival: now,
                };
                self.handle_clock(report.ssrc, clock, inputs);
            }
            Rtcp::ReceiverReport(report) => {
                report
                    .reports
                    .iter()
                    .for_each(|block| self.handle_report_block(&block, now));
            }
            Rtcp::Nack(nack) => self.handle_nack(nack.media_ssrc, nack.lost(), inputs),
            Rtcp::TransportFeedback(feedback) => {
                self.sent.handle_feedback(&feedback, now);
                self.pacer.set_pace(self.sent.pace());
            }
            Rtcp::Pli { media_ssrc, .. } => self.handle_keyframe_request(media_ssrc, now, inputs),
            Rtcp::Fir(fir) => {
                fir.entries()
                    .for_each(|entry| self.handle_keyframe_request(entry.ssrc, now, inputs));
            }
            Rtcp::Xr(report) => {
                for block in report.blocks() {
                    if let XrBlock::Rrtr { ntp } = block {
                        let middle = (ntp >> 16) as u32;
                        self.reference_time = Some((report.ssrc, middle, now));
                    }
                }
            }
            _ => {}
        }
    }

    /// What is due to the publisher every few milliseconds: NACK, PLI, transport feedback.
    pub fn poll_feedback<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        scratch: &mut Vec<u8>,
        outbox: &mut Outbox<T>,
    ) {
        scratch.clear();
        for uptrack in &mut self.uptracks {
            uptrack.poll_feedback(now, OUR_SSRC, scratch);
        }
        self.twcc.poll(now, OUR_SSRC, scratch);
        self.send_rtcp(scratch, outbox);
    }

    /// Whoever of it speaks, or has ended, where that is news.
    pub fn poll_speech(&mut self, now: Micros) -> impl Iterator<Item = (UptrackId, Speech)> {
        let news = move |track: &mut Uptrack| Some((track.id, track.speech.poll(now)?));
        self.uptracks.iter_mut().filter_map(news)
    }

    /// The reports of a second, about what it sends.
    pub fn poll_reports<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        scratch: &mut Vec<u8>,
        outbox: &mut Outbox<T>,
    ) {
        scratch.clear();
        let blocks = &mut self.blocks;
        blocks.clear();
        blocks.extend(self.uptracks.iter_mut().flat_map(|t| t.reports(now)));
        // Five bits count the blocks of one report.
        for blocks in blocks.chunks(31) {
            rtcp::receiver_report(scratch, OUR_SSRC, blocks);
        }
        self.answer_reference_time(now, scratch);
        self.send_rtcp(scratch, outbox);
    }

    /// Who sends nothing measures its round trip by this, and its patience with repairs.
    fn answer_reference_time(&mut self, now: Micros, out: &mut Vec<u8>) {
        let Some((ssrc, lrr, arrival)) = self.reference_time.take() else {
            return;
        };
        let dlrr = ((now - arrival) * 65_536 / SECOND) as u32;
        if out.is_empty() {
            rtcp::receiver_report(out, OUR_SSRC, &[]);
        }
        rtcp::xr_dlrr(out, OUR_SSRC, &[Dlrr { ssrc, lrr, dlrr }]);
    }

    fn handle_clock(&mut self, ssrc: u32, clock: SenderClock, inputs: &mut Vec<Input>) {
        for track in &mut self.uptracks {
            if let Some(origin) = track.handle_sender_report(ssrc, clock) {
                inputs.push(Input::SenderReport {
                    uptrack: track.id,
                    origin,
                    clock,
                });
            }
        }
    }

    fn handle_report_block(&mut self, block: &rtcp::ReportBlock, now: Micros) {
        if let Some(sink) = self.sinks.iter_mut().find(|s| s.config.ssrc == block.ssrc)
            && let Some(rtt) = sink.handle_report(block, now)
        {
            self.rtt = rtt;
        }
    }

    fn handle_nack(&mut self, ssrc: u32, lost: impl Iterator<Item = u16>, inputs: &mut Vec<Input>) {
        if let Some(sink) = self.sinks.iter().position(|s| s.config.ssrc == ssrc) {
            inputs.extend(lost.map(|sequence| Input::Lost { sink, sequence }));
        }
    }

    fn handle_keyframe_request(&mut self, ssrc: u32, now: Micros, inputs: &mut Vec<Input>) {
        let rtt = self.rtt();
        let sinks = &mut self.sinks;
        if let Some(sink) = sinks.iter().position(|s| s.config.ssrc == ssrc)
            && sinks[sink].may_have_keyframe(now, rtt)
        {
            inputs.push(Input::KeyframeRequest { sink });
        }
    }
}
