//! Times as a person writes them: durations, dates, and where to begin to read.
//!
//! Dates without a zone are UTC: what a command does must not depend on the machine it runs on.

use std::str::FromStr;
use std::time::Duration;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Where to begin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first record that is still there.
    Start,
    /// Behind the last record.
    End,
    /// At an offset.
    Offset(i64),
    /// So many offsets before the end.
    Last(i64),
    /// At the first record that is not older, in milliseconds since 1970.
    Time(i64),
    /// At the first record that is not older than this.
    Ago(Duration),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "start" => return Ok(Self::Start),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            return parse_time(time).map(Self::Time);
        }
        if let Some(back) = text.strip_prefix('-') {
            return match back.parse::<i64>() {
                Ok(count) if count >= 0 => Ok(Self::Last(count)),
                _ => parse_duration(back).map(Self::Ago),
            };
        }
        match text.parse::<i64>() {
            Ok(offset) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Self::Offset(offset))
            }
            _ => Err("it is start, end, OFFSET, -N, -1h or @2030-01-31T10:00".to_owned()),
        }
    }
}

/// A duration: a number and one of ms, s, m, h, d.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let form = || "it is a number and a unit: 500ms, 10s, 2m, 1h, 7d".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return Err(form()),
    };
    let number: u64 = number.parse().map_err(|_not_a_number| form())?;
    let ms = number.checked_mul(unit_ms.unsigned_abs());
    let ms = ms.filter(|&ms| ms > 0 && i64::try_from(ms).is_ok());
    ms.map(Duration::from_millis)
        .ok_or_else(|| "it is out of range".to_owned())
}

/// Milliseconds since 1970 of `2030-01-31[T10:00[:30[.250]]][Z|±01:00]`; a bare number is taken as
/// it is.
fn parse_time(text: &str) -> Result<i64, String> {
    let form = || format!("{text:?} is no time: write @2030-01-31T10:00 (UTC), @2030-01-31 or @MS");
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_too_large| form());
    }
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let days = parse_date(date).ok_or_else(form)?;
    let of_day = match time {
        None => 0,
        Some(time) => parse_time_of_day(time).ok_or_else(form)?,
    };
    Ok(days * DAY_MS + of_day)
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4, 9999)?;
    let month = number(parts.next()?, 2, 12)?;
    let day = number(parts.next()?, 2, 31)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = parts.next().is_none() && month >= 1 && (1..=month_days).contains(&day);
    valid.then(|| days_since_1970(year, month, day))
}

/// The days of the proleptic Gregorian calendar, counted in years that begin in March, so that the
/// leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_BEFORE_1970: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + day_of_year - DAYS_BEFORE_1970
}

fn parse_time_of_day(text: &str) -> Option<i64> {
    let (time, zone_ms) = match text.find(['Z', '+', '-']) {
        None => (text, 0),
        Some(at) => {
            let (time, zone) = text.split_at(at);
            (time, parse_zone(zone)?)
        }
    };
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, number(fraction, 3, 999)?),
        None => (time, 0),
    };
    let mut parts = time.split(':');
    let hour = number(parts.next()?, 2, 23)?;
    let minute = number(parts.next()?, 2, 59)?;
    let second = parts
        .next()
        .map_or(Some(0), |second| number(second, 2, 59))?;
    if parts.next().is_some() {
        return None;
    }
    Some(hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction - zone_ms)
}

fn parse_zone(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (number(hours, 2, 14)? * HOUR_MS + number(minutes, 2, 59)? * MINUTE_MS))
}

/// A number of exactly so many digits, at most so large.
fn number(text: &str, digits: usize, most: i64) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| plain && number <= most)
}

#[cfg(test)]
mod tests;
