//! Makes the messages, the service and the descriptor for reflection from `proto/broker.proto`,
//! in pure Rust: no protoc is needed. A client is made too, for the tests.

use std::path::{Path, PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = PathBuf::from("../../proto");
    println!("cargo::rerun-if-changed=../../proto/broker.proto");
    println!("cargo::rerun-if-changed=build.rs");
    let described = protox::compile(["broker.proto"], [&proto])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .bytes(".broker")
        .compile_fds(described.clone())?;
    let client = out.join("client");
    make_directory(&client)?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .out_dir(&client)
        .compile_fds(described.clone())?;
    let mut bare = described;
    for file in &mut bare.file {
        // Comments are most of the bytes, and no tool shows them.
        file.source_code_info = None;
    }
    write(&out.join("broker_descriptor.bin"), &bare.encode_to_vec())?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script writes into OUT_DIR"
)]
fn make_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script writes into OUT_DIR"
)]
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}
