//! `ottla log`: a look at the files of a data directory. Reads only and takes no lock, but for
//! `repair`, which holds the lock of a broker that is stopped.
//!
//! `inspect` prints the frames of the mission, `[offset][length][crc][payload]`, one for each record
//! batch: the offset of its first record, the length field (bytes behind it), the CRC-32C that the
//! head holds, and what the payload is. JSON: one object for each frame, offsets as strings.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use records::BatchHeader;
use serde_json::json;
use storage_disk::directory::{OWN_DIR, partition_of};
use storage_disk::offline::{self, FrameLine, InspectReport, OfflineError, VerifyReport};
use vfs::{EntryKind, RealVfs, Vfs};

mod repair;

use crate::client_arguments::{Form, LogArguments, LogVerb};
use crate::failure::{Exit, Failure};
use crate::output::{Align, Output, counted, table};

/// Frames whose columns are lined up together.
const FRAMES_TOGETHER: usize = 1000;

/// Runs one of the commands.
pub(crate) fn run(verb: LogVerb) -> Result<(), Failure> {
    match verb {
        LogVerb::Inspect(arguments) => inspect(&arguments),
        LogVerb::Verify(arguments) => verify(&arguments),
        LogVerb::Repair(arguments) => repair::run(&arguments),
    }
}

fn inspect(arguments: &LogArguments) -> Result<(), Failure> {
    let vfs = RealVfs::new();
    let places = places(&vfs, &arguments.path)?;
    let mut printer = Printer::new(arguments.form.output);
    let mut report = InspectReport::default();
    for place in &places {
        if places.len() > 1 && arguments.form.output == Form::Table {
            printer.heading(place)?;
        }
        let mut printed = Ok(());
        let seen = offline::inspect(&vfs, place, &mut |frame| {
            if printed.is_ok() {
                printed = printer.frame(frame);
            }
        });
        let seen = seen.map_err(failure)?;
        printed?;
        printer.print_rows()?;
        report.segments += seen.segments;
        report.frames += seen.frames;
        report.damaged.extend(seen.damaged);
    }
    printer.output.flush()?;
    for damage in &report.damaged {
        let path = damage.path.display();
        eprintln!(
            "{path}: bytes {} to {}: {}",
            damage.position, damage.end, damage.reason
        );
    }
    let (frames, segments) = (
        counted(report.frames, "good frame"),
        counted(report.segments, "segment"),
    );
    eprintln!("{frames} in {segments}");
    if report.damaged.is_empty() {
        return Ok(());
    }
    let count = report.damaged.len();
    Err(Failure::new(
        Exit::Error,
        format!("no good frame at {}", counted(count, "place")),
    )
    .why("a broker that runs may be writing there; otherwise the end was torn, or bytes rotted")
    .fix(format!(
        "ottla log verify {} says more",
        arguments.path.display()
    )))
}

/// The partitions below a path, or the path itself.
fn places(vfs: &dyn Vfs, path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = match vfs.read_dir(path) {
        Ok(names) => names,
        // A file, or nothing: the look itself says it best.
        Err(error) if matches!(error.kind(), ErrorKind::NotADirectory | ErrorKind::NotFound) => {
            return Ok(vec![path.to_owned()]);
        }
        Err(error) => {
            let path = path.to_owned();
            return Err(failure(OfflineError::Io {
                path,
                source: error,
            }));
        }
    };
    let directories = names
        .iter()
        .filter(|entry| entry.kind == EntryKind::Directory);
    let directories: Vec<&str> = directories.map(|entry| entry.name.as_str()).collect();
    let mut partitions: Vec<u32> = directories
        .iter()
        .filter_map(|name| partition_of(name))
        .collect();
    if !partitions.is_empty() {
        partitions.sort_unstable();
        let place = |partition: u32| path.join(format!("partition{partition}"));
        return Ok(partitions.into_iter().map(place).collect());
    }
    if !directories.contains(&OWN_DIR) {
        return Ok(vec![path.to_owned()]);
    }
    let topics = directories
        .into_iter()
        .filter(|&name| name != OWN_DIR && name != "lost+found");
    let mut places = Vec::new();
    for topic in topics {
        let topic = path.join(topic);
        // A topic without partitions has nothing to show.
        places.extend(
            self::places(vfs, &topic)?
                .into_iter()
                .filter(|place| *place != topic),
        );
    }
    Ok(places)
}

struct Printer {
    form: Form,
    output: Output,
    rows: Vec<Vec<String>>,
    has_head: bool,
}

impl Printer {
    fn new(form: Form) -> Self {
        Self {
            form,
            output: Output::new(),
            rows: Vec::new(),
            has_head: false,
        }
    }

    fn heading(&mut self, place: &Path) -> Result<(), Failure> {
        let gap = if self.has_head { "\n" } else { "" };
        self.has_head = false;
        self.output.line(&format!("{gap}{}", place.display()))
    }

    fn frame(&mut self, frame: &FrameLine) -> Result<(), Failure> {
        let header = &frame.header;
        let offset = header.base_offset.get().to_string();
        let crc = format!("{:#010x}", header.crc);
        let payload = payload(frame);
        if self.form.is_data() {
            let line = json!({
                "offset": offset,
                "length": header.batch_length,
                "crc": crc,
                "crc_ok": frame.crc_ok,
                "payload": payload,
                "file": frame.path.display().to_string(),
                "position": frame.position.to_string(),
            });
            return self.output.data(self.form, &line, "");
        }
        self.rows
            .push(vec![offset, header.batch_length.to_string(), crc, payload]);
        if self.rows.len() >= FRAMES_TOGETHER {
            self.print_rows()
        } else {
            Ok(())
        }
    }

    fn print_rows(&mut self) -> Result<(), Failure> {
        if self.form.is_data() || (self.rows.is_empty() && self.has_head) {
            return Ok(());
        }
        let head = [
            ("offset", Align::Right),
            ("length", Align::Right),
            ("crc", Align::Left),
            ("payload", Align::Left),
        ];
        let text = table(&head, &std::mem::take(&mut self.rows));
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        let shown = if self.has_head { body } else { &text };
        self.has_head = true;
        self.output.write(shown.as_bytes())
    }
}

/// What a frame carries: its records, and who wrote them.
fn payload(frame: &FrameLine) -> String {
    let header: &BatchHeader = &frame.header;
    if !frame.crc_ok {
        return format!("DAMAGED: the CRC-32C of the bytes is {:#010x}", frame.crc);
    }
    let count = header.record_count;
    let bytes = frame.size_bytes.saturating_sub(records::HEADER_BYTES);
    let mut parts = vec![counted(count, "record"), counted(bytes, "byte")];
    if let Ok(codec) = header.attributes.codec()
        && codec != records::Codec::None
    {
        parts.push(codec.to_string());
    }
    if header.is_idempotent() {
        let (id, epoch, sequence) = (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        );
        parts.push(format!("producer {id} epoch {epoch} sequence {sequence}"));
    }
    if header.attributes.is_control() {
        parts.push("control".to_owned());
    }
    parts.join(", ")
}

fn verify(arguments: &LogArguments) -> Result<(), Failure> {
    let report = offline::verify(&RealVfs::new(), &arguments.path).map_err(failure)?;
    let mut output = Output::new();
    let form = arguments.form.output;
    if form.is_data() {
        output.data(form, &verify_json(&report), "")?;
    } else {
        for problem in &report.problems {
            let at = problem
                .position
                .map_or_else(String::new, |at| format!(", byte {at}"));
            let what = &problem.what;
            let kind = if problem.is_loss { "LOSS" } else { "note" };
            output.line(&format!("{kind}  {}{at}: {what}", problem.path.display()))?;
        }
        for loss in &report.quarantined {
            output.line(&repair::loss_line(loss))?;
        }
        let partitions = counted(report.partitions, "partition");
        output.line(&format!(
            "{} in {}, {}, {partitions}, {}",
            counted(report.records, "record"),
            if report.batches == 1 {
                "1 batch".to_owned()
            } else {
                format!("{} batches", report.batches)
            },
            counted(report.segments, "segment"),
            counted(report.size_bytes, "byte"),
        ))?;
    }
    output.flush()?;
    let lost = report
        .problems
        .iter()
        .filter(|problem| problem.is_loss)
        .count();
    if lost == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Error,
        format!("no good records at {}", counted(lost, "place")),
    )
    .why("a broker that runs may be writing there; otherwise the end was torn, or bytes rotted")
    .fix(format!(
        "stop the broker and look again; a torn end is cut at the next start; \
         what stays lost: ottla log repair {}",
        arguments.path.display()
    )))
}

fn verify_json(report: &VerifyReport) -> serde_json::Value {
    let problems = report.problems.iter().map(|problem| {
        json!({
            "file": problem.path.display().to_string(),
            "position": problem.position.map(|position| position.to_string()),
            "what": problem.what,
            "is_loss": problem.is_loss,
        })
    });
    json!({
        "schema": "ottla.log.verify/1",
        "partitions": report.partitions,
        "segments": report.segments,
        "batches": report.batches.to_string(),
        "records": report.records.to_string(),
        "size_bytes": report.size_bytes.to_string(),
        "problems": problems.collect::<Vec<_>>(),
        "quarantined": report.quarantined.iter().map(repair::loss_json).collect::<Vec<_>>(),
    })
}

fn failure(error: OfflineError) -> Failure {
    let exit = match &error {
        OfflineError::NotFound(_) | OfflineError::NoLog(_) | OfflineError::NoDataDirectory(_) => {
            Exit::NotFound
        }
        OfflineError::Unreplayed(_) | OfflineError::Io { .. } => Exit::Error,
    };
    Failure::new(exit, error.to_string())
}
