//! Whether a window of the week is open at a moment, and when the next one opens. No IO, no clock.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use crate::api::{Day, Window};

/// A window that is longer than this is as long as this.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Whether one of the windows is open.
///
/// # Errors
///
/// A window that this version cannot read: then nothing is open.
pub(super) fn open(windows: &[Window], now: Timestamp) -> Result<bool, String> {
    let mut is_open = false;
    for window in windows {
        // It may have opened yesterday, or the day before where the clock of yesterday was put forward.
        for opening in openings(window, now, -2..=0)? {
            let length = length(window)?;
            let ends = opening.checked_add(length).unwrap_or(Timestamp::MAX);
            is_open |= opening <= now && now < ends;
        }
    }
    Ok(is_open)
}

/// When the next window opens.
pub(super) fn next_opening(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    let openings = windows.iter().filter_map(|window| openings(window, now, 0..=7).ok()).flatten();
    openings.filter(|opening| *opening > now).min()
}

fn length(window: &Window) -> Result<SignedDuration, String> {
    let length = window.duration.to_duration().and_then(|length| SignedDuration::try_from(length).ok());
    let length = length.ok_or_else(|| format!("the window's duration {} cannot be read", window.duration))?;
    Ok(length.min(LONGEST))
}

/// The moments at which the window opens on days around today. A time that a change of the clock skips comes as much
/// later as the clock is put forward; of a time that comes twice, the first counts.
fn openings(window: &Window, now: Timestamp, days: std::ops::RangeInclusive<i32>) -> Result<Vec<Timestamp>, String> {
    let zone = TimeZone::get(window.time_zone.as_str())
        .map_err(|_| format!("the window's timeZone {} is not known", window.time_zone))?;
    let start: Time = Time::strptime("%H:%M", window.start.as_str())
        .map_err(|_| format!("the window's start {} cannot be read", window.start))?;
    let today: Zoned = now.to_zoned(zone.clone());
    let opened = days.filter_map(|offset| {
        let date = today.date().checked_add(offset.days()).ok()?;
        let is_its_day = window.days.iter().any(|day| weekday(*day) == date.weekday());
        let opening = date.to_datetime(start).to_zoned(zone.clone()).ok()?;
        is_its_day.then(|| opening.timestamp())
    });
    Ok(opened.collect())
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests;
