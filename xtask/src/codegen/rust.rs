//! Rust's side of a schema fact: names, types, defaults and version conditions as source text.
//!
//! Pure functions from facts to text. It must not know what a whole message looks like.

use super::facts::{Field, Type, Versions};

/// `ThrottleTimeMs` → `throttle_time_ms`.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut previous_upper = true;
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            if !previous_upper {
                out.push('_');
            }
            out.push(character.to_ascii_lowercase());
        } else {
            out.push(character);
        }
        previous_upper = character.is_ascii_uppercase();
    }
    if matches!(out.as_str(), "type" | "match" | "ref" | "move") {
        format!("r#{out}")
    } else {
        out
    }
}

/// When something holds, seen from code that only runs for the versions of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Never,
    If { holds: String, fails: String },
}

/// When `range` holds inside `context`.
pub(super) fn when(range: Versions, context: Versions) -> When {
    let range = range.and(context);
    if range.is_empty() {
        return When::Never;
    }
    let Versions { first, last } = range;
    let (holds, fails) = match (first == context.first, last == context.last) {
        (true, true) => return When::Always,
        (true, false) => (format!("version <= {last}"), format!("version > {last}")),
        (false, true) => (format!("version >= {first}"), format!("version < {first}")),
        (false, false) if first == last => {
            (format!("version == {first}"), format!("version != {first}"))
        }
        (false, false) => (
            format!("({first}..={last}).contains(&version)"),
            format!("!({first}..={last}).contains(&version)"),
        ),
    };
    When::If { holds, fails }
}

/// The type of a value that is not null.
pub(super) fn type_name(kind: &Type, struct_name: &dyn Fn(&str) -> String) -> String {
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::Int8 => "i8".to_owned(),
        Type::Int16 => "i16".to_owned(),
        Type::Int32 => "i32".to_owned(),
        Type::Int64 => "i64".to_owned(),
        Type::Uint16 => "u16".to_owned(),
        Type::Uint32 => "u32".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "WireString".to_owned(),
        Type::Bytes | Type::Records => "Bytes".to_owned(),
        Type::Struct(name) => struct_name(name),
        Type::Array(element) => format!("Vec<{}>", type_name(element, struct_name)),
    }
}

/// The reader's and writer's function for a type of fixed size.
pub(super) fn fixed_size(kind: &Type) -> Option<(&'static str, usize)> {
    match kind {
        Type::Bool => Some(("boolean", 1)),
        Type::Int8 => Some(("int8", 1)),
        Type::Int16 => Some(("int16", 2)),
        Type::Int32 => Some(("int32", 4)),
        Type::Int64 => Some(("int64", 8)),
        Type::Uint16 => Some(("uint16", 2)),
        Type::Uint32 => Some(("uint32", 4)),
        Type::Uuid => Some(("uuid", 16)),
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => None,
    }
}

/// Whether the field is an `Option`.
pub(super) fn is_option(field: &Field, context: Versions) -> bool {
    !field.nullable.and(context).is_empty()
}

/// The default as Rust source.
pub(super) fn default_value(field: &Field, option: bool, type_name: &str) -> String {
    let bare = match (&field.kind, field.default.as_deref()) {
        (_, Some("null")) if option => return "None".to_owned(),
        (Type::Bool, default) => default.unwrap_or("false").to_owned(),
        (Type::Uuid, _) => "Uuid::ZERO".to_owned(),
        (Type::String, _) => "WireString::default()".to_owned(),
        (Type::Bytes | Type::Records, _) => "Bytes::new()".to_owned(),
        (Type::Struct(_), _) => format!("{type_name}::default()"),
        (Type::Array(_), _) => "Vec::new()".to_owned(),
        (_, Some("9223372036854775807")) => "i64::MAX".to_owned(),
        (_, default) => default.unwrap_or("0").to_owned(),
    };
    if option {
        format!("Some({bare})")
    } else {
        bare
    }
}

/// Whether Rust's `Default` of the type is the schema's default.
pub(super) fn default_is_derived(field: &Field, option: bool) -> bool {
    // A field may be null only in versions that are gone; then null is no default any more.
    let null = field.default.as_deref() == Some("null");
    null || (!option && field.default.is_none())
}

/// An expression that is true when the field does not have its default.
pub(super) fn differs(field: &Field, option: bool, type_name: &str) -> String {
    let place = format!("self.{}", snake_case(&field.name));
    match (&field.kind, field.default.as_deref()) {
        (_, Some("null")) if option => format!("{place}.is_some()"),
        (Type::Struct(_), _) if option => {
            format!("{place}.as_ref().is_none_or(|value| *value != {type_name}::default())")
        }
        _ if option => format!("{place}.as_ref().is_none_or(|value| !value.is_empty())"),
        (Type::Bool, Some(_)) => format!("!{place}"),
        (Type::Bool, None) => place,
        (Type::String | Type::Bytes | Type::Records | Type::Array(_), _) => {
            format!("!{place}.is_empty()")
        }
        _ => format!("{place} != {}", default_value(field, option, type_name)),
    }
}
