//! Transcripts: loading, saving, and saying where two differ.
//!
//! A transcript is sections (`# scenario`) of lines (`what -> observation`).

use std::fs;
use std::path::Path;

/// How much of a long line is shown around the first difference.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 160;
/// How many differences are shown before the rest is only counted.
const SHOWN_MAX: usize = 40;

/// The recorded transcript, or one section of it.
pub(super) fn load(path: &Path, scenario: Option<&str>) -> Result<String, String> {
    let all = fs::read_to_string(path)
        .map_err(|e| format!("{}: {e}; record it with --record", path.display()))?;
    Ok(match scenario {
        None => all,
        Some(name) => section(&all, name),
    })
}

/// Writes what Apache Kafka showed.
#[expect(
    clippy::disallowed_methods,
    reason = "writes a source file of this repository"
)]
pub(super) fn save(path: &Path, transcript: &str) -> Result<(), String> {
    fs::write(path, transcript).map_err(|e| format!("{}: {e}", path.display()))
}

fn section(all: &str, name: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in all.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            inside = title.eq_ignore_ascii_case(name);
        }
        if inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// One sentence per line that differs; empty if the transcripts are equal.
pub(super) fn differences(expected: &str, got: &str) -> Vec<String> {
    let expected = keyed(expected);
    let got = keyed(got);
    let mut all = Vec::new();
    for (key, wanted) in &expected {
        match got.iter().find(|(other, _)| other == key) {
            None => all.push((key, format!("missing    {wanted}", wanted = cut(wanted, 0)))),
            Some((_, found)) if found != wanted => {
                let at = common_prefix(wanted, found);
                let (wanted, found) = (cut(wanted, at), cut(found, at));
                all.push((key, format!("expected   {wanted}\n  got        {found}")));
            }
            Some(_) => {}
        }
    }
    for (key, found) in &got {
        if !expected.iter().any(|(other, _)| other == key) {
            all.push((key, format!("unexpected {}", cut(found, 0))));
        }
    }
    if all.is_empty() && expected != got {
        return vec!["the same lines in another order".to_owned()];
    }
    shown(&all)
}

/// Differences that several versions share are shown once.
fn shown(all: &[(&String, String)]) -> Vec<String> {
    let mut sentences: Vec<(String, &str)> = Vec::new();
    for (key, body) in all {
        let (what, version) = key.rsplit_once(' ').unwrap_or((key, ""));
        match sentences.last_mut() {
            Some((keys, last))
                if *last == body.as_str() && keys.starts_with(&format!("{what} v")) =>
            {
                keys.push(' ');
                keys.push_str(version);
            }
            _ => sentences.push(((*key).clone(), body)),
        }
    }
    let more = sentences.len().saturating_sub(SHOWN_MAX);
    let mut shown: Vec<String> = sentences
        .iter()
        .take(SHOWN_MAX)
        .map(|(keys, body)| format!("{keys}\n  {body}"))
        .collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}

/// Each observation under a name that is unique: section, what was asked, and a count if asked
/// again. A line for a range of versions is one observation per version.
fn keyed(transcript: &str) -> Vec<(String, &str)> {
    let mut all: Vec<(String, &str)> = Vec::new();
    let mut section = "";
    let mut seen = std::collections::HashMap::<String, usize>::new();
    for line in transcript.lines() {
        section = line.strip_prefix("# ").unwrap_or(section);
        let (asked, observed) = line.split_once(" -> ").unwrap_or((line, ""));
        for asked in versions(asked) {
            let key = format!("{section}: {asked}");
            let count = seen.entry(key.clone()).or_default();
            *count += 1;
            let unique = if *count == 1 {
                key
            } else {
                format!("{key} ({count})")
            };
            all.push((unique, observed));
        }
    }
    all
}

/// `good v2-4` is `good v2`, `good v3` and `good v4`.
fn versions(asked: &str) -> Vec<String> {
    let range = asked.rsplit_once(" v").and_then(|(what, range)| {
        let (from, to) = range.split_once('-')?;
        Some((what, from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
    });
    match range {
        Some((what, from, to)) => (from..=to).map(|v| format!("{what} v{v}")).collect(),
        None => vec![asked.to_owned()],
    }
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count()
}

/// A window of a line around a character.
fn cut(line: &str, at: usize) -> String {
    let from = at.saturating_sub(SHOWN_BEFORE);
    let window: String = line
        .chars()
        .skip(from)
        .take(SHOWN_BEFORE + SHOWN_AFTER)
        .collect();
    if from == 0 {
        window
    } else {
        format!("…{window}")
    }
}

#[cfg(test)]
mod tests;
