//! Accepts long flags with one dash: `-port 9092`, `-data-dir=./data`.
//!
//! A word that is exactly `-name` or `-name=value`, with `name` a known long flag of two letters or
//! more, gets its second dash before the arguments are parsed. Values are never touched: the word
//! after a flag that takes one is passed on as it is, and nothing changes after `--`.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// `arguments` with second dashes where they are missing. The first word is the program's name.
pub(crate) fn normalise(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let flags = long_flags(command);
    let mut words = arguments.into_iter();
    let mut normalised: Vec<OsString> = words.next().into_iter().collect();
    let mut value_comes = false;
    let mut flags_end = false;
    for word in words {
        if flags_end || value_comes {
            value_comes = false;
            normalised.push(word);
            continue;
        }
        let fixed = word.to_str().and_then(|text| second_dash(&flags, text));
        let word = fixed.map_or(word, OsString::from);
        flags_end = word == "--";
        value_comes = word
            .to_str()
            .is_some_and(|text| takes_next_word(&flags, text));
        normalised.push(word);
    }
    normalised
}

struct LongFlag {
    name: String,
    short: Option<char>,
    takes_value: bool,
}

fn long_flags(command: &Command) -> Vec<LongFlag> {
    let own = command.get_arguments().flat_map(|argument| {
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let short = argument.get_short();
        let names = argument.get_long_and_visible_aliases().unwrap_or_default();
        let flag = move |name: &str| LongFlag {
            name: name.to_owned(),
            short,
            takes_value,
        };
        names.into_iter().map(flag).collect::<Vec<_>>()
    });
    let built_in = ["help", "version"].map(|name| LongFlag {
        name: name.to_owned(),
        short: None,
        takes_value: false,
    });
    let below = command.get_subcommands().flat_map(long_flags);
    own.chain(built_in).chain(below).collect()
}

fn second_dash(flags: &[LongFlag], word: &str) -> Option<String> {
    let bare = word
        .strip_prefix('-')
        .filter(|bare| !bare.starts_with('-'))?;
    let name = bare.split_once('=').map_or(bare, |(name, _)| name);
    let known = name.len() >= 2 && flags.iter().any(|flag| flag.name == name);
    known.then(|| format!("--{bare}"))
}

fn takes_next_word(flags: &[LongFlag], word: &str) -> bool {
    let long = word.strip_prefix("--");
    let short = word.strip_prefix('-').and_then(|rest| {
        let mut letters = rest.chars();
        letters.next().filter(|_| letters.next().is_none())
    });
    flags.iter().any(|flag| {
        let named = long == Some(flag.name.as_str()) || (short.is_some() && flag.short == short);
        named && flag.takes_value
    })
}

#[cfg(test)]
mod tests;
