//! The alarm, from this thread and from others.

use super::*;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A wait that a ring ends.
fn hear(driver: &EpollDriver) {
    let start = Instant::now();
    driver.wait(Some(PATIENCE), &mut Vec::new()).unwrap();
    assert!(start.elapsed() < PATIENCE, "a ring was lost");
}

/// A wait that nothing ends but its time.
fn hear_nothing(driver: &EpollDriver) {
    let start = Instant::now();
    driver.wait(Some(GRACE), &mut Vec::new()).unwrap();
    assert!(start.elapsed() >= GRACE, "there was a ring");
}

#[test]
fn a_ring_from_another_thread_ends_a_wait() {
    let driver = driver();
    let alarm = driver.alarm();
    thread::scope(|scope| {
        scope.spawn(move || alarm.ring());
        hear(&driver);
    });
}

#[test]
fn a_ring_before_a_wait_ends_the_next_one_only() {
    let driver = driver();
    driver.alarm().ring();
    hear(&driver);
    hear_nothing(&driver);
    driver.alarm().ring();
    hear(&driver);
}

#[test]
fn many_rings_are_one_wake() {
    let driver = driver();
    let alarms = [driver.alarm(), driver.alarm()];
    for alarm in alarms.iter().cycle().take(1000) {
        alarm.ring();
    }
    hear(&driver);
    hear_nothing(&driver);
}

#[test]
fn a_ring_comes_with_what_is_ready() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    driver.alarm().ring();
    assert_eq!(look(&driver), [ready(&key, READ)]);
    key.watch(&driver, NONE);
    hear_nothing(&driver);
}

#[test]
fn an_alarm_outlives_its_driver() {
    let alarm = driver().alarm();
    alarm.ring();
}

/// The races that matter: a ring between the look at a queue and the sleep, and one between the two steps of hushing.
/// What the rings are for is relaxed on purpose: the alarm alone orders it.
#[test]
fn no_ring_is_lost_and_none_comes_before_what_it_is_for() {
    const RINGS: usize = 20_000;
    let driver = driver();
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let start = Barrier::new(done.len() + 1);
    thread::scope(|scope| {
        for count in &done {
            let (alarm, start) = (driver.alarm(), &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..RINGS {
                    count.fetch_add(1, Ordering::Relaxed);
                    alarm.ring();
                }
            });
        }
        start.wait();
        while done.iter().any(|count| count.load(Ordering::Relaxed) < RINGS) {
            hear(&driver);
        }
    });
}
