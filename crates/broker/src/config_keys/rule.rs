//! Which texts are values of a config, and what they mean.

use super::ConfigKind;

/// A longer text is refused unread.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Which values are allowed, beyond the type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// All of the type.
    Any,
    /// Whole numbers in this range, both ends included.
    Range(i64, i64),
    /// Whole numbers in this range, and one more.
    RangeOr(i64, i64, i64),
    /// Numbers with a fraction in this range, both ends included.
    Fraction(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of these texts, each once.
    ListOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    Replicas,
}

/// A value that was read by a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Fraction(f64),
    /// A text without white space around it.
    Text(String),
    /// Texts in the order given.
    List(Vec<String>),
}

/// Reads `text`, or says what would have been allowed.
pub(crate) fn read(kind: ConfigKind, rule: &Rule, text: &str) -> Result<Value, String> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes"));
    }
    let text = text.trim();
    let value = match kind {
        ConfigKind::Boolean => boolean(text),
        ConfigKind::Int => text
            .parse::<i32>()
            .ok()
            .map(|int| Value::Integer(int.into())),
        ConfigKind::Long => text.parse().ok().map(Value::Integer),
        ConfigKind::Double => text.parse().ok().map(Value::Fraction),
        ConfigKind::String => Some(Value::Text(text.to_owned())),
        ConfigKind::List => Some(Value::List(list(text))),
    };
    match value {
        Some(value) if allows(rule, &value) => Ok(value),
        refused => Err(expectation(kind, rule, refused.as_ref())),
    }
}

fn boolean(text: &str) -> Option<Value> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    (is("true") || is("false")).then(|| Value::Boolean(is("true")))
}

fn list(text: &str) -> Vec<String> {
    let entries = text.split(',').map(|entry| entry.trim().to_owned());
    if text.is_empty() {
        Vec::new()
    } else {
        entries.collect()
    }
}

fn allows(rule: &Rule, value: &Value) -> bool {
    match (rule, value) {
        (Rule::Any, _) => true,
        (Rule::Range(least, most), Value::Integer(number)) => (least..=most).contains(&number),
        (Rule::RangeOr(least, most, other), Value::Integer(number)) => {
            (least..=most).contains(&number) || number == other
        }
        (Rule::Fraction(least, most), Value::Fraction(number)) => (least..=most).contains(&number),
        (Rule::OneOf(allowed), Value::Text(text)) => allowed.contains(&text.as_str()),
        (Rule::ListOf(allowed), Value::List(texts)) => {
            let once = |(index, text): (usize, &String)| {
                !texts.iter().skip(index + 1).any(|other| other == text)
            };
            !texts.is_empty()
                && texts.iter().all(|text| allowed.contains(&text.as_str()))
                && texts.iter().enumerate().all(once)
        }
        (Rule::Replicas, Value::List(texts)) => {
            matches!(texts.as_slice(), [all] if all == "*")
                || texts.iter().all(|text| replica(text))
        }
        _ => false,
    }
}

fn replica(text: &str) -> bool {
    text.split_once(':').is_some_and(|(partition, broker)| {
        partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok()
    })
}

/// What would have been allowed, in Kafka's words; `refused` is the value if it has the right type.
fn expectation(kind: ConfigKind, rule: &Rule, refused: Option<&Value>) -> String {
    let Some(refused) = refused else {
        return type_expectation(kind).to_owned();
    };
    match (rule, refused) {
        (Rule::Range(least, _), Value::Integer(number)) if number < least => {
            format!("Value must be at least {least}")
        }
        (Rule::Range(_, most), _) => format!("Value must be no more than {most}"),
        (Rule::RangeOr(least, most, other), _) => {
            format!("Value must be between {least} and {most} or equal to {other}")
        }
        (Rule::Fraction(least, _), Value::Fraction(number)) if number < least => {
            format!("Value must be at least {least}")
        }
        (Rule::Fraction(_, most), _) => format!("Value must be no more than {most}"),
        (Rule::OneOf(allowed), _) => format!("String must be one of: {}", allowed.join(", ")),
        (Rule::ListOf(allowed), _) => {
            let allowed = allowed.join(", ");
            format!("it must be a list of these, each once: {allowed}")
        }
        (Rule::Replicas, _) => "Must be the literal '*' or a list of replicas in the following \
             format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            .to_owned(),
        (Rule::Any, _) => type_expectation(kind).to_owned(),
    }
}

fn type_expectation(kind: ConfigKind) -> &'static str {
    match kind {
        ConfigKind::Boolean => "Expected value to be either true or false",
        ConfigKind::Int => "Not a number of type INT",
        ConfigKind::Long => "Not a number of type LONG",
        ConfigKind::Double => "Not a number of type DOUBLE",
        ConfigKind::String | ConfigKind::List => "it must be a shorter text",
    }
}
