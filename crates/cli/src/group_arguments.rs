//! The words of `ottla group`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::client_arguments::{BrokerArguments, FormArguments};
use crate::times::{From, parse_duration};

/// Shown below the help of `ottla group reset`.
pub(crate) const RESET_EXAMPLES: &str = "\
Examples:
  ottla group reset billing --to start          the plan: every position, before and after
  ottla group reset billing --to start -y       the same, carried out
  ottla group reset billing --to -1h            the records of the last hour once more
  ottla group reset billing -t orders:0 --to +1 skip one record of one partition";

/// `ottla group …`
#[derive(Debug, Subcommand)]
pub(crate) enum GroupVerb {
    /// List consumer groups
    List(ListGroupArguments),
    /// Show state, members, positions and lag of a group
    Describe(GroupArguments),
    /// Show how far groups are behind, in records and in seconds
    Lag(LagArguments),
    /// Move the positions of a group without members; without -y it only prints the plan
    #[command(after_help = RESET_EXAMPLES)]
    Reset(ResetArguments),
    /// Delete groups without members, and all their positions
    Delete(DeleteGroupArguments),
}

/// `ottla group list`
#[derive(Debug, Args)]
pub(crate) struct ListGroupArguments {
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla group describe`
#[derive(Debug, Args)]
pub(crate) struct GroupArguments {
    /// The group
    #[arg(value_name = "GROUP")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla group lag`
#[derive(Debug, Args)]
pub(crate) struct LagArguments {
    /// The group [default: all]
    #[arg(value_name = "GROUP")]
    pub(crate) name: Option<String>,
    /// Exit with code 7 if a position is further behind: a number of records, or an age
    #[arg(long, value_name = "N|30s")]
    pub(crate) fail_above: Option<LagLimit>,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla group reset`
#[derive(Debug, Args)]
pub(crate) struct ResetArguments {
    /// The group
    #[arg(value_name = "GROUP")]
    pub(crate) name: String,
    /// Only this topic, or one partition of it; may be repeated [default: all that the group has
    /// committed in]
    #[arg(short, long = "topic", value_name = "TOPIC[:N]")]
    pub(crate) topics: Vec<Place>,
    /// Where to: start, end, OFFSET, @TIME, -1h, or +N and -N records from where it is
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub(crate) to: To,
    /// Do it, by a plan that is made anew; without this it only says what it would do
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla group delete`
#[derive(Debug, Args)]
pub(crate) struct DeleteGroupArguments {
    /// The groups
    #[arg(value_name = "GROUP", required = true)]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// A topic, or one partition of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A topic's name has no colon.
        let Some((topic, number)) = text.split_once(':') else {
            let (topic, partition) = (text.to_owned(), None);
            return Ok(Self { topic, partition });
        };
        match number.parse() {
            Ok(number) if number >= 0 => Ok(Self {
                topic: topic.to_owned(),
                partition: Some(number),
            }),
            Ok(_) | Err(_) => Err("it is TOPIC or TOPIC:N".to_owned()),
        }
    }
}

/// Where positions are moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// The first record that is still there.
    Start,
    /// Behind the last record.
    End,
    /// An offset.
    Offset(i64),
    /// So many records from where it is.
    Shift(i64),
    /// The first record that is not older, in milliseconds since 1970.
    Time(i64),
    /// The first record that is not older than this.
    Ago(Duration),
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || "it is start, end, OFFSET, +N, -N, -1h or @2030-01-31T10:00".to_owned();
        if let Some(count) = text.strip_prefix('+') {
            let count = count.parse().ok().filter(|count| *count >= 0);
            return count.map(Self::Shift).ok_or_else(form);
        }
        match text.parse::<From>() {
            Ok(From::Start) => Ok(Self::Start),
            Ok(From::End) => Ok(Self::End),
            Ok(From::Offset(offset)) => Ok(Self::Offset(offset)),
            Ok(From::Last(count)) => Ok(Self::Shift(-count)),
            Ok(From::Time(ms)) => Ok(Self::Time(ms)),
            Ok(From::Ago(ago)) => Ok(Self::Ago(ago)),
            Err(reason) if text.starts_with(['@', '-']) => Err(reason),
            Err(_) => Err(form()),
        }
    }
}

/// How far behind is too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LagLimit {
    /// More than so many records.
    Records(i64),
    /// A next record older than this.
    Age(Duration),
}

impl FromStr for LagLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(count) = text.parse::<u32>() {
            return Ok(Self::Records(count.into()));
        }
        let age = parse_duration(text).map(Self::Age);
        age.map_err(|_no_duration| "it is a number of records, or an age: 30s, 5m".to_owned())
    }
}

impl fmt::Display for LagLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(count) => write!(f, "{count} records"),
            Self::Age(age) => write!(f, "{} s", age.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests;
