use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(yaml: &str) -> Window {
    serde_saphyr::from_str(yaml).unwrap()
}

fn is_open(yaml: &str, now: &str) -> bool {
    open(&[window(yaml)], at(now)).unwrap()
}

fn next(yaml: &str, now: &str) -> String {
    next_opening(&[window(yaml)], at(now)).unwrap().to_string()
}

/// 2026-11-20 is a Friday.
const FRIDAY: &str = "{days: [Fri], start: '22:00', duration: 4h, timeZone: UTC}";

#[test]
fn a_window_is_open_from_its_start_to_its_end_over_midnight() {
    for (now, expected) in [
        ("2026-11-20T21:59:59Z", false),
        ("2026-11-20T22:00:00Z", true),
        ("2026-11-21T01:59:59Z", true),
        ("2026-11-21T02:00:00Z", false),
        ("2026-11-21T22:30:00Z", false),
    ] {
        assert_eq!(is_open(FRIDAY, now), expected, "{now}");
    }
}

#[test]
fn the_next_opening_is_named_within_a_week() {
    assert_eq!(next(FRIDAY, "2026-11-20T21:00:00Z"), "2026-11-20T22:00:00Z");
    assert_eq!(next(FRIDAY, "2026-11-20T22:00:00Z"), "2026-11-27T22:00:00Z");
    assert_eq!(next(FRIDAY, "2026-11-21T00:00:00Z"), "2026-11-27T22:00:00Z");
    let both = [window(FRIDAY), window("{days: [Mon], start: '06:00', duration: 1h, timeZone: UTC}")];
    assert_eq!(next_opening(&both, at("2026-11-21T00:00:00Z")), Some(at("2026-11-23T06:00:00Z")));
    assert_eq!(open(&both, at("2026-11-23T06:30:00Z")), Ok(true), "any of them opens");
}

#[test]
fn days_and_times_are_those_of_the_windows_zone() {
    // Half past one on Saturday in Auckland is Friday at noon elsewhere.
    let auckland = "{days: [Sat], start: '01:00', duration: 1h, timeZone: Pacific/Auckland}";
    assert!(is_open(auckland, "2026-11-20T12:30:00Z"));
    assert!(!is_open(auckland, "2026-11-21T01:30:00Z"));
    assert_eq!(next(auckland, "2026-11-20T11:00:00Z"), "2026-11-20T12:00:00Z");
}

#[test]
fn a_window_keeps_its_length_and_its_local_start_when_clocks_change() {
    // Berlin puts the clock forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
    let night = "{days: [Sat], start: '23:00', duration: 6h, timeZone: Europe/Berlin}";
    assert!(is_open(night, "2026-03-28T22:00:00Z") && is_open(night, "2026-03-29T03:59:59Z"));
    assert!(!is_open(night, "2026-03-29T04:00:00Z"), "06:00 by the local clock");
    assert!(is_open(night, "2026-10-24T21:00:00Z") && is_open(night, "2026-10-25T02:59:59Z"));
    assert!(!is_open(night, "2026-10-25T03:00:00Z"), "04:00 by the local clock");
}

#[test]
fn a_start_that_is_skipped_comes_later_and_of_one_that_comes_twice_the_first_counts() {
    let early = "{days: [Sun], start: '02:30', duration: 30m, timeZone: Europe/Berlin}";
    assert_eq!(next(early, "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z", "03:30 in summer time");
    assert!(is_open(early, "2026-03-29T01:45:00Z") && !is_open(early, "2026-03-29T01:15:00Z"));
    assert!(is_open(early, "2026-10-25T00:45:00Z"), "in summer time still");
    assert!(!is_open(early, "2026-10-25T01:45:00Z"), "not a second time");
}

#[test]
fn a_window_of_a_whole_day_reaches_over_the_shorter_day_into_the_third() {
    let whole = "{days: [Sat], start: '23:45', duration: 24h, timeZone: Europe/Berlin}";
    // Saturday 23:45 to Monday 00:45, because Sunday has 23 hours.
    assert!(is_open(whole, "2026-03-29T22:30:00Z"));
    assert!(!is_open(whole, "2026-03-29T22:45:00Z"));
}

#[test]
fn no_window_is_longer_than_a_day() {
    let long = "{days: [Fri], start: '22:00', duration: 99h, timeZone: UTC}";
    assert!(is_open(long, "2026-11-21T21:59:59Z") && !is_open(long, "2026-11-21T22:00:00Z"));
}

#[test]
fn a_window_that_cannot_be_read_closes_all() {
    for (bad, said) in [
        ("{days: [Fri], start: '22:00', duration: 4h, timeZone: Europe/Atlantis}", "Europe/Atlantis"),
        ("{days: [Fri], start: '24:01', duration: 4h, timeZone: UTC}", "24:01"),
        ("{days: [Fri], start: '22:00', duration: soon, timeZone: UTC}", "soon"),
    ] {
        let windows = [window("{days: [Fri], start: '00:00', duration: 24h, timeZone: UTC}"), window(bad)];
        let error = open(&windows, at("2026-11-20T22:30:00Z")).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(open(&[], at("2026-11-20T22:30:00Z")), Ok(false));
}

proptest::proptest! {
    #[test]
    fn what_the_next_opening_names_is_open_and_everything_before_it_that_is_closed_stays_closed(
        second in 1_770_000_000_i64..1_810_000_000,
        start in 0_i32..1440,
        minutes in 1_i64..1440,
        day in 0_usize..7,
        zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]),
        share in 0.0_f64..1.0,
    ) {
        let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][day];
        let start = format!("{:02}:{:02}", start / 60, start % 60);
        let yaml = format!("{{days: [{day}], start: '{start}', duration: {minutes}m, timeZone: {zone}}}");
        let windows = [window(&yaml)];
        let now = Timestamp::from_second(second).unwrap();
        let next = next_opening(&windows, now).unwrap();
        proptest::prop_assert!(next > now && next.duration_since(now) < SignedDuration::from_hours(8 * 24));
        proptest::prop_assert_eq!(open(&windows, next), Ok(true));
        proptest::prop_assert_eq!(open(&windows, next + SignedDuration::from_mins(minutes)), Ok(false));
        if open(&windows, now) == Ok(false) {
            let between = now + next.duration_since(now).mul_f64(share * 0.999);
            proptest::prop_assert_eq!(open(&windows, between), Ok(false));
        }
    }
}
