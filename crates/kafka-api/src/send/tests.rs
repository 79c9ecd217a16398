//! Every kind of segment over a real socket, in order and whole, whatever the socket takes.

#![allow(clippy::disallowed_methods, reason = "tests")]

use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use vfs::{OpenMode, RealVfs, SimVfs, Vfs};

use super::*;

/// More than a socket takes at once.
const FILE_BYTES: usize = 12 * 1024 * 1024;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let near = TcpStream::connect(address).await.expect("connects");
    let (far, _) = listener.accept().await.expect("accepts");
    (near, far)
}

fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn write_file(vfs: &dyn Vfs, directory: &Path, bytes: &[u8]) -> Arc<dyn vfs::File> {
    let file = vfs.open(&directory.join("f"), OpenMode::CreateNew);
    let file = file.expect("a new file");
    vfs::write_all_at(&*file, bytes, 0).expect("written");
    file
}

fn file_chunk(file: &Arc<dyn vfs::File>, at: usize, length: usize) -> Segment<Chunk> {
    let chunk = Chunk::File {
        file: Arc::clone(file),
        at: at as u64,
        size_bytes: length,
    };
    Segment::External { chunk, length }
}

fn memory_chunk(bytes: &[u8]) -> Segment<Chunk> {
    let chunk = Chunk::Memory(Bytes::copy_from_slice(bytes));
    let length = bytes.len();
    Segment::External { chunk, length }
}

fn response(segments: Vec<Segment<Chunk>>) -> Response<Chunk> {
    let sizes = segments.iter().map(|segment| match segment {
        Segment::Bytes(bytes) => bytes.len(),
        Segment::External { length, .. } => *length,
    });
    let length = sizes.sum();
    Response { segments, length }
}

async fn leaves_whole(file: &Arc<dyn vfs::File>, content: &[u8]) {
    let (near, mut far) = pair().await;
    let head = Segment::Bytes(Bytes::from_static(b"head"));
    let big = pattern(3 * 1024 * 1024);
    let mut outgoing = Outgoing::default();
    outgoing.push(response(vec![
        head.clone(),
        file_chunk(file, 0, FILE_BYTES),
        head.clone(),
        memory_chunk(&big),
        file_chunk(file, 5, 7),
        file_chunk(file, FILE_BYTES - 3, 3),
    ]));
    outgoing.push(response(vec![head]));
    assert!(outgoing.is_full());
    let expected = [
        &b"head"[..],
        content,
        b"head",
        &big,
        &content[5..12],
        &content[FILE_BYTES - 3..],
        b"head",
    ];
    let expected = expected.concat();
    let mut got = Vec::new();
    let (sent, read) = tokio::join!(
        async {
            let sent = outgoing.send(&near).await;
            drop(near);
            sent
        },
        far.read_to_end(&mut got)
    );
    sent.expect("all was sent");
    read.expect("all was read");
    assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
    assert!(outgoing.is_empty() && !outgoing.is_full());
}

#[tokio::test]
async fn files_leave_by_sendfile() {
    let directory = tempfile::tempdir().expect("a directory");
    let content = pattern(FILE_BYTES);
    let file = write_file(&RealVfs::new(), directory.path(), &content);
    assert!(file.descriptor().is_some(), "this is the way of the kernel");
    leaves_whole(&file, &content).await;
}

#[tokio::test]
async fn files_without_descriptor_leave_by_copy() {
    let simulated = SimVfs::new();
    let content = pattern(FILE_BYTES);
    let file = write_file(&simulated, Path::new("/"), &content);
    assert!(file.descriptor().is_none());
    leaves_whole(&file, &content).await;
}

#[tokio::test]
async fn a_file_that_ends_too_early_ends_the_connection() {
    let directory = tempfile::tempdir().expect("a directory");
    let simulated = SimVfs::new();
    let files = [
        write_file(&RealVfs::new(), directory.path(), b"short"),
        write_file(&simulated, Path::new("/"), b"short"),
    ];
    for file in &files {
        let (near, _far) = pair().await;
        let mut outgoing = Outgoing::default();
        outgoing.push(response(vec![file_chunk(file, 0, 6)]));
        let error = outgoing.send(&near).await.expect_err("a byte is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (near, far) = pair().await;
    let mut outgoing = Outgoing::default();
    outgoing.push(response(vec![memory_chunk(&pattern(32 * 1024 * 1024))]));
    let start = tokio::time::Instant::now();
    let error = outgoing.send(&near).await.expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= STALL_MAX);
    assert!(start.elapsed() < STALL_MAX * 2);
    drop(far);
}

#[tokio::test]
async fn a_peer_that_went_away_is_an_error() {
    let (near, far) = pair().await;
    drop(far);
    let mut outgoing = Outgoing::default();
    outgoing.push(response(vec![memory_chunk(&pattern(8 * 1024 * 1024))]));
    outgoing.send(&near).await.expect_err("nobody is there");
}
