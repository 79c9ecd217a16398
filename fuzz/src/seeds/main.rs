//! Writes the inputs that fuzzing begins with: `seeds FOLDER` fills one folder for each target.
//!
//! They come from the schema facts, the golden files and a few words by hand, so that nothing is
//! kept twice in the repository. The same code writes the same inputs.

// Two files of others that need no more than this: see the tests of kafka-wire.
#[allow(dead_code, reason = "taken from another crate")]
#[path = "../../../xtask/src/codegen/facts.rs"]
#[rustfmt::skip]
mod facts;
#[allow(dead_code, reason = "taken from another crate")]
#[path = "../../../crates/kafka-wire/tests/wire/schema.rs"]
#[rustfmt::skip]
mod schema;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic};
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::messages::{FetchRequest, ProduceRequest};
use kafka_wire::{Message, RequestHeader, Writer};
use records::{BatchBuilder, Codec, HEADER_BYTES, Header};

/// Messages of each API, side and version.
const MESSAGES_EACH: u64 = 3;
const RECORDS_GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/records/tests/golden"
);
const DISK_GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/storage-disk/tests/golden"
);

type Outcome = Result<(), String>;

fn main() -> Outcome {
    let folder = std::env::args_os().nth(1).ok_or("usage: seeds FOLDER")?;
    let corpus = Corpus(PathBuf::from(folder));
    corpus.messages()?;
    corpus.batches()?;
    corpus.files()?;
    corpus.fronts()?;
    corpus.words()
}

struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, name: &str, input: &[u8]) -> Outcome {
        let folder = self.0.join(target);
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        std::fs::write(folder.join(format!("seed-{name}")), input).map_err(failed)
    }

    fn messages(&self) -> Outcome {
        for api in schema::apis() {
            for (side, message) in [("request", &api.request), ("response", &api.response)] {
                let (first, last) = (message.valid.first, message.valid.last);
                for version in first..=last {
                    for seed in 0..MESSAGES_EACH {
                        let mut builder = schema::Builder::new(message, version, seed);
                        builder.unknown_tags = seed == 1;
                        let body = builder.build().bytes;
                        let name = format!("{}-{version}-{seed}", api.name);
                        let input = [&[byte(api.key), byte(version)][..], &body].concat();
                        self.put(side, &name, &input)?;
                        if side == "request" {
                            self.request(&api.name, api.key, version, &name, &body)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn request(&self, api: &str, key: i16, version: i16, name: &str, body: &[u8]) -> Outcome {
        if ["Produce", "Fetch"].contains(&api) {
            self.put(
                "views",
                name,
                &[&[byte(key), byte(version)][..], body].concat(),
            )?;
        }
        let frame = frame(key, version, body);
        self.put("kafka", name, &with_length(&frame))?;
        let length = u32::try_from(frame.len()).expect("short");
        self.put("frame", name, &[&length.to_be_bytes()[..], &frame].concat())
    }

    fn batches(&self) -> Outcome {
        for entry in files_of(Path::new(RECORDS_GOLDEN))? {
            let name = entry
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(&entry).map_err(|error| error.to_string())?;
            if entry
                .extension()
                .is_some_and(|extension| extension == "hex")
            {
                self.batch(&name, &from_hex(&text))?;
            }
        }
        for codec in Codec::ALL {
            self.batch(&format!("built-{codec}"), &batch(codec))?;
        }
        for seed in 0..16 {
            self.put(
                "builder",
                &seed.to_string(),
                &schema::Chance::new(seed).bytes(200),
            )?;
        }
        Ok(())
    }

    fn batch(&self, name: &str, bytes: &[u8]) -> Outcome {
        let codec = Codec::from_id(bytes[22] & 7).expect("a known codec");
        self.put("batch", name, &[&[0], bytes].concat())?;
        let counted = [
            &bytes[HEADER_BYTES - 2..HEADER_BYTES],
            &bytes[HEADER_BYTES..],
        ]
        .concat();
        self.put(&format!("batch_{codec}"), name, &counted)
    }

    fn files(&self) -> Outcome {
        for path in files_of(Path::new(DISK_GOLDEN))? {
            let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let (target, head): (&str, &[u8]) = match name.as_str() {
                "index-1" => ("index", &[0, 0, 1, 0, 0]),
                "timeindex-1" => ("index", &[1]),
                "topic-meta-1" => ("beside", &[0]),
                "snapshot-1" => ("beside", &[2]),
                // Number of files, generation, and a piece of raw bytes.
                "watermarks-1" | "watermarks-2" => ("journal", &[0, 0, 0xff]),
                "metadata-1" => ("metadata", &[0, 0, 0, 0xff]),
                _ => continue,
            };
            let framed = head.last() == Some(&0xff);
            let body = if framed { with_length(&bytes) } else { bytes };
            self.put(target, &name, &[head, &body].concat())?;
        }
        self.put("beside", "epochs", b"\xff0\n2\n1 0\n4 17\n")?;
        for kind in 1..4 {
            let counted = [
                0,
                0,
                kind | 0x40,
                1,
                1,
                1,
                0,
                0,
                0,
                3,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                9,
            ];
            self.put("journal", &format!("kind-{kind}"), &counted)?;
            self.put(
                "metadata",
                &format!("kind-{kind}"),
                &[0, 0, 0, kind, 0, 4, 1, 2, 3, 4, 1],
            )?;
        }
        // Rounds of one entry and of two, in one file and in both; a flipped byte in the second.
        for seed in 0..4 {
            let records = batch(Codec::None);
            let mut input = vec![0, 3];
            for sequence in 0..3 {
                let round_ends = if seed & 1 == 0 { 0x81 } else { 1 };
                input.extend([round_ends, 0, sequence, sequence & seed]);
                input.extend(with_length(&records));
            }
            input.extend([0x10 * seed, 0x20, seed]);
            self.put("commit", &seed.to_string(), &input)?;
        }
        // Each way of a process to end, each change, each file.
        for change in 0..16 {
            for file in 0..16 {
                let input = [
                    change % 3,
                    file & 1,
                    change,
                    file,
                    1,
                    0,
                    80,
                    7,
                    1,
                    2,
                    3,
                    4,
                    5,
                    6,
                    7,
                ];
                self.put("partition", &format!("{change}-{file}"), &input)?;
            }
        }
        Ok(())
    }

    fn fronts(&self) -> Outcome {
        for version in ProduceRequest::MIN_VERSION..=12 {
            let partition = PartitionProduceData {
                index: 0,
                records: Some(batch(Codec::Lz4)),
            };
            let topic = TopicProduceData {
                name: "t".into(),
                partition_data: vec![partition],
                ..TopicProduceData::default()
            };
            let request = ProduceRequest {
                acks: -1,
                timeout_ms: 1000,
                topic_data: vec![topic],
                ..ProduceRequest::default()
            };
            self.put(
                "kafka",
                &format!("records-{version}"),
                &with_length(&asked(&request, version)),
            )?;
        }
        for version in FetchRequest::MIN_VERSION..=12 {
            let partition = FetchPartition {
                partition_max_bytes: 1000,
                ..FetchPartition::default()
            };
            let topic = FetchTopic {
                topic: "t".into(),
                partitions: vec![partition],
                ..FetchTopic::default()
            };
            let request = FetchRequest {
                max_wait_ms: 10,
                min_bytes: 1,
                max_bytes: 1000,
                topics: vec![topic],
                ..FetchRequest::default()
            };
            self.put(
                "kafka",
                &format!("read-{version}"),
                &with_length(&asked(&request, version)),
            )?;
        }
        // Field 1 is the topic in most messages; the others are small numbers and strings.
        let messages: [&[u8]; 4] = [
            b"\x0a\x01t",
            b"\x0a\x01t\x10\x01",
            b"\x0a\x01t\x10\x00\x1a\x01v",
            b"",
        ];
        for method in 0..12 {
            for (at, message) in messages.iter().enumerate() {
                let input = [&[method, 0][..], &with_length(message)].concat();
                self.put("grpc", &format!("{method}-{at}"), &input)?;
            }
        }
        for page in ["/", "/healthz", "/readyz", "/metrics", "/none"] {
            let input = format!("GET {page} HTTP/1.1\r\nHost: a\r\n\r\n");
            self.put("http1", &page.replace('/', "page-"), input.as_bytes())?;
        }
        let chunked =
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        self.put("http1", "chunked", chunked)
    }

    fn words(&self) -> Outcome {
        let words = [
            (0, "%t %p %o %k %v %h %T %%\\n"),
            (1, "%k\\t%v\\n\na\tb"),
            (1, "%v::%k\na::b"),
            (2, "-1h"),
            (2, "500ms"),
            (2, "@2030-01-31T10:00:30.250+01:00"),
            (3, "[::1]:9092"),
            (3, "broker.example:1"),
            (4, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            (4, "GET / HTTP/1.1\r\n"),
            (4, "\u{16}\u{3}\u{1}"),
        ];
        for (number, (which, text)) in words.iter().enumerate() {
            let input = [&[*which], text.as_bytes()].concat();
            self.put("texts", &number.to_string(), &input)?;
        }
        Ok(())
    }
}

fn byte(number: i16) -> u8 {
    u8::try_from(number).expect("keys and versions are small")
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("seeds are short");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader {
        api_key: key,
        api_version: version,
        correlation_id: 7,
        client_id: Some("fuzz"),
    };
    let mut writer = Writer::new();
    header.encode(&mut writer).expect("a short name");
    writer.raw(body);
    writer.into_inner().to_vec()
}

fn asked<M: Message>(request: &M, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    request
        .encode(&mut writer, version)
        .expect("it fits the version");
    frame(M::KEY, version, &writer.into_inner())
}

fn batch(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for number in 0..3 {
        let value = [b'v'; 60];
        let at = 1_800_000_000_000 + number;
        let headers = [Header::new("trace", "abc")];
        builder
            .append(at, Some(b"key"), Some(&value), &headers)
            .expect("small");
    }
    builder.build().expect("small").into_bytes()
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| error.to_string())?.path());
    }
    paths.sort();
    Ok(paths)
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}
