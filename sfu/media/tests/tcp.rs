//! ICE-TCP on the sockets of a real engine: who names his peer is heard, and nobody else is.

mod network;
mod sockets;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use network::{check, credentials};
use sockets::{Peer, Running, TcpClient, framed, until};
use tongbu_media::packet::stun;
use tongbu_media::shard::{Command, Event};

#[test]
fn a_peer_of_any_shard_is_reached_by_the_one_port() {
    let mut engine = Running::new(2);
    let mut clients = Vec::new();
    for shard in [1, 0] {
        let peer = engine.add_peer(shard);
        let mut client = engine.connect();
        client.send(&check(&credentials(peer), true));
        let answer = client.receive();
        let answer = stun::Message::parse(&answer).expect("a STUN message");
        assert!(answer.verify(credentials(peer).pwd.as_bytes()));
        assert_eq!(answer.mapped, Some(client.local_addr()));
        assert_eq!(engine.event(), Event::Connected(peer, client.local_addr()));

        client.send(&[22; 60]);
        assert_eq!(engine.event(), Event::Dtls(peer, vec![22; 60]));
        engine.command(Command::SendDtls(peer, vec![23; 70]));
        assert_eq!(client.receive(), [23; 70]);
        clients.push(client);
    }
    let stats = engine.stats();
    let connections: Vec<_> = stats.iter().map(|s| s.tcp.connections).collect();
    assert_eq!(connections, [1, 1]);
    assert_eq!(stats[0].links[0].tcp_queued, Some(0));
}

#[test]
fn frames_may_come_in_any_pieces() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut client = engine.connect();
    let frames = [framed(&check(&credentials(peer), true)), framed(&[22; 60])].concat();
    for byte in frames {
        client.send_raw(&[byte]);
    }
    assert_eq!(client.receive().len(), client.answer_len());
    assert_eq!(engine.event(), Event::Connected(peer, client.local_addr()));
    assert_eq!(engine.event(), Event::Dtls(peer, vec![22; 60]));
    // And all at once, the beginning of one more behind them.
    let all = [framed(&[22; 5]), framed(&[23; 6]), framed(&[24; 7])].concat();
    client.send_raw(&all[..all.len() - 3]);
    assert_eq!(engine.event(), Event::Dtls(peer, vec![22; 5]));
    assert_eq!(engine.event(), Event::Dtls(peer, vec![23; 6]));
    client.send_raw(&all[all.len() - 3..]);
    assert_eq!(engine.event(), Event::Dtls(peer, vec![24; 7]));
}

#[test]
fn the_nomination_is_followed_from_tcp_to_udp_and_back() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut tcp = engine.connect();
    let mut udp = engine.udp();
    let reached = |engine: &mut Running, by: &mut dyn Peer| {
        engine.command(Command::SendDtls(peer, vec![20; 9]));
        assert_eq!(by.receive(), [20; 9]);
    };
    tcp.send(&check(&credentials(peer), true));
    tcp.receive();
    reached(&mut engine, &mut tcp);
    udp.send(&check(&credentials(peer), false));
    udp.receive();
    reached(&mut engine, &mut tcp);
    udp.send(&check(&credentials(peer), true));
    udp.receive();
    reached(&mut engine, &mut udp);
    tcp.send(&check(&credentials(peer), true));
    tcp.receive();
    reached(&mut engine, &mut tcp);
    drop(tcp);
    until("the end of the connection", || {
        engine.stats()[0].tcp.connections == 0
    });
    udp.send(&check(&credentials(peer), false));
    udp.receive();
    reached(&mut engine, &mut udp);
}

#[test]
fn who_is_gone_is_disconnected() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut client = engine.connect();
    client.send(&check(&credentials(peer), true));
    client.receive();
    engine.command(Command::SendDtls(peer, vec![21; 9]));
    engine.command(Command::RemovePeer(peer));
    assert_eq!(client.receive(), [21; 9], "the goodbye");
    assert!(client.is_closed());
    let mut late = engine.connect();
    late.send(&check(&credentials(peer), true));
    assert!(late.is_closed(), "the name is forgotten with the peer");
}

#[test]
fn a_peer_has_a_few_connections_and_loses_the_oldest_that_it_does_not_use() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut clients: Vec<TcpClient> = Vec::new();
    for number in 0..12 {
        let mut client = engine.connect();
        client.send(&check(&credentials(peer), number == 0));
        client.receive();
        clients.push(client);
    }
    for closed in &mut clients[1..5] {
        assert!(closed.is_closed());
    }
    engine.command(Command::SendDtls(peer, vec![20; 9]));
    assert_eq!(clients[0].receive(), [20; 9]);
    assert_eq!(engine.stats()[0].tcp.connections, 8);
}

#[test]
fn who_says_something_else_first_is_shown_out() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut wrong = credentials(peer);
    wrong.pwd.push('x');
    let mut nobody = credentials(peer);
    nobody.ufrag.push('x');
    let hostile = [
        b"GET / HTTP/1.1\r\nHost: tongbu\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        framed(&[]),
        framed(&[22; 100]),
        framed(&[0; 1_024]),
        framed(&check(&wrong, true)),
        framed(&check(&nobody, true)),
    ];
    for bytes in &hostile {
        let mut client = engine.connect();
        client.send_raw(bytes);
        assert!(client.is_closed(), "{bytes:?} was tolerated");
    }
    let listener = engine.listener_stats();
    assert_eq!(
        (listener.malformed, listener.unknown),
        (5, 1),
        "{listener:?}"
    );
    let shard = &engine.stats()[0];
    assert_eq!(shard.counters.dropped.unauthentic, 1);
    assert_eq!((shard.tcp.expelled, shard.tcp.connections), (1, 0));
}

#[test]
fn a_member_who_breaks_the_framing_is_shown_out_and_may_come_again() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    for _ in 0..3 {
        let mut client = engine.connect();
        client.send(&check(&credentials(peer), true));
        client.receive();
        client.send_raw(&[0xff; 100]);
        assert!(client.is_closed());
    }
    assert_eq!(engine.stats()[0].tcp.expelled, 3);
}

#[test]
fn who_takes_his_time_is_shown_out() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let frame = framed(&check(&credentials(peer), true));
    let (mut silent, mut slow) = (engine.connect(), engine.connect());
    slow.send_raw(&frame[..frame.len() - 1]);
    let since = Instant::now();
    assert!(silent.is_closed() && slow.is_closed());
    let waited = since.elapsed();
    assert!(waited > Duration::from_secs(4), "after {waited:?}");
    assert_eq!(engine.listener_stats().late, 2);
}

#[test]
fn a_crowd_of_strangers_keeps_no_member_out() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let port = engine.tcp_port();
    let crowd: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("the listener accepts"))
        .collect();
    let mut client = engine.connect();
    client.send(&check(&credentials(peer), true));
    assert_eq!(client.receive().len(), client.answer_len());
    until("the count", || engine.listener_stats().delivered == 1);
    let listener = engine.listener_stats();
    assert!(listener.crowded >= 300 - 32, "{listener:?}");
    drop(crowd);
}

#[test]
fn what_a_stranger_sends_behind_his_check_is_not_heard_if_it_does_not_hold() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut wrong = credentials(peer);
    wrong.pwd.push('x');
    let mut client = engine.connect();
    client.send_raw(&[framed(&check(&wrong, true)), framed(&[22; 60])].concat());
    assert!(client.is_closed());
    assert_eq!(engine.events().len(), 0);
}

#[test]
fn without_a_port_there_is_none() {
    let engine = Running::without_tcp();
    assert_eq!(engine.engine().tcp_port(), None);
    assert_eq!(engine.engine().listener_stats(), None);
}

#[test]
fn a_stopped_engine_closes_its_connections() {
    let mut engine = Running::new(1);
    let peer = engine.add_peer(0);
    let mut client = engine.connect();
    client.send(&check(&credentials(peer), true));
    client.receive();
    let port = engine.tcp_port();
    engine.engine().stop();
    assert!(client.is_closed());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let engine = Running::new(1);
    assert!(Running::start(1, Some(engine.tcp_port())).is_err());
}

/// A lesson on sockets: a school that never reads is felt by nobody else.
#[test]
fn a_viewer_who_never_reads_loses_pictures_and_harms_nobody() {
    let mut engine = Running::new(1);
    let mut lesson = sockets::Lesson::new(&mut engine);
    let mut near = lesson.viewer_by_udp(&mut engine);
    let mut far = lesson.viewer_by_tcp(&mut engine);
    let stuck = lesson.viewer_by_tcp(&mut engine);
    // 12 Mbit/s for a second: much more than what kernels hold for one who never reads.
    for _ in 0..100 {
        lesson.send_picture(15);
        std::thread::sleep(Duration::from_millis(10));
        near.take();
        far.take();
    }
    until("all at the others", || {
        near.take();
        far.take();
        near.packets == 1_500 && far.packets == 1_500
    });
    let shard = &engine.stats()[0];
    assert!(shard.tcp.dropped_stale > 100, "{:?}", shard.tcp);
    assert!(shard.tcp.queued < 256 << 10, "{:?}", shard.tcp);
    let queued: Vec<_> = shard.links.iter().filter_map(|l| l.tcp_queued).collect();
    assert_eq!(queued.len(), 2);
    drop(stuck);
    until("the end of the connection", || {
        engine.stats()[0].tcp.connections == 1
    });
}
