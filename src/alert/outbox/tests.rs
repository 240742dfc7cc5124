use super::*;
use crate::alert::testing::{message, second};

const LATER: &str = "connection refused";

fn filled(messages: &[(u64, &str, Event)]) -> Outbox {
    let mut outbox = Outbox::default();
    for (number, alert, event) in messages {
        let mut message = message(*event);
        (*alert).clone_into(&mut message.alert.id);
        assert!(outbox.add(*number, message).is_empty());
    }
    outbox
}

/// The number that is next, or the second until which it waits.
fn next(outbox: &Outbox, now: u64) -> Result<u64, Option<u64>> {
    match outbox.next(Duration::from_secs(now)) {
        Next::Send(number, _) => Ok(number),
        Next::Wait(until) => Err(Some(until.as_secs())),
        Next::Idle => Err(None),
    }
}

fn later(outbox: &mut Outbox, number: u64, now: u64) -> Failure {
    let why = Unsent::Later(LATER.to_owned());
    outbox.failed(number, &why, Duration::from_secs(now), second(now as i64), 1.0)
}

#[test]
fn messages_go_in_their_order() {
    let mut outbox = filled(&[(7, "a", Event::Ended), (3, "a", Event::Began), (5, "b", Event::Began)]);
    for number in [3, 5, 7] {
        assert_eq!(next(&outbox, 0), Ok(number));
        assert!(!outbox.told(number));
    }
    assert_eq!((next(&outbox, 0), outbox.told_total, outbox.len()), (Err(None), 3, 0));
}

#[test]
fn a_receiver_that_is_away_holds_everything_with_longer_and_longer_waits() {
    let mut outbox = filled(&[(1, "a", Event::Began), (2, "b", Event::Began)]);
    let mut now = 100;
    let mut waits = Vec::new();
    for _ in 0..11 {
        assert_eq!(next(&outbox, now), Ok(1));
        later(&mut outbox, 1, now);
        let Err(Some(until)) = next(&outbox, now) else { panic!("it is tried at once") };
        waits.push(until - now);
        now = until;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!((outbox.failing_since, outbox.last_error.as_deref()), (Some(second(100)), Some(LATER)));
    assert!(outbox.told(1), "it works again");
    assert_eq!((next(&outbox, now), outbox.failing_since, outbox.last_error.as_deref()), (Ok(2), None, None));
    assert_eq!(wait(0, 0.0), Duration::from_millis(500), "with jitter");
}

#[test]
fn a_new_configuration_is_tried_at_once() {
    let mut outbox = filled(&[(1, "a", Event::Began)]);
    for _ in 0..9 {
        later(&mut outbox, 1, 100);
    }
    outbox.failed(1, &Unsent::Refused("HTTP 400".to_owned()), Duration::from_secs(100), second(100), 1.0);
    assert_eq!(next(&outbox, 101), Err(Some(356)));
    outbox.begin_anew();
    assert_eq!(next(&outbox, 101), Ok(1));
}

#[test]
fn that_a_channel_fails_for_long_is_said_once() {
    let mut outbox = filled(&[(1, "a", Event::Began)]);
    let standings = [0, 100, 299, 300, 301, 9_000].map(|now| later(&mut outbox, 1, now).standing);
    let expect = [Standing::First, Standing::Again, Standing::Again, Standing::Long, Standing::Again, Standing::Again];
    assert_eq!(standings, expect);
}

#[test]
fn a_message_that_is_refused_lets_the_others_pass_but_not_its_own_end() {
    let mut outbox = filled(&[(1, "a", Event::Began), (2, "a", Event::Ended), (3, "b", Event::Began)]);
    let refused = Unsent::Refused("HTTP 422".to_owned());
    let fail = |outbox: &mut Outbox, now: u64| {
        outbox.failed(1, &refused, Duration::from_secs(now), second(1_060 + now as i64), 1.0).is_given_up
    };
    assert!(!fail(&mut outbox, 10));
    assert_eq!(next(&outbox, 10), Ok(3));
    outbox.told(3);
    assert_eq!(next(&outbox, 10), Err(Some(11)), "2 comes after 1");
    assert_eq!(outbox.last_error, None, "the channel works");
    assert!(!fail(&mut outbox, 86_399));
    assert!(fail(&mut outbox, 86_400), "after a day it is given up");
    assert_eq!((next(&outbox, 86_400), outbox.lost_total), (Ok(2), 1));
}

#[test]
fn an_owner_that_is_unknown_holds_up_nobody() {
    let mut outbox = Outbox::default();
    let copy = Message { copy_to: Some("gone@acme.example".to_owned()), ..message(Event::Began) };
    outbox.add(1, copy);
    outbox.add(2, message(Event::Began));
    outbox.add(3, message(Event::Ended));
    assert!(outbox.is_untold(&message(Event::Began).alert.id));
    outbox.failed(1, &Unsent::Refused("550 no such user".to_owned()), Duration::ZERO, second(1_060), 1.0);
    for number in [2, 3] {
        assert_eq!(next(&outbox, 0), Ok(number));
        outbox.told(number);
    }
    assert!(!outbox.is_untold(&message(Event::Began).alert.id), "copies do not count");
}

#[test]
fn what_waits_is_bounded() {
    let mut outbox = Outbox::default();
    let given_up: Vec<u64> = (0..MOST_WAITING as u64 + 3).flat_map(|n| outbox.add(n, message(Event::Began))).collect();
    assert_eq!((given_up, outbox.len(), outbox.lost_total), (vec![0, 1, 2], MOST_WAITING, 3));
    assert_eq!(outbox.numbers().first(), Some(&3));
}
