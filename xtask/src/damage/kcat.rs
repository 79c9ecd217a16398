//! A second opinion: kcat reads a directory that is said to be as it was.

use std::collections::BTreeSet;
use std::process::Command;

use super::model::{Model, opened};
use crate::conformance::process;

/// Every record of the model, and no other, with its key, value size and timestamp, as kcat sees it.
pub(super) fn agrees(address: &str, model: &Model) -> Result<(), String> {
    let topics: BTreeSet<&str> = model.partitions.keys().map(|(topic, _)| *topic).collect();
    for topic in topics {
        let mut wanted = Vec::new();
        for ((_, partition), batches) in model.partitions.iter().filter(|(name, _)| name.0 == topic)
        {
            for batch in batches {
                wanted.extend(opened(&batch.bytes)?.into_iter().map(|record| {
                    let length = |field: Option<usize>| field.map_or(-1, usize::cast_signed);
                    format!(
                        "{partition} {} {} {} {}",
                        record.offset.get(),
                        record.timestamp_ms,
                        length(record.key.map(|key| key.len())),
                        length(record.value.map(|value| value.len())),
                    )
                }));
            }
        }
        let mut kcat = Command::new("kcat");
        kcat.args([
            "-b",
            address,
            "-C",
            "-t",
            topic,
            "-o",
            "beginning",
            "-e",
            "-q",
        ]);
        kcat.args(["-X", "check.crcs=true", "-f", "%p %o %T %K %S\\n"]);
        let found = process::succeed(kcat)?;
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        wanted.sort_unstable();
        if found != wanted {
            let (found, wanted) = (found.len(), wanted.len());
            return Err(format!(
                "kcat reads another {topic}: {found} records, not {wanted}"
            ));
        }
    }
    Ok(())
}
