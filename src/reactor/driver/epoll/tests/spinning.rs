//! Looking before sleeping: when it is done, and that whatever ends a sleep ends it too.

use super::*;
use std::thread;

/// Looks for so long that no test would see its end, as long as its credit lasts.
fn spinning(credit: u32) -> EpollDriver {
    let driver = EpollDriver::new(PATIENCE).unwrap();
    let mut spin = driver.spin.get();
    (0..credit).for_each(|_| spin.learn(true));
    driver.spin.set(spin);
    driver
}

fn credit(driver: &EpollDriver) -> u32 {
    driver.spin.get().credit
}

#[test]
fn without_credit_one_wait_of_many_looks() {
    let mut spin = Spin::new(Duration::from_micros(20));
    for _ in 0..3 {
        (1..Spin::PROBE).for_each(|_| assert!(!spin.looks()));
        assert!(spin.looks());
        spin.learn(false);
    }
}

#[test]
fn looks_that_find_something_go_on_until_some_were_in_vain() {
    let mut spin = Spin::new(Duration::from_micros(20));
    for _ in 0..100 {
        spin.learn(true);
        assert!(spin.looks());
    }
    for _ in 0..Spin::MOST.div_ceil(Spin::MISS) {
        assert!(spin.looks());
        spin.learn(false);
    }
    assert!(!spin.looks());
}

/// After a time that paid: so many waits that would find something, and one that would not, over and over. How many of a hundred look.
fn looking(founds: u32) -> u32 {
    let mut spin = Spin::new(Duration::from_micros(20));
    (0..Spin::MOST).for_each(|_| spin.learn(true));
    let (waits, mut looked) = (100 * Spin::PROBE, 0);
    for wait in 0..waits {
        if spin.looks() {
            looked += 1;
            spin.learn(wait % (founds + 1) != 0);
        }
    }
    looked * 100 / waits
}

#[test]
fn it_pays_where_three_of_four_find_something() {
    assert!(looking(4) > 90);
    assert!(looking(2) < 10);
    assert!(looking(0) < 2);
}

#[test]
fn without_a_time_it_never_looks() {
    let mut spin = Spin::default();
    spin.learn(true);
    assert!((0..1000).all(|_| !spin.looks()));
}

#[test]
fn a_look_finds_data_and_rings() {
    let driver = spinning(1);
    let (key, _peer) = connection(&driver);
    key.watch(&driver, WRITE);
    let mut told = Vec::new();
    driver.wait(None, &mut told).unwrap();
    assert_eq!(told, [ready(&key, WRITE)]);
    key.watch(&driver, NONE);

    let alarm = driver.alarm();
    thread::scope(|scope| {
        scope.spawn(move || alarm.ring());
        driver.wait(None, &mut told).unwrap();
    });
    assert_eq!(credit(&driver), 3);
}

/// It is over with the time of the wait, and never before.
#[test]
fn a_look_makes_no_wait_longer() {
    let driver = spinning(Spin::MISS);
    let start = Instant::now();
    driver.wait(Some(GRACE), &mut Vec::new()).unwrap();
    assert!((GRACE..PATIENCE).contains(&start.elapsed()));
    assert_eq!(credit(&driver), 0);
}

#[test]
fn after_a_look_in_vain_it_sleeps_as_ever() {
    let driver = EpollDriver::new(Duration::from_nanos(1)).unwrap();
    let mut spin = driver.spin.get();
    spin.learn(true);
    driver.spin.set(spin);
    let start = Instant::now();
    driver.wait(Some(GRACE), &mut Vec::new()).unwrap();
    assert!(start.elapsed() >= GRACE);
    assert_eq!(credit(&driver), 0);
    let alarm = driver.alarm();
    thread::scope(|scope| {
        scope.spawn(move || alarm.ring());
        driver.wait(None, &mut Vec::new()).unwrap();
    });
}

/// Who does not want to sleep does not want to look either.
#[test]
fn a_wait_of_no_time_neither_costs_nor_earns() {
    let driver = spinning(1);
    for _ in 0..200 {
        assert_eq!(look(&driver), []);
    }
    assert_eq!(credit(&driver), 1);
}
