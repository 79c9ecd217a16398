//! What is read from the fuzzer, and what is told of it.

use super::*;

const DONE: &str = "\
#2\tINITED cov: 21 ft: 22 corp: 1/1b exec/s: 0 rss: 40Mb
#4096\tpulse  cov: 300 ft: 400 corp: 50/2Kb lim: 43 exec/s: 2048 rss: 60Mb
#298055\tDONE   cov: 221 ft: 408 corp: 101/4499b lim: 2171 exec/s: 59611 rss: 109Mb
stat::number_of_executed_units: 298055
stat::average_exec_per_sec:     59611
stat::peak_rss_mb:              109
";

const CRASHED: &str = "\
#85\tNEW    cov: 72 ft: 97 corp: 42/92b lim: 4 exec/s: 28 rss: 374Mb
thread '<unnamed>' (2093) panicked at src/partition.rs:132:5:
assertion `left == right` failed: opening moved no end
  left: 19
==2093== ERROR: libFuzzer: deadly signal
artifact_prefix='x/'; Test unit written to x/crash-08886762
";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_figures_are_those_at_the_end() {
    let figures = words(&row("frame", DONE));
    assert_eq!(figures, words("frame 298055 59611 221 101 109"));
    let figures = words(&row("frame", "it never began"));
    assert_eq!(figures, words("frame - - - - -"));
}

#[test]
fn a_crash_is_told_with_the_way_to_see_it_again() {
    let told = complaint("partition", CRASHED);
    for part in [
        "partition failed",
        "opening moved no end",
        "cargo +nightly fuzz run partition x/crash-08886762",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
fn options_are_numbers_and_names() {
    let expected = Options {
        seconds: 7,
        seed: 3,
        jobs: 1,
        targets: words("frame request"),
    };
    let given = words("--seconds 7 frame --seed 3 --jobs 1 request");
    assert_eq!(Options::parse(&given), Ok(expected));
    for bad in [
        "--seconds",
        "--seconds 0",
        "--jobs two",
        "--seed 0",
        "--often",
    ] {
        assert!(Options::parse(&words(bad)).is_err(), "{bad}");
    }
}

#[test]
fn every_target_is_listed_and_only_known_ones_are_run() {
    let folder = root().join("fuzz");
    let all = targets_in(&folder).expect("the folder is there");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("it is there");
    for target in &all {
        let listed = format!("path = \"targets/{target}.rs\"");
        assert!(manifest.contains(&listed), "{target} is not built");
    }
    assert_eq!(chosen(all.clone(), &[]), Ok(all.clone()));
    assert_eq!(
        chosen(all.clone(), &words("frame")),
        Ok(vec!["frame".to_owned()])
    );
    assert!(chosen(all, &words("no-such")).is_err());
}
