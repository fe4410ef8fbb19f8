//! ICE-lite (RFC 8445, 2.5): we answer checks, and learn from them where the peer is.

use crate::clock::{Micros, SECOND};
use crate::outbox::{ConnectionId, Path};

/// After an ICE restart, checks with the old password still count for this long.
const OLD_CREDENTIALS: Micros = 10 * SECOND;

/// A user fragment and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// ice-ufrag of the SDP.
    pub ufrag: String,
    /// ice-pwd of the SDP.
    pub pwd: String,
}

/// What an accepted check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the peer is where it was.
    Same,
    /// The peer is (now) at the check's path.
    Moved,
}

/// The agent of one peer.
#[derive(Debug)]
pub struct IceLite {
    current: Credentials,
    old: Option<(Credentials, Micros)>,
    path: Option<Path>,
    /// The client chose the path; else it is only where the first check came from.
    nominated: bool,
    last_check: Micros,
    consent_lost: bool,
}

impl IceLite {
    /// Waits for a first check.
    pub fn new(credentials: Credentials, now: Micros) -> Self {
        Self {
            current: credentials,
            old: None,
            path: None,
            nominated: false,
            last_check: now,
            consent_lost: false,
        }
    }

    /// The password that belongs to our user fragment in a check.
    pub fn password(&self, ufrag: &str, now: Micros) -> Option<&str> {
        let old = self
            .old
            .as_ref()
            .filter(|(_, until)| now < *until)
            .map(|(c, _)| c);
        let known = [Some(&self.current), old];
        known
            .into_iter()
            .flatten()
            .find(|c| c.ufrag == ufrag)
            .map(|c| c.pwd.as_str())
    }

    /// A check whose integrity holds. The first one latches the address: Chromium sends DTLS
    /// before it nominates. Later only a nomination moves it, be it from TCP to UDP or back; and
    /// UDP takes the place of a TCP connection that merely was the quicker of the two.
    pub fn handle_check(&mut self, path: Path, nominated: bool, now: Micros) -> Check {
        self.last_check = now;
        self.consent_lost = false;
        let better = |old: &Path| old.connection.is_some() && path.connection.is_none();
        let moves = match &self.path {
            None => true,
            Some(old) => nominated || (!self.nominated && better(old)),
        };
        self.nominated |= nominated;
        if moves && self.path.replace(path) != Some(path) {
            Check::Moved
        } else {
            Check::Same
        }
    }

    /// An ICE restart; gives back the fragment that is forgotten now.
    pub fn restart(&mut self, credentials: Credentials, now: Micros) -> Option<String> {
        let previous = std::mem::replace(&mut self.current, credentials);
        let forgotten = self.old.replace((previous, now + OLD_CREDENTIALS));
        forgotten.map(|(c, _)| c.ufrag)
    }

    /// A connection is closed: if it was the path there is none, and the next check latches.
    pub fn handle_disconnect(&mut self, connection: ConnectionId) {
        let was_the_path = |path: &Path| path.connection == Some(connection);
        if self.path.as_ref().is_some_and(was_the_path) {
            self.path = None;
            self.nominated = false;
        }
    }

    /// Where the peer is.
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// Our user fragments, to be forgotten with the peer.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        let old = self.old.as_ref().map(|(c, _)| c);
        [Some(&self.current), old]
            .into_iter()
            .flatten()
            .map(|c| c.ufrag.as_str())
    }

    /// Whether consent (RFC 7675) was just lost; true once per loss.
    pub fn poll_consent_lost(&mut self, timeout: Micros, now: Micros) -> bool {
        let lost = now >= self.last_check + timeout;
        lost && !std::mem::replace(&mut self.consent_lost, true)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn credentials(name: &str) -> Credentials {
        Credentials {
            ufrag: name.into(),
            pwd: format!("{name}-password"),
        }
    }

    fn path(port: u16) -> Path {
        Path::udp(([127, 0, 0, 1], port).into(), [127, 0, 0, 1].into())
    }

    fn tcp(number: u32) -> Path {
        let connection = NonZeroU32::new(number).map(ConnectionId);
        Path {
            connection,
            ..path(9)
        }
    }

    #[test]
    fn the_first_check_latches_and_only_a_nomination_moves() {
        let mut ice = IceLite::new(credentials("a"), 0);
        assert_eq!(ice.handle_check(path(1), false, 0), Check::Moved);
        assert_eq!(ice.handle_check(path(2), false, 0), Check::Same);
        assert_eq!(ice.path(), Some(path(1)));
        assert_eq!(ice.handle_check(path(2), true, 0), Check::Moved);
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn udp_is_preferred_to_tcp_until_the_client_has_chosen() {
        let mut ice = IceLite::new(credentials("a"), 0);
        assert_eq!(ice.handle_check(tcp(1), false, 0), Check::Moved);
        assert_eq!(ice.handle_check(path(2), false, 0), Check::Moved);
        assert_eq!(ice.handle_check(tcp(1), false, 0), Check::Same);
        assert_eq!(ice.handle_check(tcp(1), true, 0), Check::Moved);
        assert_eq!(ice.handle_check(path(2), false, 0), Check::Same);
        assert_eq!(ice.handle_check(path(2), true, 0), Check::Moved);
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn when_its_connection_is_closed_the_next_check_latches() {
        let mut ice = IceLite::new(credentials("a"), 0);
        ice.handle_check(tcp(1), true, 0);
        let another = NonZeroU32::new(2).map(ConnectionId).expect("not 0");
        ice.handle_disconnect(another);
        assert_eq!(ice.path(), Some(tcp(1)));
        ice.handle_disconnect(tcp(1).connection.expect("TCP"));
        assert_eq!(ice.path(), None);
        assert_eq!(ice.handle_check(tcp(2), false, 0), Check::Moved);
    }

    #[test]
    fn a_restart_keeps_the_old_password_for_a_while() {
        let mut ice = IceLite::new(credentials("a"), 0);
        assert_eq!(ice.restart(credentials("b"), 0), None);
        assert_eq!(ice.password("a", SECOND), Some("a-password"));
        assert_eq!(ice.password("b", SECOND), Some("b-password"));
        assert_eq!(ice.password("a", OLD_CREDENTIALS), None);
        assert_eq!(ice.restart(credentials("c"), SECOND), Some("a".into()));
    }

    #[test]
    fn consent_is_lost_once_and_won_back() {
        let mut ice = IceLite::new(credentials("a"), 0);
        assert!(!ice.poll_consent_lost(SECOND, SECOND - 1));
        assert!(ice.poll_consent_lost(SECOND, SECOND));
        assert!(!ice.poll_consent_lost(SECOND, 2 * SECOND));
        ice.handle_check(path(1), false, 2 * SECOND);
        assert!(ice.poll_consent_lost(SECOND, 3 * SECOND));
    }
}
