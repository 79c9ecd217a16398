//! The encode function of one struct.
//!
//! A field that the version lacks is refused when it is set, unless the schema says ignorable.

use super::super::facts::{Field, Type, Versions};
use super::super::rust::{self, When};
use super::{Emitter, Struct, bare_name, in_field};
use std::fmt::Write as _;

impl<'a> Emitter<'a> {
    pub(super) fn emit_encode(&self, out: &mut String, shape: &Struct<'a>) {
        let (plain, tagged) = Self::split(shape);
        let mut body = String::new();
        for field in &plain {
            let write = self.write(field, shape.context);
            match rust::when(field.versions, shape.context) {
                When::If { holds, .. } => {
                    let _ = write!(body, "if {holds} {{ {write} }}");
                    body.push_str(&self.refuse_absent(field, shape.context));
                }
                _ => body.push_str(&write),
            }
        }
        self.emit_encode_tags(&mut body, shape, &tagged);
        body.push_str("Ok(())\n");
        let (version, flexible) = self.preamble(&body, shape);
        let _ = writeln!(
            out,
            "pub(crate) fn write(&self, writer: &mut Writer, {version}: i16) \
             -> Result<(), EncodeError> {{\n{flexible}{body}}}\n"
        );
    }

    /// What follows `if present { … }` when the version lacks the field.
    fn refuse_absent(&self, field: &Field, context: Versions) -> String {
        if field.ignorable {
            return "\n".to_owned();
        }
        let option = rust::is_option(field, context);
        let differs = rust::differs(field, option, &self.type_name(&field.kind));
        let name = bare_name(&field.name);
        format!(
            "else if {differs} {{ return Err(EncodeError::not_in_version(\"{name}\", version)); }}\n"
        )
    }

    fn emit_encode_tags(&self, body: &mut String, shape: &Struct<'a>, tagged: &[&Field]) {
        let flexible = self.flexible(shape.context);
        if flexible == When::Never {
            return;
        }
        let flexible_context = shape.context.and(self.message.flexible);
        for field in tagged {
            if let When::If { fails, .. } = rust::when(field.tagged, shape.context)
                && !field.ignorable
            {
                let option = rust::is_option(field, shape.context);
                let differs = rust::differs(field, option, &self.type_name(&field.kind));
                let _ = writeln!(
                    body,
                    "if {fails} && {differs} {{ \
                     return Err(EncodeError::not_in_version(\"{}\", version)); }}",
                    bare_name(&field.name)
                );
            }
        }
        let mut write = String::new();
        if tagged.is_empty() {
            write.push_str("writer.no_tagged_fields();\n");
        } else {
            write.push_str("let mut tags = TaggedFields::new();\n");
            for field in tagged {
                let option = rust::is_option(field, shape.context);
                let differs = rust::differs(field, option, &self.type_name(&field.kind));
                let present = match rust::when(field.tagged, flexible_context) {
                    When::If { holds, .. } => format!("{holds} && {differs}"),
                    _ => differs,
                };
                let content = self.write(field, flexible_context.and(field.tagged));
                let content = match content.strip_suffix("?;\n") {
                    Some(result) if !result.contains(';') => result.to_owned(),
                    _ => format!("{{ {content} Ok(()) }}"),
                };
                let tag = field.tag.unwrap_or_default();
                let _ = writeln!(
                    write,
                    "if {present} {{ tags.add({tag}, |writer| {content})?; }}"
                );
            }
            write.push_str("writer.tagged_fields(tags);\n");
        }
        match flexible {
            When::If { .. } => {
                let _ = writeln!(body, "if flexible {{ {write} }}");
            }
            _ => body.push_str(&write),
        }
    }

    /// The statements that write a field.
    fn write(&self, field: &Field, context: Versions) -> String {
        let option = rust::is_option(field, context);
        let context = context.and(field.versions);
        let flexible = self.flexible_argument(context);
        let name = rust::snake_case(&field.name);
        let nullable = rust::when(field.nullable, context);
        let refuse = match &nullable {
            When::If { fails, .. } => format!(
                "if {fails} && self.{name}.is_none() {{ \
                 return Err(EncodeError::null(\"{}\", version)); }}\n",
                bare_name(&field.name)
            ),
            _ => String::new(),
        };
        let call = match (&field.kind, option) {
            (Type::String, false) => format!("writer.string({flexible}, &self.{name})"),
            (Type::String, true) => {
                format!("writer.nullable_string({flexible}, self.{name}.as_deref())")
            }
            (Type::Bytes | Type::Records, false) => {
                format!("writer.bytes({flexible}, &self.{name})")
            }
            (Type::Bytes | Type::Records, true) => {
                format!("writer.nullable_bytes({flexible}, self.{name}.as_deref())")
            }
            (Type::Struct(_), false) => {
                return format!("self.{name}.write(writer, version)?;\n");
            }
            (Type::Struct(_), true) => {
                return format!(
                    "{refuse}writer.nullable_struct(self.{name}.as_ref(), \
                     |writer, value| value.write(writer, version))?;\n"
                );
            }
            (Type::Array(element), false) => format!(
                "writer.array({flexible}, &self.{name}, {})",
                Self::element_writer(element, flexible)
            ),
            (Type::Array(element), true) => format!(
                "writer.nullable_array({flexible}, self.{name}.as_deref(), {})",
                Self::element_writer(element, flexible)
            ),
            (fixed, _) => {
                let (function, _) = rust::fixed_size(fixed).unwrap_or_default();
                return format!("writer.{function}(self.{name});\n");
            }
        };
        format!("{refuse}{}?;\n", in_field(&call, &name))
    }

    fn element_writer(element: &Type, flexible: &str) -> String {
        match (element, rust::fixed_size(element)) {
            (_, Some((name, _))) => {
                format!("|writer, element| {{ writer.{name}(*element); Ok(()) }}")
            }
            (Type::String, _) => format!("|writer, element| writer.string({flexible}, element)"),
            (Type::Struct(_), _) => "|writer, element| element.write(writer, version)".to_owned(),
            _ => format!("|writer, element| writer.bytes({flexible}, element)"),
        }
    }
}
