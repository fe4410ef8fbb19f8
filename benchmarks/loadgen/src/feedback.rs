//! What an honest viewer tells its server: receiver reports, transport-wide feedback, and now and
//! then a request to have a packet again.
//!
//! Feedback speaks of what really came. Only the requests are made up: a fixed choice of video
//! packets is asked for again as if it had been lost, so that the server's store and its
//! retransmission stream are at work. What comes of them is counted apart, neither as media nor
//! as loss.

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::congestion::TwccRecorder;
use tongbu_media::packet::extension::elements;
use tongbu_media::packet::rtcp::{self, ReportBlock, Rtcp};

use crate::stream::{Arrival, Stream};

/// Receiver reports.
const REPORTS: Micros = SECOND;
/// Transport-wide feedback: what Chromium begins with (it adapts between 50 and 250 ms).
const TRANSPORT_FEEDBACK: Micros = 100 * MILLISECOND;
/// One video packet in so many is claimed lost.
const CLAIMED_ONE_IN: u64 = 1_000;
/// Streams a viewer follows: audio, video and their RTX.
const MAX_STREAMS: usize = 8;
/// We as a source of reports.
const OWN_SSRC: u32 = 1;

/// What was negotiated of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeedbackConfig {
    /// Id of the transport-wide sequence number's header extension.
    pub transport_cc: Option<u8>,
    /// Payload type of the video that is asked for again, none for no requests.
    pub video: Option<u8>,
    /// Payload type of its retransmissions, if they have their own.
    pub rtx: Option<u8>,
    /// Payload type of packets that only probe the path, if they have their own.
    pub probes: Option<u8>,
    /// Decides which packets are claimed lost.
    pub seed: u64,
}

/// The feedback of one viewer; time is an argument.
pub(crate) struct Feedback {
    config: FeedbackConfig,
    streams: Vec<Stream>,
    arrivals: TwccRecorder,
    next_report: Micros,
    next_transport: Micros,
    /// Of which stream, and what.
    claimed: (u32, Vec<u16>),
    /// Packets asked for again, so far.
    pub asked: u64,
    /// Octets of the last packet's block of header extensions.
    pub extension_bytes: usize,
}

impl Feedback {
    pub(crate) fn new(config: FeedbackConfig) -> Self {
        Self {
            config,
            streams: Vec::new(),
            arrivals: TwccRecorder::default(),
            next_report: 0,
            next_transport: 0,
            claimed: (0, Vec::new()),
            asked: 0,
            extension_bytes: 0,
        }
    }

    /// An RTP packet came, of which at least the header is there.
    pub(crate) fn handle_packet(&mut self, packet: &[u8], now: Micros) -> Arrival {
        let [_, m_pt, s0, s1, _, _, _, _, a, b, c, d, ..] = *packet else {
            return Arrival::Again;
        };
        let (payload_type, sequence) = (m_pt & 0x7f, u16::from_be_bytes([s0, s1]));
        let ssrc = u32::from_be_bytes([a, b, c, d]);
        let block = extension_block(packet);
        self.extension_bytes = block.map_or(0, |(_, bytes)| 4 + bytes.len());
        if let Some(number) = block
            .zip(self.config.transport_cc)
            .and_then(|(block, id)| transport_sequence(block, id))
        {
            self.arrivals.handle_packet(number, ssrc, now);
        }
        if [self.config.rtx, self.config.probes].contains(&Some(payload_type)) {
            return Arrival::Again;
        }
        let Some(stream) = self.stream(ssrc, sequence) else {
            return Arrival::First;
        };
        let arrival = stream.handle_packet(sequence);
        let asks = self.config.video == Some(payload_type) && arrival == Arrival::First;
        if asks && claims_lost(self.config.seed, sequence) {
            self.claimed.0 = ssrc;
            self.claimed.1.push(sequence);
        }
        arrival
    }

    /// A compound packet of the server's, opened.
    pub(crate) fn handle_rtcp(&mut self, compound: &[u8], now: Micros) {
        for packet in rtcp::packets(compound).flatten() {
            let Rtcp::SenderReport(report) = packet else {
                continue;
            };
            if let Some(stream) = self.streams.iter_mut().find(|s| s.ssrc == report.ssrc) {
                stream.handle_sender_report(report.info.ntp, now);
            }
        }
    }

    /// Append what is due, one compound packet or nothing.
    pub(crate) fn poll(&mut self, now: Micros, out: &mut Vec<u8>) {
        if now >= self.next_report && !self.streams.is_empty() {
            self.next_report = now + REPORTS;
            let blocks: Vec<ReportBlock> = self.streams.iter_mut().map(|s| s.report(now)).collect();
            rtcp::receiver_report(out, OWN_SSRC, &blocks);
        }
        if !self.claimed.1.is_empty() {
            rtcp::nack(out, OWN_SSRC, self.claimed.0, &self.claimed.1);
            self.asked += self.claimed.1.len() as u64;
            self.claimed.1.clear();
        }
        if now >= self.next_transport {
            self.next_transport = now + TRANSPORT_FEEDBACK;
            self.arrivals.poll(now, OWN_SSRC, out);
        }
    }

    /// Sequence numbers that never came.
    pub(crate) fn lost(&self) -> u64 {
        self.streams.iter().map(Stream::lost).sum()
    }

    /// `None` beyond those that are followed.
    fn stream(&mut self, ssrc: u32, sequence: u16) -> Option<&mut Stream> {
        let known = self.streams.iter().position(|s| s.ssrc == ssrc);
        if known.is_none() && self.streams.len() < MAX_STREAMS {
            self.streams.push(Stream::new(ssrc, sequence));
            return self.streams.last_mut();
        }
        known.map(|index| &mut self.streams[index])
    }
}

/// The header extensions of a packet whose payload is still sealed: their profile and octets.
fn extension_block(packet: &[u8]) -> Option<(u16, &[u8])> {
    let contributing = usize::from(packet[0] & 0x0f) * 4;
    let has_extension = packet[0] & 0x10 != 0;
    let block = packet.get(12 + contributing..).filter(|_| has_extension)?;
    let (&[p0, p1, l0, l1], rest) = block.split_first_chunk()?;
    let bytes = rest.get(..usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
    Some((u16::from_be_bytes([p0, p1]), bytes))
}

fn transport_sequence((profile, bytes): (u16, &[u8]), id: u8) -> Option<u16> {
    let (_, data) = elements(profile, bytes).find(|(element, _)| *element == id)?;
    data.first_chunk().map(|number| u16::from_be_bytes(*number))
}

/// A fixed choice: the same of every run (SplitMix64's finaliser).
fn claims_lost(seed: u64, sequence: u16) -> bool {
    let mut x = (seed << 16 | u64::from(sequence)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ x >> 31).is_multiple_of(CLAIMED_ONE_IN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbu_media::packet::rtp::RtpHeader;

    const ID: u8 = 5;
    const VIDEO: u8 = 96;
    const RTX: u8 = 97;
    const PROBES: u8 = 127;

    fn viewer() -> Feedback {
        Feedback::new(FeedbackConfig {
            transport_cc: Some(ID),
            video: Some(VIDEO),
            rtx: Some(RTX),
            probes: Some(PROBES),
            seed: 1,
        })
    }

    fn packet(payload_type: u8, ssrc: u32, sequence: u16, transport: u16) -> Vec<u8> {
        let header = RtpHeader {
            marker: false,
            payload_type,
            sequence,
            timestamp: 0,
            ssrc,
        };
        let (mut out, number) = (Vec::new(), transport.to_be_bytes());
        // The MID stands before it, as on the first packets of a stream.
        let elements = [(1, &b"0"[..]), (ID, &number[..])];
        header.write(&mut out, elements.into_iter());
        out.resize(out.len() + 100, 0xaa);
        out
    }

    fn told(viewer: &mut Feedback, now: Micros) -> Vec<u8> {
        let mut out = Vec::new();
        viewer.poll(now, &mut out);
        out
    }

    fn arrivals(compound: &[u8]) -> Vec<(u16, bool)> {
        let mut all = Vec::new();
        for packet in rtcp::packets(compound) {
            if let Rtcp::TransportFeedback(feedback) = packet.expect("we wrote it") {
                all.extend(feedback.arrivals().map(|(s, delta)| (s, delta.is_some())));
            }
        }
        all
    }

    #[test]
    fn probes_are_no_media_and_no_loss_but_tell_of_the_path() {
        let mut viewer = viewer();
        for (sequence, transport) in [(10, 1), (9_000, 2), (30, 3)] {
            let probe = packet(PROBES, 1_234, sequence, transport);
            assert_eq!(viewer.handle_packet(&probe, SECOND), Arrival::Again);
        }
        assert_eq!(viewer.lost(), 0);
        assert_eq!(arrivals(&told(&mut viewer, SECOND)).len(), 3);
    }

    #[test]
    fn transport_feedback_tells_what_came_every_100_ms() {
        let mut viewer = viewer();
        for (sequence, transport) in [(10, 65_534), (11, 65_535), (13, 1)] {
            viewer.handle_packet(&packet(VIDEO, 7, sequence, transport), SECOND);
        }
        let first = arrivals(&told(&mut viewer, SECOND));
        assert_eq!(
            first,
            [(65_534, true), (65_535, true), (0, false), (1, true)]
        );
        viewer.handle_packet(&packet(VIDEO, 7, 14, 2), SECOND + 1);
        let almost = SECOND + TRANSPORT_FEEDBACK - 1;
        assert_eq!(arrivals(&told(&mut viewer, almost)), []);
        assert_eq!(arrivals(&told(&mut viewer, almost + 1)), [(2, true)]);
    }

    #[test]
    fn a_stranger_to_the_extension_tells_nothing_of_it() {
        let mut viewer = Feedback::new(FeedbackConfig::default());
        viewer.handle_packet(&packet(VIDEO, 7, 10, 1), SECOND);
        assert_eq!(arrivals(&told(&mut viewer, SECOND)), []);
    }

    #[test]
    fn a_few_of_a_thousand_are_asked_for_and_none_of_them_was_lost() {
        let mut viewer = viewer();
        let mut asked = Vec::new();
        for sequence in 0..20_000 {
            viewer.handle_packet(&packet(VIDEO, 7, sequence, sequence), SECOND);
            for packet in rtcp::packets(&told(&mut viewer, SECOND)).flatten() {
                if let Rtcp::Nack(nack) = packet {
                    assert_eq!(nack.media_ssrc, 7);
                    asked.extend(nack.lost());
                }
            }
        }
        assert!((10..=30).contains(&asked.len()), "{asked:?}");
        assert_eq!(viewer.asked, asked.len() as u64);
        assert_eq!(viewer.lost(), 0);
    }

    #[test]
    fn sound_is_never_asked_for() {
        let mut viewer = viewer();
        for sequence in 0..20_000 {
            viewer.handle_packet(&packet(111, 8, sequence, sequence), SECOND);
        }
        assert!(viewer.claimed.1.is_empty());
    }

    #[test]
    fn what_is_sent_again_is_no_media() {
        let mut viewer = viewer();
        let original = packet(VIDEO, 7, 10, 0);
        assert_eq!(viewer.handle_packet(&original, SECOND), Arrival::First);
        assert_eq!(viewer.handle_packet(&original, SECOND), Arrival::Again);
        let resent = packet(RTX, 9, 500, 1);
        assert_eq!(viewer.handle_packet(&resent, SECOND), Arrival::Again);
        assert_eq!(viewer.streams.len(), 1);
    }

    #[test]
    fn a_report_leaves_each_second_and_answers_the_sender_report() {
        let mut viewer = viewer();
        viewer.handle_packet(&packet(VIDEO, 7, 10, 0), SECOND);
        let mut report = Vec::new();
        let info = rtcp::SenderInfo {
            ntp: 0x1111_2222_3333_4444,
            ..Default::default()
        };
        rtcp::sender_report(&mut report, 7, &info, &[]);
        viewer.handle_rtcp(&report, SECOND);
        let blocks = |compound: &[u8]| -> Vec<ReportBlock> {
            let reports = rtcp::packets(compound).flatten();
            let reports = reports.filter_map(|p| match p {
                Rtcp::ReceiverReport(report) => Some(report.reports),
                _ => None,
            });
            reports.flat_map(|blocks| blocks.iter()).collect()
        };
        let first = blocks(&told(&mut viewer, SECOND + SECOND / 4));
        assert_eq!((first[0].lsr, first[0].dlsr), (0x2222_3333, 16_384));
        assert!(blocks(&told(&mut viewer, 2 * SECOND)).is_empty());
        assert_eq!(blocks(&told(&mut viewer, 3 * SECOND)).len(), 1);
    }
}
