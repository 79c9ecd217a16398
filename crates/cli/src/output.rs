//! Standard output: data only, buffered, and no complaint when its reader goes away.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde_json::Value;

use crate::client_arguments::Form;
use crate::failure::{Exit, Failure};

const BUFFER_BYTES: usize = 256 * 1024;

/// Standard output. Nothing is seen before it is flushed or dropped.
#[derive(Debug)]
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Takes standard output for this command.
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()))
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).map_err(|error| failure(&error))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())?;
        self.write(b"\n")
    }

    /// Writes what a command has found, in a form for programs. In lines, each of the things in the
    /// field `rows` is one; without such a field the whole is.
    pub(crate) fn data(&mut self, form: Form, all: &Value, rows: &str) -> Result<(), Failure> {
        self.write(data(form, all, rows).as_bytes())
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| failure(&error))
    }
}

fn failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new(Exit::OutputClosed, "nobody reads the output");
    }
    Failure::new(Exit::Error, "standard output cannot be written").why(error.to_string())
}

/// A number and what it counts: "1 record", "3 records".
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// See [`Output::data`].
pub(crate) fn data(form: Form, all: &Value, rows: &str) -> String {
    let mut text = String::new();
    match form {
        Form::Yaml => {
            // A document of its own, as commands for several things write several.
            if rows.is_empty() {
                text.push_str("---\n");
            }
            yaml(&mut text, all, 0);
        }
        Form::Jsonl if all.get(rows).is_some_and(Value::is_array) => {
            let rows = all
                .get(rows)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for row in rows {
                text.push_str(&row.to_string());
                text.push('\n');
            }
        }
        Form::Table | Form::Json | Form::Jsonl => {
            text.push_str(&all.to_string());
            text.push('\n');
        }
    }
    text
}

/// A value in block style; keys and texts in double quotes, which YAML reads as JSON does. The
/// first line follows what is there already.
fn yaml(text: &mut String, value: &Value, depth: usize) {
    let is_nested = |value: &Value| match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let indent = "  ".repeat(depth);
    match value {
        Value::Array(items) if is_nested(value) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(&indent);
                }
                text.push_str("- ");
                yaml(text, item, depth + 1);
            }
        }
        Value::Object(fields) if is_nested(value) => {
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push_str(&indent);
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                if is_nested(field) {
                    text.push('\n');
                    text.push_str(&"  ".repeat(depth + 1));
                } else {
                    text.push(' ');
                }
                yaml(text, field, depth + 1);
            }
        }
        leaf => {
            text.push_str(&leaf.to_string());
            text.push('\n');
        }
    }
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows below a head, in columns that are as wide as their widest cell.
pub(crate) fn table(head: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let columns = head.iter().enumerate();
    let widths: Vec<usize> = columns
        .map(|(column, (title, _))| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .fold(title.len(), usize::max)
        })
        .collect();
    let titles: Vec<String> = head.iter().map(|(title, _)| (*title).to_owned()).collect();
    let mut lines = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let cells =
            row.iter()
                .zip(head)
                .zip(&widths)
                .map(|((cell, (_, align)), &width)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
        let line = cells.collect::<Vec<_>>().join("  ");
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests;
