use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000_000;
const START: Micros = Micros(1_790_000_000_000_000);

fn at(minutes: i64) -> Micros {
    Micros(START.0 + minutes * MINUTE)
}

fn usage(used: u64, limit: u64) -> Usage {
    Usage { used, limit }
}

/// Takes one call as the daemon does, with the disk as `disk`.
fn take(day: &mut Day, disk: &mut DayRecord, now: Micros) -> Take {
    let taken = day.take(now);
    let Take::NeedsReservation(tokens) = taken else { return taken };
    let reservation = day.plan(now).expect("asked for");
    assert_eq!(reservation.tokens(), tokens);
    *disk = reservation.record().clone();
    assert!(day.reserved(&reservation, now));
    day.take(now)
}

fn drain(day: &mut Day, disk: &mut DayRecord, now: Micros) -> u64 {
    let mut calls = 0;
    while take(day, disk, now) == Take::Taken {
        calls += 1;
        assert!(calls < 1_000_000, "the day has no end");
    }
    calls
}

#[test]
fn a_call_is_on_disk_before_it_is_made() {
    let mut day = Day::new(DayRecord::default(), Some(1000), 0.0);
    assert_eq!(day.take(START), Take::NeedsReservation(50));
    let reservation = day.plan(START).expect("asked for");
    assert_eq!(day.take(START), Take::NeedsReservation(50), "planned is not reserved");
    assert!(day.reserved(&reservation, START));
    assert!(!day.reserved(&reservation, START), "a block counts once");
    for _ in 0..50 {
        assert_eq!(day.take(START), Take::Taken);
    }
    assert!(matches!(day.take(START), Take::NeedsReservation(_)));
    let after_crash = Day::new(reservation.record().clone(), Some(1000), 0.0);
    assert_eq!(after_crash.used(START), (50, Some(1000)));
}

#[test]
fn blocks_shrink_towards_the_end() {
    let mut day = Day::new(DayRecord::default(), Some(200), 0.0);
    let mut disk = DayRecord::default();
    assert_eq!(day.take(START), Take::NeedsReservation(10));
    for _ in 0..190 {
        assert_eq!(take(&mut day, &mut disk, START), Take::Taken);
    }
    assert_eq!(Day::new(disk, Some(200), 0.0).used(START).0, 190);
}

#[test]
fn the_reserve_is_left_to_others() {
    let mut day = Day::new(DayRecord::default(), Some(1001), 0.1);
    assert_eq!(drain(&mut day, &mut DayRecord::default(), START), 900);
    assert_eq!(Day::new(DayRecord::default(), Some(10), 1.0).cap(), Some(0));
}

#[test]
fn it_tells_when_calls_count_no_more() {
    let mut day = Day::new(DayRecord::default(), Some(30), 0.0);
    let mut disk = DayRecord::default();
    for minute in 0..30 {
        assert_eq!(take(&mut day, &mut disk, at(minute * 10)), Take::Taken);
    }
    let Take::Exhausted { until } = take(&mut day, &mut disk, at(300)) else { panic!("thirty are used") };
    assert!(until >= at(24 * 60) && until <= at(25 * 60));
    assert!(matches!(day.take(Micros(until.0 - 1)), Take::Exhausted { .. }));
    assert_eq!(take(&mut day, &mut disk, until), Take::Taken);
}

#[test]
fn an_hours_block_ends_with_it() {
    let mut day = Day::new(DayRecord::default(), Some(1000), 0.0);
    let mut disk = DayRecord::default();
    assert_eq!(take(&mut day, &mut disk, START), Take::Taken);
    let reservation = {
        let mut other = Day::new(disk.clone(), Some(1000), 0.0);
        other.plan(START).expect("nothing is spare after a restart")
    };
    assert!(matches!(day.take(at(60)), Take::NeedsReservation(_)));
    assert_eq!(day.used(at(60)).0, 1, "the unused are given back");
    assert!(!day.reserved(&reservation, at(60)), "planned for the hour before");
}

#[test]
fn the_vendors_count_is_believed_when_it_is_higher() {
    let mut day = Day::new(DayRecord::default(), Some(1000), 0.0);
    let mut disk = DayRecord::default();
    day.corrected(usage(990, 5000), 2, START);
    assert_eq!(drain(&mut day, &mut disk, START), 8);
    assert_eq!(day.used(START), (1000, Some(1000)));
    let until = after(START, ASK_AGAIN);
    assert_eq!(day.take(START), Take::Exhausted { until });
    assert_eq!(take(&mut day, &mut disk, until), Take::Taken, "one call asks again");
    assert_eq!(take(&mut day, &mut disk, until), Take::Exhausted { until: after(until, ASK_AGAIN) });
    day.corrected(usage(500, 5000), 0, until);
    assert_eq!(take(&mut day, &mut disk, until), Take::Taken);
    assert_eq!(day.used(until).0, 501);
}

#[test]
fn a_limit_is_learned() {
    let mut day = Day::new(DayRecord::default(), None, 0.0);
    assert_eq!(day.take(START), Take::Taken);
    assert_eq!(day.used(START), (1, None));
    day.corrected(usage(10, 12), 0, START);
    assert_eq!(drain(&mut day, &mut DayRecord::default(), START), 2);
    let mut day = Day::new(DayRecord::default(), Some(100), 0.5);
    day.corrected(usage(0, 40), 0, START);
    assert_eq!(day.cap(), Some(20));
}

#[test]
fn answers_that_overtake_each_other_lower_nothing() {
    let mut day = Day::new(DayRecord::default(), Some(1000), 0.0);
    day.corrected(usage(108, 1000), 0, START);
    day.corrected(usage(101, 1000), 0, START);
    assert_eq!(day.used(START).0, 108);
    day.corrected(usage(101, 1000), 0, at(1));
    assert_eq!(day.used(at(1)).0, 101);
    day.corrected(usage(3, 1000), 0, at(1));
    assert_eq!(day.used(at(1)).0, 3, "the vendor's day began again");
}

#[test]
fn a_refusal_for_the_day_closes_it() {
    let mut day = Day::new(DayRecord::default(), None, 0.0);
    day.refused(START);
    assert_eq!(day.used(START), (0, None), "nothing is known of the limit");
    assert_eq!(day.take(START), Take::Exhausted { until: after(START, ASK_AGAIN) });
    assert_eq!(take(&mut day, &mut DayRecord::default(), after(START, ASK_AGAIN)), Take::Taken);
    let mut day = Day::new(DayRecord::default(), Some(100), 0.0);
    day.refused(START);
    assert_eq!(day.take(START), Take::Exhausted { until: after(START, ASK_AGAIN) });
}

#[test]
fn a_clock_set_back_frees_nothing() {
    let mut day = Day::new(DayRecord::default(), Some(20), 0.0);
    let mut disk = DayRecord::default();
    assert_eq!(drain(&mut day, &mut disk, START), 20);
    assert!(matches!(day.take(at(-600)), Take::Exhausted { .. }));
    assert_eq!(day.used(at(-600)).0, 20);
}

#[test]
fn a_clock_that_was_years_ahead_closes_nothing_for_years() {
    let years = at(5 * 365 * 24 * 60);
    let mut day = Day::new(DayRecord::default(), Some(20), 0.0);
    let mut disk = DayRecord::default();
    assert_eq!(take(&mut day, &mut disk, years), Take::Taken);
    day.corrected(usage(20, 20), 0, years);
    let mut day = Day::new(day.record().clone(), Some(20), 0.0);
    assert_eq!(day.take(START), Take::Exhausted { until: after(START, ASK_AGAIN) });
    assert_eq!(take(&mut day, &mut disk, after(START, ASK_AGAIN)), Take::Taken);
    assert!(matches!(day.resets_at(START), Some(until) if until <= at(25 * 60)));
}

#[test]
fn the_outlook_is_the_tightest_stretch() {
    let mut day = Day::new(DayRecord::default(), Some(8_640), 0.0);
    assert_eq!(day.outlook(START), Some(Outlook { calls_left: 8_640, within: Duration::from_hours(24) }));
    let mut disk = DayRecord::default();
    for _ in 0..8_000 {
        assert_eq!(take(&mut day, &mut disk, START), Take::Taken);
    }
    let outlook = day.outlook(START).expect("limited");
    assert_eq!(outlook.calls_left, 640);
    assert!(outlook.within > Duration::from_hours(23) && outlook.within <= Duration::from_hours(25));
    assert_eq!(Day::new(DayRecord::default(), None, 0.0).outlook(START), None);
}

proptest! {
    /// Over any 24 hours, across crashes at any point and answers of the vendor, no more calls are made than the limit.
    #[test]
    fn no_rolling_day_is_passed(
        limit in 1_u64..300, reserve in 0.0_f64..0.5,
        steps in proptest::collection::vec((0_i64..200, 0_u32..20, 0_u64..120), 1..300),
    ) {
        let mut disk = DayRecord::default();
        let mut day = Day::new(disk.clone(), Some(limit), reserve);
        let cap = Day::new(DayRecord::default(), Some(limit), reserve).cap().expect("limited");
        prop_assert!(cap as f64 <= limit as f64 * (1.0 - reserve));
        let mut minute = 0;
        let mut calls: Vec<i64> = Vec::new();
        for (pause, dice, wishes) in steps {
            minute += pause;
            match dice {
                0..=2 => day = Day::new(disk.clone(), Some(limit), reserve),
                3 => disk = day.plan(at(minute)).map_or(disk, |planned| planned.record().clone()),
                4 => day.corrected(usage(wishes, 1000), 1, at(minute)),
                _ => {}
            }
            for _ in 0..wishes {
                if take(&mut day, &mut disk, at(minute)) == Take::Taken {
                    calls.push(minute);
                }
            }
        }
        let mut first = 0;
        for (last, &made) in calls.iter().enumerate() {
            while made - calls[first] > 24 * 60 {
                first += 1;
            }
            prop_assert!(((last - first) as u64) < cap);
        }
    }
}
