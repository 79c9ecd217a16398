//! Takes the facts out of the schemas inside Kafka's clients jar.
//!
//! Only names, types, versions, tags, defaults and nullability pass; a schema feature that is not
//! understood ends the command instead of being dropped. This is the only part of the generator that
//! needs a network (Maven, by package name) and `unzip`.

use super::facts::{Api, Field, Message, SharedStruct, Type, Versions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The jar whose schemas are the source of truth.
const ARTIFACT: &str = "org.apache.kafka:kafka-clients:4.4.0";
const JAR: &str = "kafka-clients-4.4.0.jar";

/// Fetches the jar into `folder`, unpacks the schemas and returns their folder.
pub(super) fn unpack(folder: &Path) -> Result<PathBuf, String> {
    run(Command::new("mvn")
        .args(["-q", "dependency:copy", &format!("-Dartifact={ARTIFACT}")])
        .arg(format!("-DoutputDirectory={}", folder.display())))?;
    run(Command::new("unzip")
        .args(["-q", "-o"])
        .arg(folder.join(JAR))
        .args(["common/message/*.json", "-d", &folder.display().to_string()]))?;
    Ok(folder.join("common/message"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}"))
    }
}

/// Reads both schemas of the API called `name`.
pub(super) fn read_api(schemas: &Path, name: &str) -> Result<Api, String> {
    let request = read_json(&schemas.join(format!("{name}Request.json")))?;
    let response = read_json(&schemas.join(format!("{name}Response.json")))?;
    let key = request["apiKey"]
        .as_i64()
        .and_then(|key| i16::try_from(key).ok());
    let key = key.ok_or_else(|| format!("{name}: no apiKey"))?;
    let unstable = request["latestVersionUnstable"].as_bool().unwrap_or(false);
    let mut request = message(&request).map_err(|error| format!("{name}Request: {error}"))?;
    if unstable {
        request.valid.last -= 1;
    }
    let mut response = message(&response).map_err(|error| format!("{name}Response: {error}"))?;
    response.valid = response.valid.and(request.valid);
    if response.valid != request.valid {
        return Err(format!(
            "{name}: request and response cover different versions"
        ));
    }
    Ok(Api {
        key,
        name: name.to_owned(),
        request,
        response,
    })
}

fn read_json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let bare: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    serde_json::from_str(&bare).map_err(|error| format!("{}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key]
        .as_str()
        .ok_or_else(|| format!("no '{key}' in {value}"))
}

fn versions(value: &Value, key: &str) -> Result<Versions, String> {
    match value.get(key) {
        None => Ok(Versions::NONE),
        Some(_) => Versions::parse(text(value, key)?),
    }
}

fn message(schema: &Value) -> Result<Message, String> {
    let mut structs = Vec::new();
    for shared in schema["commonStructs"].as_array().into_iter().flatten() {
        let name = text(shared, "name")?.to_owned();
        structs.push(SharedStruct {
            name,
            fields: fields(&shared["fields"])?,
        });
    }
    Ok(Message {
        valid: Versions::parse(text(schema, "validVersions")?)?,
        flexible: Versions::parse(text(schema, "flexibleVersions")?)?,
        structs,
        fields: fields(&schema["fields"])?,
    })
}

fn fields(list: &Value) -> Result<Vec<Field>, String> {
    list.as_array().into_iter().flatten().map(field).collect()
}

fn field(value: &Value) -> Result<Field, String> {
    let name = text(value, "name")?.to_owned();
    if value.get("flexibleVersions").is_some() {
        return Err(format!(
            "{name}: flexibleVersions of a field is not supported"
        ));
    }
    let kind = Type::parse(text(value, "type")?).map_err(|error| format!("{name}: {error}"))?;
    let tag = match value.get("tag") {
        None => None,
        Some(tag) => {
            let tag = tag.as_u64().and_then(|tag| u32::try_from(tag).ok());
            Some(tag.ok_or_else(|| format!("{name}: bad tag"))?)
        }
    };
    let nullable = versions(value, "nullableVersions")?;
    // Records have no default in the schemas; Kafka's is null.
    let default = match value.get("default") {
        None if kind == Type::Records && !nullable.is_empty() => Some("null".to_owned()),
        None => None,
        Some(default) => spell_default(default)?,
    };
    Ok(Field {
        versions: versions(value, "versions")?,
        tagged: versions(value, "taggedVersions")?,
        ignorable: value["ignorable"].as_bool().unwrap_or(false),
        fields: fields(&value["fields"])?,
        name,
        kind,
        nullable,
        tag,
        default,
    })
}

/// One spelling per default: absent for the default of the type, numbers in decimal.
fn spell_default(value: &Value) -> Result<Option<String>, String> {
    let written = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    if matches!(written.as_str(), "" | "0" | "false") {
        return Ok(None);
    }
    if matches!(written.as_str(), "null" | "true") {
        return Ok(Some(written));
    }
    let number = match written.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => written.parse(),
    };
    number
        .map(|number| Some(number.to_string()))
        .map_err(|e| format!("default '{written}': {e}"))
}
