"""What participants publish and watch, in both topologies, over the engine's double."""

import asyncio

import pytest
from livekit.protocol import models, rtc

from signaling.events import GrantFloor, LowerHand, RaiseHand, RevokeFloor
from tests import fake_media
from tests.fake_media import StreamStarted
from tests.signaling.conftest import House, offer
from tests.signaling.livekit.client import Client

TRACKS = ("mic0", "cam0", "slides0")


def inactive(text: str, mid: str) -> str:
    """The same offer, in which one section no longer sends (its msid stays, as Rust's does)."""
    head, *sections = text.split("m=")
    sections = [
        section.replace("a=sendonly", "a=inactive") if f"a=mid:{mid}\r\n" in section else section
        for section in sections
    ]
    return "m=".join([head, *sections])


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_what_one_publishes_another_gets(house: House, path: str) -> None:
    async with (
        Client(house, "anna", path=path) as anna,
        Client(house, "bob", "school") as bob,
    ):
        infos = await anna.publish(*TRACKS)
        told = await bob.hear_track("anna", 3)
        assert {info.sid for info in told.tracks} == {info.sid for info in infos}
        assert {info.mid for info in told.tracks} == {"0", "1", "2"}
        assert next(i for i in told.tracks if i.mid == "1").simulcast
        answer = await bob.watch()
        assert answer.id == 7
        assert set(answer.mid_to_track_id.values()) == {info.sid for info in infos}
        assert f"a=msid:{told.sid}|" in answer.sdp
        await bob.shake_hands(answer)
        fed = {uptrack for uptrack in house.native.sources.values() if uptrack is not None}
        assert {house.native.uptracks[uptrack].mid for uptrack in fed} == {"0", "1", "2"}
        assert (await anna.hear("track_subscribed")).track_sid in {info.sid for info in infos}


@pytest.mark.parametrize("encryption", [models.Encryption.NONE, models.Encryption.GCM])
async def test_encrypted_sound_is_not_packed_anew(
    house: House, encryption: models.Encryption.Type
) -> None:
    async with Client(house, "anna") as anna:
        await anna.publish(*TRACKS, encryption=encryption)
        async with Client(house, "bob", "school") as bob:
            told = await bob.hear_track("anna", 3)
            assert {info.encryption for info in told.tracks} == {encryption}
            answer = await bob.watch()
            sending = [s for s in answer.sdp.split("m=") if s.startswith("audio") and "ssrc" in s]
            assert len(sending) == 1
            assert ("red/48000" in sending[0]) == (encryption == models.Encryption.NONE)
        async with Client(house, "carl", "school", "/rtc") as carl:
            offered = (await carl.hear("offer")).sdp
            assert ("red/48000" in offered) == (encryption == models.Encryption.NONE)


async def test_we_offer_to_older_clients_even_nothing(house: House) -> None:
    async with Client(house, "bob", "school", "/rtc") as bob:
        first = await bob.hear("offer")
        assert first.sdp.count("m=") == 1
        assert "a=setup:actpass" in first.sdp
        assert first.id > 0


async def test_older_clients_get_an_offer_for_what_is_published(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school", "/rtc") as bob:
        await anna.publish(*TRACKS)
        first = await bob.hear("offer")
        assert first.sdp.count("m=") == 1, "one offer is out at a time"
        head, _, tail = first.sdp.partition("a=setup:actpass")
        sdp = f"{head}a=setup:active{tail}".replace("a=ice-lite\r\n", "")
        await bob.say(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=first.id))
        second = await bob.hear("offer")
        assert second.sdp.count("m=") == 4
        assert len(second.mid_to_track_id) == 3
        assert second.id > first.id


async def test_sections_that_take_agree_to_simulcast(house: House) -> None:
    async with Client(house, "bob", "school") as bob:
        await bob.hear("join")
        answer = await bob.negotiate(offer("chromium_watch"))
        first_video = answer.sdp.split("m=video")[1]
        assert "a=inactive" in first_video, "nothing is published"
        assert "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" in first_video
        assert "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" in first_video


async def test_simulcast_is_taken_in_all_its_layers(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.publish(*TRACKS)
        assert anna.peer
        assert "a=simulcast:recv " in anna.peer.answer
        assert list(house.native.uptracks[house.uptrack("1")].rids)


async def test_a_publisher_hears_which_layers_are_taken(house: House) -> None:
    async with Client(house, "anna") as anna:
        infos = await anna.publish(*TRACKS)
        camera = house.uptrack("1")
        assert anna.peer
        for streams in ([2], [0, 2], [0], [0]):  # what changes nothing is not told
            await anna.peer.say(fake_media.LayersWanted(camera, streams))
        update = await anna.hear("subscribed_quality_update")
        assert update.track_sid == infos[1].sid
        taken = [quality.enabled for quality in update.subscribed_qualities]
        assert taken == [True] + [False] * (len(taken) - 1)
        assert update.subscribed_codecs[0].qualities == update.subscribed_qualities
        await anna.peer.say(fake_media.LayersWanted(camera, []))
        update = await anna.hear("subscribed_quality_update")
        assert not any(quality.enabled for quality in update.subscribed_qualities)
        assert anna.count("subscribed_quality_update") == 2


async def test_a_section_that_stops_sending_is_unpublished(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        await bob.shake_hands(await bob.watch())
        camera, seen = house.uptrack("1"), len(house.native.downtracks)
        await anna.negotiate(inactive(offer("chromium_publish"), "1"))
        told = await bob.hear_track("anna", 2)
        assert {info.mid for info in told.tracks} == {"0", "2"}
        assert camera not in house.native.uptracks
        assert len(house.native.downtracks) == seen - 1
        # and it may come again in the same section, under another name
        again = offer("chromium_publish").replace("msid:stream0 cam0", "msid:stream0 cam1")
        await anna.say(add_track=rtc.AddTrackRequest(cid="cam1", type=models.VIDEO))
        await anna.negotiate(again)
        await bob.hear_track("anna", 3)
        assert house.uptrack("1") > camera


async def test_a_section_is_answered_inactive_before_it_carries_another(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        await bob.shake_hands(await bob.watch())
        await anna.negotiate(inactive(offer("chromium_publish"), "1"))
        await bob.hear_track("anna", 2)
        await anna.say(add_track=rtc.AddTrackRequest(cid="cam1", type=models.VIDEO))
        again = offer("chromium_publish").replace("msid:stream0 cam0", "msid:stream0 cam1")
        await anna.negotiate(again)
        told = await bob.hear_track("anna", 3)
        new = next(info.sid for info in told.tracks if info.mid == "1")
        first = await bob.watch()
        assert new not in first.mid_to_track_id.values()
        assert first.sdp.count("a=inactive") == 1
        second = await bob.watch()  # we ask once more by ourselves
        assert new in second.mid_to_track_id.values()
        assert "a=inactive" not in second.sdp


async def test_a_client_that_offers_no_more_sections_is_not_asked_for_ever(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.publish(*TRACKS)
        needs = await bob.hear("media_sections_requirement")
        assert needs.num_audios + needs.num_videos > 0
        text = offer("chromium_watch")
        audio_only = text[: text.index("m=video")].replace("BUNDLE 0 1 2 3", "BUNDLE 0")
        for _ in range(3):
            await bob.negotiate(audio_only)
        await bob.say(ping=1)
        await bob.hear("pong")
        assert bob.count("media_sections_requirement") == 2, "once, and once as it had offered some"


async def test_what_a_client_does_not_want_it_does_not_get(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        infos = await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        await bob.shake_hands(await bob.watch())
        no = rtc.UpdateSubscription(track_sids=[infos[1].sid], subscribe=False)
        await bob.say(subscription=no)
        answer = await bob.negotiate(offer("chromium_watch"))
        assert infos[1].sid not in answer.mid_to_track_id.values()
        yes = rtc.UpdateSubscription(track_sids=[infos[1].sid, "TR_unknown"], subscribe=True)
        await bob.say(subscription=yes)
        assert infos[1].sid in (await bob.watch()).mid_to_track_id.values()


async def test_a_track_that_is_taken_in_another_form_goes_on(house: House) -> None:
    """As in Chromium's second offer, which livekit-client makes stereo."""
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        await bob.shake_hands(await bob.watch())
        usual = "useinbandfec=1"
        assert usual in offer("chromium_watch")
        answer = await bob.negotiate(offer("chromium_watch").replace(usual, f"{usual};stereo=1"))
        assert len(answer.mid_to_track_id) == 3
        for mid in answer.mid_to_track_id:
            assert house.native.sources[house.downtrack(mid)] is not None


async def test_a_setting_reaches_the_media_plane(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        infos = await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        answer = await bob.watch()
        await bob.shake_hands(answer)
        mid = next(m for m, sid in answer.mid_to_track_id.items() if sid == infos[1].sid)
        off = rtc.UpdateTrackSettings(track_sids=[infos[1].sid, "TR_unknown"], disabled=True)
        await bob.say(track_setting=off)
        await bob.say(ping=1)
        await bob.hear("pong")
        assert (house.downtrack(mid), True) in house.native.told("set_paused")


async def test_a_publisher_says_who_may_have_its_tracks(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        infos = await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        await bob.shake_hands(await bob.watch())
        nobody = rtc.SubscriptionPermission(all_participants=False)
        await anna.say(subscription_permission=nobody)
        denied = {(await bob.hear("subscription_permission_update")).track_sid for _ in infos}
        assert denied == {info.sid for info in infos}
        assert house.native.downtracks == {}
        one = rtc.SubscriptionPermission(all_participants=False)
        one.track_permissions.add(participant_identity="bob", track_sids=[infos[0].sid])
        await anna.say(subscription_permission=one)
        allowed = await bob.hear("subscription_permission_update")
        assert (allowed.track_sid, allowed.allowed) == (infos[0].sid, True)
        tracks: dict[str, str] = {}
        while not tracks:  # the section rests once before it is used again
            tracks = dict((await bob.watch()).mid_to_track_id)
        assert list(tracks.values()) == [infos[0].sid]


async def test_who_may_not_publish_is_told_and_not_taken(house: House) -> None:
    async with Client(house, "bob", "school") as bob:
        camera = rtc.AddTrackRequest(cid="cam0", type=models.VIDEO, source=models.CAMERA)
        await bob.say(add_track=camera)
        refusal = await bob.hear("request_response")
        assert refusal.reason == rtc.RequestResponse.NOT_ALLOWED
        assert refusal.add_track.cid == "cam0"
        answer = await bob.negotiate(offer("chromium_publish"))  # it sends all the same
        await bob.shake_hands(answer)
        assert answer.sdp.count("a=inactive") == 3
        assert house.native.uptracks == {}


async def test_a_raised_hand_is_ready_and_seen_with_the_floor(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.hear("join")
        await bob.hear("join")
        classroom = house.registry.require("math")
        (session,) = classroom.lesson.sessions_of("bob")
        classroom.handle(RaiseHand(session))
        while not (await bob.hear("update")).participants[0].permission.can_publish:
            pass
        infos = await bob.publish("mic0", "cam0")
        assert len(house.native.uptracks) == 2
        assert list(classroom.lesson.publications) == []
        classroom.handle(GrantFloor(None, session))
        published = await anna.hear_track("bob", 2)
        assert {track.sid for track in published.tracks} == {info.sid for info in infos}
        assert bob.count("answer") == 1, "nothing was left to negotiate"


async def test_who_lowers_its_hand_is_not_ready_any_more(house: House) -> None:
    async with Client(house, "bob", "school") as bob:
        await bob.hear("join")
        classroom = house.registry.require("math")
        (session,) = classroom.lesson.sessions_of("bob")
        classroom.handle(RaiseHand(session))
        infos = await bob.publish("mic0", "cam0")
        classroom.handle(LowerHand(None, session))
        gone = [(await bob.hear("track_unpublished")).track_sid for _ in infos]
        assert gone == [info.sid for info in infos]
        assert house.native.uptracks == {}
        classroom.handle(GrantFloor(None, session))
        assert list(classroom.lesson.publications) == []


async def test_who_loses_the_floor_is_no_longer_taken(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.hear("join")
        await bob.hear("join")
        classroom = house.registry.require("math")
        (session,) = classroom.lesson.sessions_of("bob")
        classroom.handle(GrantFloor(None, session))
        infos = await bob.publish("mic0", "cam0")
        await anna.hear_track("bob", 2)
        classroom.handle(RevokeFloor(None))
        assert (await bob.hear("track_unpublished")).track_sid in {i.sid for i in infos}
        assert house.native.uptracks == {}
        answer = await bob.negotiate(offer("chromium_publish"))  # and goes on sending
        assert answer.sdp.count("a=inactive") == 3
        assert house.native.uptracks == {}


async def test_muting_is_told(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        infos = await anna.publish(*TRACKS)
        assert not any(i.muted for i in (await bob.hear_track("anna", 3)).tracks)
        await anna.say(mute=rtc.MuteTrackRequest(sid=infos[0].sid, muted=True))
        told = await bob.hear_track("anna", 3)
        assert [info.sid for info in told.tracks if info.muted] == [infos[0].sid]


async def test_a_connection_that_breaks_asks_its_client_to_begin_anew(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.publish(*TRACKS)
        await bob.hear_track("anna", 3)
        assert anna.peer
        anna.peer.dtls.close()
        await anna.peer.exchange()
        assert (await anna.hear("leave")).action == rtc.LeaveRequest.RECONNECT
        await anna.hear_closed()
        await bob.hear_gone("anna")
        assert house.native.uptracks.keys().isdisjoint(
            p.track.uptrack for p in house.registry.require("math").lesson.publications.values()
        )


async def test_what_is_said_while_a_client_is_away_waits(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.hear("join")
        bob = Client(house, "bob", "school")
        await bob.connect()
        sid = (await bob.hear("join")).participant.sid
        await bob.socket.close()
        await anna.publish(*TRACKS)
        await bob.connect(reconnect=True, participant_sid=sid)
        await bob.hear("reconnect")
        assert len((await bob.hear_track("anna", 3)).tracks) == 3
        answer = await bob.watch()
        assert len(answer.mid_to_track_id) == 3
        await bob.socket.close()


async def test_what_flows_is_shown(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.publish(*TRACKS)
        house.native.say(StreamStarted(house.uptrack("0"), "", 1))
        async with asyncio.timeout(5):
            while not (await house.lessons())[0]["tracks"]:
                pass
        assert (await house.lessons())[0]["tracks"][0]["source"] == "microphone"
