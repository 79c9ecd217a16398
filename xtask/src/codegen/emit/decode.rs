//! The decode function of one struct.
//!
//! Fields are read in wire order; tagged fields start at their defaults and are read behind them.

use super::super::facts::{Field, Type, Versions};
use super::super::rust::{self, When};
use super::{Emitter, Struct, in_field};
use std::fmt::Write as _;

impl<'a> Emitter<'a> {
    pub(super) fn emit_decode(&self, out: &mut String, shape: &Struct<'a>) {
        let (plain, tagged) = Self::split(shape);
        let mut body = String::new();
        for field in &plain {
            let name = rust::snake_case(&field.name);
            let read = self.read(field, shape.context);
            let _ = match rust::when(field.versions, shape.context) {
                When::If { holds, .. } => writeln!(
                    body,
                    "let {name} = if {holds} {{ {read}? }} else {{ {} }};",
                    self.default_value(field, shape.context)
                ),
                _ => writeln!(body, "let {name} = {read}?;"),
            };
        }
        for field in &tagged {
            let default = self.default_value(field, shape.context);
            let _ = writeln!(
                body,
                "let mut {} = {default};",
                rust::snake_case(&field.name)
            );
        }
        self.emit_decode_tags(&mut body, shape, &tagged);
        let exists = |field: &&Field| !field.versions.and(shape.context).is_empty();
        let fields = shape.fields.iter().filter(exists);
        let names: Vec<String> = fields.map(|field| rust::snake_case(&field.name)).collect();
        let _ = writeln!(body, "Ok(Self {{ {} }})", names.join(", "));
        let (version, flexible) = self.preamble(&body, shape);
        let _ = writeln!(
            out,
            "pub(crate) fn read(reader: &mut Reader, {version}: i16) \
             -> Result<Self, DecodeError> {{\n{flexible}{body}}}\n"
        );
    }

    fn emit_decode_tags(&self, body: &mut String, shape: &Struct<'a>, tagged: &[&Field]) {
        let condition = match self.flexible(shape.context) {
            When::Never => return,
            When::Always => None,
            When::If { .. } => Some("flexible"),
        };
        let flexible_context = shape.context.and(self.message.flexible);
        let mut read = String::new();
        if tagged.is_empty() {
            read.push_str("reader.skip_tagged_fields()?;\n");
        } else {
            read.push_str("reader.tagged_fields(|reader, tag| {\nmatch tag {\n");
            for field in tagged {
                let guard = match rust::when(field.tagged, flexible_context) {
                    When::If { holds, .. } => format!(" if {holds}"),
                    _ => String::new(),
                };
                let _ = writeln!(
                    read,
                    "{}{guard} => {} = {}?,",
                    field.tag.unwrap_or_default(),
                    rust::snake_case(&field.name),
                    self.read(field, flexible_context.and(field.tagged)),
                );
            }
            read.push_str("_ => return Ok(false),\n}\nOk(true)\n})?;\n");
        }
        match condition {
            Some(condition) => {
                let _ = writeln!(body, "if {condition} {{ {read} }}");
            }
            None => body.push_str(&read),
        }
    }

    /// The expression that reads a field, a `Result`.
    fn read(&self, field: &Field, context: Versions) -> String {
        let context = context.and(field.versions);
        let flexible = self.flexible_argument(context);
        let name = rust::snake_case(&field.name);
        let nullable = rust::when(field.nullable, context);
        let bare = self.read_bare(&field.kind, flexible);
        let null = match &field.kind {
            Type::Array(element) => format!(
                "reader.nullable_array({flexible}, {}, {})",
                self.element_bytes_min(element, flexible),
                self.element_reader(element, flexible)
            ),
            _ => bare.replacen("reader.", "reader.nullable_", 1),
        };
        let null = match &field.kind {
            Type::Struct(_) => format!("reader.nullable_struct(|reader| {bare})"),
            _ => null,
        };
        let whole = match nullable {
            When::Never if rust::is_option(field, self.message.valid) => {
                format!("{bare}.map(Some)")
            }
            When::Never => bare,
            When::Always => null,
            When::If { holds, .. } => {
                format!("if {holds} {{ {null} }} else {{ {bare}.map(Some) }}")
            }
        };
        if matches!(field.kind, Type::Struct(_)) {
            whole
        } else {
            in_field(&whole, &name)
        }
    }

    fn read_bare(&self, kind: &Type, flexible: &str) -> String {
        match kind {
            Type::String => format!("reader.string({flexible})"),
            Type::Bytes | Type::Records => format!("reader.bytes({flexible})"),
            Type::Struct(name) => {
                format!("{}::read(reader, version)", self.struct_name(name))
            }
            Type::Array(element) => format!(
                "reader.array({flexible}, {}, {})",
                self.element_bytes_min(element, flexible),
                self.element_reader(element, flexible)
            ),
            fixed => format!(
                "reader.{}()",
                rust::fixed_size(fixed).map_or("", |(name, _)| name)
            ),
        }
    }

    fn element_reader(&self, element: &Type, flexible: &str) -> String {
        match rust::fixed_size(element) {
            Some((name, _)) => format!("Reader::{name}"),
            None => format!("|reader| {}", self.read_bare(element, flexible)),
        }
    }

    fn element_bytes_min(&self, element: &Type, flexible: &str) -> String {
        match element {
            Type::Struct(name) => format!("{}::bytes_min(version)", self.struct_name(name)),
            Type::String => match flexible {
                "true" => "1".to_owned(),
                "false" => "2".to_owned(),
                _ => "if flexible { 1 } else { 2 }".to_owned(),
            },
            fixed => rust::fixed_size(fixed)
                .map_or(1, |(_, bytes)| bytes)
                .to_string(),
        }
    }
}
